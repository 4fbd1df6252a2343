"""Levels that single precision cannot hold are refused, or are taken care of in double."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import thetahat as th
from thetahat.core.errors import DataError, Notice
from thetahat.train._session import prove  # what it says depends on hardware, when fitted

RNG = np.random.default_rng(1)
X = RNG.normal(size=(400, 2))
Y = X @ [1.0, -0.5] + 0.3 * RNG.normal(size=400)


def fit(x: np.ndarray, y: np.ndarray, **fields: Any) -> th.Result:
    data = th.split((x, y), seed=0)
    return th.fit(th.Task(th.models.Linear(2), data, optimizer="lbfgs", epochs=40, **fields))


@pytest.mark.parametrize(
    ("x", "y", "which"),
    [
        (X, 1e9 + Y, "data.train[1] has the mean 1e+09"),
        (X + 1e6, Y, "data.train[0][:, 0] has the mean 1e+06"),
        (X + np.array([0, 1e7]), Y, "data.train[0][:, 1] has the mean 1e+07"),
        ((X + 1e6).astype(np.float32), Y, "data.train[0][:, 0] has the mean 1e+06"),
        (X, (1_700_000_000 + 100 * Y).astype(np.int64), "data.train[1] has the mean 1.7e+09"),
    ],
)
def test_a_spread_that_single_precision_loses_is_refused(
    x: np.ndarray, y: np.ndarray, which: str
) -> None:
    with pytest.raises(DataError) as caught:
        fit(x, y)
    said = str(caught.value)
    assert said.startswith(which)
    assert "subtract its mean, or give dtype='float64' (--dtype float64)" in said


@pytest.mark.parametrize("scale", [1e-30, 1e-50])
def test_a_spread_whose_square_is_rounded_to_zero_is_refused(scale: float) -> None:
    with pytest.raises(
        DataError, match=r"data.train\[1\] has the standard deviation .*; rescale it"
    ):
        fit(X, Y * scale)
    assert fit(X, Y * scale, dtype="float64").risk["val"] == pytest.approx(0.09 * scale**2, rel=0.4)
    assert fit(X, Y * 1e-12).risk["val"] == pytest.approx(0.09e-24, rel=0.4)


@pytest.mark.parametrize(("level", "said"), [(1e9, "every target that was drawn is 1e\\+09"),
                                             (1e7, "has the mean 1e\\+07")])  # fmt: skip
def test_a_level_that_is_drawn_inside_an_experiment_is_refused(level: float, said: str) -> None:
    def drawn(mu: float = level, seed: th.Seed = 0) -> th.Task:
        x = jax.random.normal(jax.random.key(seed), (60, 2))
        return th.Task(th.models.Linear(2), th.split((x, mu + x[:, 0]), seed=0), epochs=2)

    with pytest.raises(DataError, match=said):
        th.fit(drawn)
    assert th.fit(drawn, mu=10.0).status == "finished"


def test_what_the_message_advises_works() -> None:
    level = fit(X, 1e9 + Y - (1e9 + Y).mean())
    assert level.risk["val"] == pytest.approx(0.09, rel=0.4)
    wide = fit(X + 1e3, Y, dtype="float64")
    assert wide.status in ("finished", "stopped")


def test_integers_beyond_32_bits_are_refused_in_single_precision() -> None:
    y = 5_000_000_000 + np.arange(400) * 1_000_000
    with pytest.raises(DataError, match=r"holds integers from .* and 32 bits hold -2147483648 to"):
        fit(X, y)


@pytest.mark.parametrize(
    "x",
    [
        np.column_stack([X[:, 0], np.ones(400)]),
        np.column_stack([X[:, 0], np.full(400, 1e6)]),
        X + 100,
        X * 1e12,
    ],
)
def test_constant_and_well_spread_columns_are_taken(x: np.ndarray) -> None:
    sgd = th.optim.named("sgd", 1e-30)
    data = th.split((x, Y), seed=0)
    assert th.fit(th.Task(th.models.Linear(2), data, optimizer=sgd, epochs=1)) is not None


@pytest.mark.parametrize("traced", [False, True])
def test_a_tables_levels_do_not_matter(traced: bool) -> None:
    far = {"a": X[:, 0] + 1e6, "when": 1.7e9 + 60 * X[:, 1], "y": 1e9 + Y}
    near = {"a": X[:, 0], "when": X[:, 1], "y": Y}

    def estimate(columns: dict, seed: th.Seed = 0) -> th.Task:
        data = th.split(th.read_table(columns, "y"), seed=seed if traced else 0)
        return th.Task(th.models.Linear(2, seed=0), data, optimizer="lbfgs", epochs=40)

    def of(which: str = "far", seed: th.Seed = 0) -> th.Task:
        return estimate(far if which == "far" else near, seed)

    one, two = th.fit(of), th.fit(of, which="near")
    for part in ("train", "val", "test"):
        assert one.risk[part] == pytest.approx(two.risk[part], rel=1e-4)
    fitted = one.predict({"a": far["a"], "when": far["when"]})
    np.testing.assert_allclose(fitted - 1e9, two.predict(X), atol=1e-4)
    error = np.mean((fitted - far["y"]) ** 2) / np.var(far["y"])
    assert error == pytest.approx(0.3**2 / np.var(Y), rel=0.2)


def test_a_table_that_is_not_standardised_names_its_column() -> None:
    read = th.read_table({"a": X[:, 0] + 1e6, "b": X[:, 1], "y": Y}, "y", standardize=False)
    with pytest.raises(DataError, match="^column 'a' has the mean 1e"):
        th.fit(th.Task(th.models.Linear(2), th.split(read), epochs=2))


def test_double_precision_goes_round_without_loss() -> None:
    read = th.read_table({"a": X[:, 0] + 1e6, "b": X[:, 1], "y": 1e9 + Y}, "y")
    data = th.split(read, train=280, val=0, test=120, seed=0)
    back = data.transform.decode(data.train.y)
    np.testing.assert_allclose(back, data.targets["train"], rtol=1e-15)
    task = th.Task(th.models.Linear(2), data, optimizer="lbfgs", epochs=60, dtype="float64")
    fitted = th.fit(task).predict(read.x)
    design = np.column_stack([np.ones(280), data.train.x])
    beta = np.linalg.lstsq(design, data.train.y, rcond=None)[0]
    exact = data.transform.decode(
        np.column_stack([np.ones(400), data.transform.encode(read.x)]) @ beta
    )
    np.testing.assert_allclose(fitted, exact, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_notice_of_a_best_state_that_moved_names_rounding_where_it_may_be(dtype: str) -> None:
    with pytest.warns(Notice, match="not a function of its arguments alone") as caught:
        prove("val_risk", 1.0, 1.1, 3, dtype)
    assert ("float32 rounds too coarsely" in str(caught[0].message)) == (dtype == "float32")
