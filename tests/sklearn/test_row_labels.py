"""Rows of pandas that have the same labels in another order are refused by the estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import thetahat as th

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(30, 2)), columns=["a", "b"])
Y = X["a"] - X["b"]
WEIGHT = pd.Series(np.linspace(1, 2, 30))
FAST: Any = {"width": 4, "depth": 1, "epochs": 4, "n_seeds": 2}
KINDS = {
    "NeuralRegressor": (th.sklearn.NeuralRegressor(**FAST), Y),
    "NeuralClassifier": (
        th.sklearn.NeuralClassifier(**FAST),
        (Y > 0).map({True: "up", False: "no"}),
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_fit_and_score_refuse_rows_in_another_order(name: str) -> None:
    model, y = KINDS[name]
    for method in ("fit", "score"):
        with pytest.raises(ValueError, match="rows of y are in another order than those of X"):
            getattr(model, method)(X, y[::-1])
        with pytest.raises(ValueError, match="rows of sample_weight are in another order"):
            getattr(model, method)(X, y, WEIGHT.sample(frac=1, random_state=0))


@pytest.mark.parametrize("name", KINDS)
def test_other_labels_say_nothing_and_values_go_by_position(name: str) -> None:
    model, y = KINDS[name]
    first = model.fit(X, y, WEIGHT).predict(X)
    for other in (y.to_numpy()[::1], y.set_axis(np.arange(100, 130))):
        np.testing.assert_array_equal(model.fit(X, other, WEIGHT).predict(X), first)
    assert model.score(X, y, WEIGHT) == pytest.approx(model.score(X, y.to_numpy(), WEIGHT))
    shuffled = X.sample(frac=1, random_state=1)
    assert model.score(shuffled, y.loc[shuffled.index]) == pytest.approx(model.score(X, y))
