"""Metrics of odd targets: constant ones, none, one class, classes that do not exist, probabilities."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

import thetahat as th

RNG = np.random.default_rng(0)
READY = ("r2", "mae", "rmse", "accuracy", "balanced_accuracy", "log_loss", "auc")
OF_NUMBERS = ("r2", "mae", "rmse")


def metric(name: str) -> Any:
    return getattr(th.metrics, name)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
@pytest.mark.parametrize("n", [1, 2, 7, 1000])
@pytest.mark.parametrize("compiled", [False, True])
def test_r2_of_a_target_that_does_not_vary_is_nan(value: float, n: int, compiled: bool) -> None:
    r2 = jax.jit(th.metrics.r2) if compiled else th.metrics.r2
    y = np.full(n, value, np.float32)
    for prediction in (y, y + 1):
        assert np.isnan(float(r2(prediction, y)))
        assert np.isnan(float(r2(prediction, y, np.linspace(0.1, 2, n, dtype=np.float32))))


def test_r2_counts_only_rows_with_a_weight() -> None:
    y, weight = np.array([2.0, 2.0, 5.0]), np.array([1.0, 1.0, 0.0])
    assert np.isnan(float(th.metrics.r2(y + 1, y, weight)))
    weight = np.array([1.0, 0.0, 1.0])
    found = float(th.metrics.r2(y + 1, y, weight))
    assert found == pytest.approx(sk.r2_score(y, y + 1, sample_weight=weight), rel=1e-5)


def test_r2_of_several_outputs_is_nan_if_one_does_not_vary() -> None:
    y = np.column_stack([RNG.normal(size=9), np.full(9, 0.1)])
    assert np.isnan(float(th.metrics.r2(y + 0.5, y)))
    both = RNG.normal(size=(9, 2))
    assert float(th.metrics.r2(both + 0.5, both)) == pytest.approx(
        sk.r2_score(both, both + 0.5), rel=1e-5
    )


def test_whole_numbers_are_targets_of_r2() -> None:
    y = np.array([1, 2, 4])
    assert float(th.metrics.r2(y + 1, y)) == pytest.approx(sk.r2_score(y, y + 1), rel=1e-5)


def test_a_fit_records_nan_for_r2_of_a_constant_part() -> None:
    x = RNG.normal(size=(40, 1))
    y = np.where(np.arange(40) < 30, x[:, 0], 0.1)
    data = th.Data((x[:30], y[:30]), val=(x[30:], y[30:]))
    result = th.fit(th.Task(th.models.Linear(1), data, epochs=3, metrics=["r2", "mae"]))
    assert np.isnan(result.metrics["val_r2"]) and result.metrics["val_mae"] > 0
    assert np.isfinite(result.metrics["train_r2"])


@pytest.mark.parametrize("name", READY)
def test_metrics_of_no_observations_and_of_no_weight_are_nan(name: str) -> None:
    y = np.array([0.0, 1.0]) if name in OF_NUMBERS else np.array([0, 1])
    score = np.array([-1.0, 3.0])
    assert np.isnan(float(metric(name)(score, y, np.zeros(2))))
    assert np.isnan(float(metric(name)(score[:0], y[:0])))


def test_metrics_of_one_class() -> None:
    score, y = np.array([2.0, -1.0, 4.0]), np.array([1, 1, 1])
    assert float(th.metrics.accuracy(score, y)) == pytest.approx(2 / 3)
    assert float(th.metrics.balanced_accuracy(score, y)) == pytest.approx(2 / 3)
    p = 1 / (1 + np.exp(-score))
    found = float(th.metrics.log_loss(score, y))
    assert found == pytest.approx(sk.log_loss(y, p, labels=[0, 1]), rel=1e-5)
    assert np.isnan(float(th.metrics.auc(score, y)))


@pytest.mark.parametrize("name", READY[3:])
@pytest.mark.parametrize("y", [[0, 1, 2], [0, 1, -100], [0.0, 1.0, np.nan]])
def test_classes_that_do_not_exist_are_refused(name: str, y: Any) -> None:
    with pytest.raises(th.InputError, match="a metric of classes got the target"):
        metric(name)(np.array([2.0, -1.0, 3.0]), np.array(y))


@pytest.mark.parametrize("name", READY[3:])
def test_shares_are_no_classes_but_of_the_log_loss(name: str) -> None:
    score, y = np.array([2.0, -1.0]), np.array([0.5, 1.0])
    if name == "log_loss":
        assert np.isfinite(float(metric(name)(score, y)))
        return
    with pytest.raises(th.InputError, match="a metric of classes got the target 0.5"):
        metric(name)(score, y)


def test_probabilities_in_place_of_scores_are_refused_or_told() -> None:
    p, y = np.array([0.2, 0.7, 0.9]), np.array([0, 1, 1])
    for name in ("accuracy", "balanced_accuracy", "log_loss"):
        with pytest.warns(th.Notice, match=f"metrics.{name} got numbers from 0 to 1 and reads"):
            metric(name)(p, y)
    with pytest.raises(th.InputError, match="got probabilities, whose rows sum to 1"):
        th.metrics.log_loss(np.column_stack([1 - p, p]), y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", th.Notice)
        odds = np.log(p / (1 - p))
        assert float(th.metrics.log_loss(odds, y)) == pytest.approx(sk.log_loss(y, p), rel=1e-5)
        assert float(th.metrics.accuracy(np.column_stack([1 - p, p]), y)) == 1
        assert float(th.metrics.accuracy((p > 0.5).astype(float), y)) == 1
        assert float(th.metrics.auc(p, y)) == 1


@pytest.mark.parametrize("name", READY)
def test_series_in_another_order_are_refused_and_masked_values_are_nan(name: str) -> None:
    score, y = pd.Series([-1.0, 3.0, 2.0]), pd.Series([0, 1, 1])
    metric(name)(score, y)
    with pytest.raises(th.InputError, match="rows of target are in another order"):
        metric(name)(score, y[::-1])
    with pytest.raises(th.InputError, match="rows of weight are in another order"):
        metric(name)(score, y, pd.Series([1.0, 2.0, 3.0])[::-1])
    if name in OF_NUMBERS:
        masked = np.ma.array(score.to_numpy(), mask=[False, True, False])
        assert np.isnan(float(metric(name)(masked, y.to_numpy(float))))
