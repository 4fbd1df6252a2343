"""Levels that single precision cannot hold are refused, or are taken care of in double."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
import torch

import thetahat as th
from thetahat.core.errors import DataError, Notice
from thetahat.train._session import prove  # what it says depends on hardware, when fitted

RNG = np.random.default_rng(1)
X = RNG.normal(size=(400, 2))
Y = X @ [1.0, -0.5] + 0.3 * RNG.normal(size=400)


def fit(x: np.ndarray, y: np.ndarray, **fields: Any) -> th.Result:
    data = th.split((x, y), seed=0)
    given = {"optimizer": th.optim.named("sgd", 0.3), "epochs": 60} | fields
    return th.fit(th.Task(th.models.Linear(2), data, **given))


@pytest.mark.parametrize(
    ("x", "y", "which"),
    [
        (X, 1e9 + Y, "data.train.y has the mean 1e+09"),
        (X + 1e6, Y, "data.train.x[:, 0] has the mean 1e+06"),
        (X + np.array([0, 1e7]), Y, "data.train.x[:, 1] has the mean 1e+07"),
        ((X + 1e6).astype(np.float32), Y, "data.train.x[:, 0] has the mean 1e+06"),
        (X, (1_700_000_000 + 100 * Y).astype(np.int64), "data.train.y has the mean 1.7e+09"),
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
    with pytest.raises(DataError, match=r"data.train.y has the standard deviation .*; rescale it"):
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
    wide = fit(X + 1e3, Y, dtype="float64", optimizer="newton")
    assert wide.status in ("finished", "stopped")


def test_integers_beyond_32_bits_are_refused_in_single_precision() -> None:
    y = 5_000_000_000 + np.arange(400) * 1_000_000
    with pytest.raises(DataError, match=r"holds integers from .* and 32 bits hold -2147483648 to"):
        fit(X, y)


WHOLE = np.arange(400) % 7
WIDE = np.where(np.arange(400) == 3, 2**40, WHOLE)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (th.Data((X, WHOLE), val=(X, WIDE)), r"data.val\[1\] .*; subtract an offset"),
        (th.Data((X, WHOLE), test=(X, WIDE)), r"data.test\[1\] .*; subtract an offset"),
        (
            th.Data((WHOLE[:, None], Y), val=(WIDE[:, None], Y)),
            r"data.val\[0\] .*; subtract an offset",
        ),
        (th.Data(th.Observations(X, Y, WIDE)), "data.train.weight .*; give them as floats"),
    ],
)
def test_integers_beyond_32_bits_are_refused_in_every_part(data: th.Data, said: str) -> None:
    with pytest.raises(DataError, match=said):
        th.fit(
            th.Task(
                th.models.Linear((data.train[0] if isinstance(data.train, tuple) else X).shape[1]),
                data,
                epochs=1,
            )
        )


def weighted(weight: np.ndarray, batch_size: int | None = None) -> th.Result:
    sgd = th.optim.named("sgd", 0.1)
    data = th.Data(th.Observations(X, Y, weight), val=th.Observations(X, Y, weight))
    model = th.models.Linear(2, start="zeros")
    return th.fit(th.Task(model, data, optimizer=sgd, epochs=2, batch_size=batch_size))


@pytest.mark.parametrize("batch_size", [None, 64])
@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, bool])
def test_whole_weights_are_real_ones_though_their_sum_is_beyond_32_bits(
    kind: Any, batch_size: int | None
) -> None:
    # In 32 bits the sum of these wraps around to a positive number.
    most = {np.uint8: 200, bool: 1}.get(kind, 10**8)
    weight = np.where(WHOLE > 2, most, most // 2)
    found, right = (weighted(weight.astype(k), batch_size) for k in (kind, float))
    np.testing.assert_allclose(found.params["kernel"], right.params["kernel"], rtol=1e-6)
    assert found.risk == pytest.approx(right.risk, rel=1e-6)


def test_whole_weights_on_disk_are_real_ones(tmp_path: Any) -> None:
    weight = np.where(WHOLE > 2, 10**8, 5 * 10**7)

    def on_disk(name: str, array: np.ndarray) -> np.ndarray:
        np.save(tmp_path / name, array)
        return np.load(tmp_path / f"{name}.npy", mmap_mode="r")

    def fitted(obs: th.Observations) -> np.ndarray:
        sgd = th.optim.named("sgd", 0.1)
        model = th.models.Linear(2, start="zeros")
        task = th.Task(model, th.Data(obs), optimizer=sgd, epochs=2, batch_size=64)
        return th.fit(task).params["kernel"]

    disk = th.Observations(on_disk("x", X), on_disk("y", Y), on_disk("w", weight))
    np.testing.assert_allclose(
        fitted(disk), fitted(th.Observations(X, Y, weight.astype(float))), rtol=1e-6
    )


@pytest.mark.parametrize("level", [1e37, 1e-39, 1e-60])
def test_weights_whose_sums_overflow_or_vanish_are_refused(level: float) -> None:
    weight = level * (1.0 + WHOLE)
    with pytest.raises(DataError, match=r"data.train.weight are weights of mean .*; divide them"):
        weighted(weight)
    assert weighted(weight / weight.mean()).risk == pytest.approx(weighted(1.0 + WHOLE).risk)
    assert weighted(1e12 * (1.0 + WHOLE)).risk == pytest.approx(weighted(1.0 + WHOLE).risk)


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
        return th.Task(
            th.models.Linear(2, seed=0), data, optimizer=th.optim.named("sgd", 0.3), epochs=60
        )

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
    task = th.Task(
        th.models.Linear(2), data, optimizer=th.optim.named("sgd", 0.3), epochs=200, dtype="float64"
    )
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


SOLVERS = ["newton", "gauss_newton", "lm", "lbfgs"]


@pytest.mark.parametrize("optimizer", SOLVERS)
def test_a_level_that_leaves_the_equations_no_digit_is_refused(optimizer: str) -> None:
    z = X[:, :1]
    y = 1 + 2 * z[:, 0]
    fields = {"optimizer": optimizer, "epochs": 30}

    def estimate(level: float, **more: Any) -> th.Result:
        return th.fit(th.Task(th.models.Linear(1), th.Data((z + level, y)), **fields, **more))

    with pytest.raises(DataError) as caught:
        estimate(2e4)
    said = str(caught.value)
    assert said.startswith("data.train[0][:, 0] has the mean 19999.9")
    assert "in float32 the equations that this optimizer solves have no right digit left" in said
    assert said.endswith("subtract its mean, or give dtype='float64' (--dtype float64)")
    assert estimate(0).risk["train"] < 1e-6
    if optimizer != "lbfgs":  # which needs many more steps there
        assert estimate(2e4, dtype="float64").risk["train"] < 1e-9


def test_a_level_is_refused_by_the_column_of_its_table_and_for_nets_too() -> None:
    columns = {"a": X[:, 0], "year": 2e4 + X[:, 1], "y": Y}
    data = th.split(th.read_table(columns, "y", standardize=False))
    with pytest.raises(DataError, match="^column 'year' has the mean 20000"):
        th.fit(th.Task(th.models.MLP(2, width=3), data, optimizer="lbfgs", epochs=2))
    standard = th.split(th.read_table(columns, "y"))
    task = th.Task(th.models.Linear(2), standard, optimizer="newton", epochs=3)
    assert th.fit(task).risk["train"] < 0.2


def test_a_level_is_left_to_a_model_or_residual_that_may_centre_it() -> None:
    x = 2e4 + X[:, :1]

    def centred(h: Any, z: Any) -> Any:
        return h(z[0] - 2e4) - z[1]

    data = th.Data((x, 2 * X[:, 0]))
    task = th.Task(th.models.Linear(1), data, residual=centred, optimizer="newton", epochs=5)
    assert th.fit(task).risk["train"] < 1e-4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_beyond_the_data_is_said_once(dtype: str) -> None:
    data = th.Data((X, Y))
    task = th.Task(th.models.Linear(2), data, batch_size=512, epochs=1, dtype=dtype)
    with pytest.warns(Notice) as caught:
        th.fit(task)
    said = [str(w.message) for w in caught]
    assert sum("larger than the 400 training observations" in line for line in said) == 1


def own(prediction: Any, target: Any, weight: Any) -> Any:
    """The mean absolute error, as users write it."""
    return (weight * abs(prediction - target)).sum() / weight.sum()


@pytest.mark.parametrize("drawn", [False, True])
def test_a_metric_of_ones_own_at_a_level_that_single_precision_loses_is_refused(
    drawn: bool,
) -> None:
    def experiment(seed: th.Seed = 0, level: float = 1e8, dtype: str = "float32") -> th.Task:
        data = th.split((X, level + Y), seed=seed if drawn else 0, standardize=True)
        metrics = {"own": th.Metric(own, mode="min"), "mae": "mae"}
        given = {"data": data, "metrics": metrics, "dtype": dtype, "seed": seed}
        return th.Task(
            th.models.Linear(2), optimizer=th.optim.named("sgd", 0.3), epochs=60, **given
        )

    with pytest.raises(DataError, match="the metric 'own' takes predictions and targets in the un"):
        th.fit(experiment)
    for result in (th.fit(experiment, dtype="float64"), th.fit(experiment, level=100.0)):
        assert result.metrics["test_own"] == pytest.approx(result.metrics["test_mae"], rel=1e-4)


def test_metrics_in_pytorch_keep_the_digits_of_a_level() -> None:
    data = th.split((X, 1e8 + Y), seed=0, standardize=True)
    metrics = {"own": th.Metric(own, mode="min"), "mae": "mae", "r2": "r2"}
    task = th.Task(lambda: torch.nn.Linear(2, 1), data, epochs=3, metrics=metrics, backend="torch")
    found = th.fit(task)
    at = data.rows["test"]
    error = found.predict(X[at]) - (1e8 + Y)[at]
    assert found.metrics["test_mae"] == pytest.approx(np.abs(error).mean(), rel=1e-4)
    assert found.metrics["test_own"] == pytest.approx(np.abs(error).mean(), rel=1e-4)
    r2 = 1 - (error**2).mean() / np.var(Y[at])
    assert found.metrics["test_r2"] == pytest.approx(r2, rel=1e-4)
