"""Rows of th.dml and th.crossfit that stand in another order, and given folds with groups."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import thetahat as th

N = 120
RNG = np.random.default_rng(4)
FRAME = pd.DataFrame({name: RNG.normal(size=N) for name in "ab"})
FRAME["d"] = FRAME["a"] + RNG.normal(size=N)
FRAME["y"] = 0.5 * FRAME["d"] + FRAME["b"] + RNG.normal(size=N)
FRAME["w"] = RNG.uniform(0.1, 3, size=N)
FRAME["g"] = np.arange(N) // 4
MIXED = RNG.permutation(N)
ONCE = {"learner": LinearRegression(), "folds": 3, "repetitions": 2, "compare": ()}


def dml(**given: object) -> th.causal.DML:
    return th.dml("y", "d", ["a", "b"], data=FRAME, **{**ONCE, **given})


@pytest.mark.parametrize("name", ["weights", "groups"])
def test_a_series_beside_a_table_is_in_its_order_or_refused(name: str) -> None:
    column = {"weights": "w", "groups": "g"}[name]
    by_name = dml(**{name: column})
    beside = dml(**{name: FRAME[column]})
    assert (beside.theta, beside.se) == (by_name.theta, by_name.se)
    with pytest.raises(th.InputError, match=f"the rows of {name} are in another order than those"):
        dml(**{name: FRAME[column].iloc[MIXED]})
    values = dml(**{name: FRAME[column].iloc[MIXED].to_numpy()})
    assert values.se != by_name.se


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("which", ["l", "m", "both"])
def test_predictions_in_another_order_are_refused(table: bool, which: str) -> None:
    fits = th.crossfit(LinearRegression(), FRAME[["a", "b"]], {"l": FRAME.y, "m": FRAME.d}, folds=3)
    made = {k: pd.Series(fit.predictions[:, 0], FRAME.index) for k, fit in fits.items()}
    given = ("y", "d", ["a", "b"]) if table else (FRAME.y, FRAME.d, FRAME[["a", "b"]])
    data = {"data": FRAME} if table else {}
    right = th.dml(*given, **data, predictions=made, compare=())
    by_hand = np.sum((FRAME.d - made["m"]) * (FRAME.y - made["l"]))
    assert right.theta == pytest.approx(by_hand / np.sum((FRAME.d - made["m"]) ** 2), rel=1e-10)
    mixed = {k: v.iloc[MIXED] if which in (k, "both") else v for k, v in made.items()}
    with pytest.raises(th.InputError, match="the rows of predictions"):
        th.dml(*given, **data, predictions=mixed, compare=())


def test_given_folds_hold_whole_groups_and_groups_are_known() -> None:
    loose = th.crossfit(LinearRegression(), FRAME[["a", "b"]], FRAME.y, folds=3, repetitions=2)
    with pytest.raises(th.InputError, match="repetition 0: fold 0 trains on rows of the group"):
        dml(folds=loose.samples, groups="g")
    whole = th.crossfit(
        LinearRegression(), FRAME[["a", "b"]], FRAME.y, folds=3, repetitions=2, groups=FRAME.g
    )
    assert dml(folds=whole.samples, groups="g").se == dml(groups="g").se
    gone = FRAME.g.astype(float).where(FRAME.g > 5)
    with pytest.raises(th.InputError, match="24 missing values"):
        dml(folds=whole.samples, groups=gone)
