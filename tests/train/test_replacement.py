"""Sampling with replacement: every step is by the mean over the observations drawn for it."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import pytest

import thetahat as th
from thetahat.core import ConfigError
from thetahat.data import order

N = 120
RNG = np.random.default_rng(0)
X, WEIGHT = RNG.normal(size=(N, 2)), RNG.uniform(0.2, 3, N)
Y = X @ np.array([1.0, -2.0]) + RNG.normal(0, 0.1, N)
LR = 0.1


def task(batch: int | None, weight: np.ndarray | None = None) -> th.Task:
    return th.Task(
        th.models.Linear(2, bias=False, start="zeros"),
        th.Data(th.Observations(X, Y, weight)),
        optimizer=th.optim.named("sgd", LR),
        epochs=2,
        batch_size=batch,
        sampling="replacement",
        dtype="float64",
    )


def by_hand(batch: int, weight: np.ndarray | None) -> np.ndarray:
    """Two epochs of N draws in batches; the last, shorter one is divided by the batch size."""
    w = np.ones(N) if weight is None else weight * (N / weight.sum())
    theta = np.zeros(2)
    for epoch in range(2):
        drawn = np.asarray(order(0, epoch, N, "replacement"))
        for k in range(math.ceil(N / batch)):
            rows = drawn[k * batch : (k + 1) * batch]
            gradient = (w[rows] * 2 * (X[rows] @ theta - Y[rows])) @ X[rows] / batch
            theta = theta - LR * gradient
    return theta


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("batch", [1, 50, 60, 119, 120])
def test_steps_by_hand(batch: int, weight: np.ndarray | None) -> None:
    found = th.fit(task(batch, weight)).params["kernel"]
    np.testing.assert_allclose(found, by_hand(batch, weight), rtol=1e-10)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("batch", [121, 500, 1200])
def test_a_batch_beyond_the_data_is_the_mean_over_an_epoch_of_draws(batch, weight) -> None:
    with pytest.warns(th.Notice, match="larger than the 120 .* one batch of 120 draws with"):
        found = th.fit(task(batch, weight)).params["kernel"]
    np.testing.assert_allclose(found, by_hand(N, weight), rtol=1e-10)


def test_no_batch_size_is_all_draws_of_an_epoch_and_no_notice() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = th.fit(task(None)).params["kernel"]
    np.testing.assert_allclose(found, by_hand(N, None), rtol=1e-10)


def test_streamed_draws_take_the_same_steps(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(
        pa.table({"y": Y, "a": X[:, 0], "b": X[:, 1], "w": WEIGHT}), tmp_path / "t.parquet"
    )
    table = th.stream_table(
        tmp_path / "t.parquet", "y", weights="w", standardize=False, cache=tmp_path / "spool"
    )
    data = th.split(table, train=1.0, val=0, test=0)
    memory = th.split(
        th.read_table(tmp_path / "t.parquet", "y", weights="w", standardize=False),
        train=1.0, val=0, test=0,
    )  # fmt: skip
    found = []
    for given in (data, memory):
        streamed = th.Task(
            th.models.Linear(2, start="zeros"),
            given,
            optimizer=th.optim.named("sgd", LR),
            epochs=2,
            batch_size=1200,
            sampling="replacement",
            dtype="float64",
        )
        with pytest.warns(th.Notice, match="one batch of 120 draws"):
            found.append(th.fit(streamed).params["kernel"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)


def test_an_optimizer_that_wants_the_whole_risk_is_refused() -> None:
    drawn = th.Task(
        th.models.Linear(2), th.Data(th.Observations(X, Y)), optimizer="lbfgs",
        sampling="replacement",
    )  # fmt: skip
    with pytest.raises(ConfigError, match="sampling='replacement' draws another one each epoch"):
        th.fit(drawn)
