"""Task(start=...): a new fit that begins at fitted parameters, in the units they were fitted in."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from small import parts

import thetahat as th


def net(lr: float = 0.05, seed: th.Seed = 0, epochs: int = 5, start: object = None) -> th.Task:
    """A small net on fixed data."""
    model = th.models.MLP(2, width=4, depth=1, activation="tanh", seed=seed)
    return th.Task(model, parts(), optimizer=optax.adam(lr), epochs=epochs, seed=seed, start=start)


@pytest.fixture(scope="module")
def fitted() -> th.Result:
    """The fit that others start from."""
    return th.fit(net, epochs=20)


def table(n: int, shift: float, seed: int, scale: float = 1.0) -> pd.DataFrame:
    """y = 3 + 2 a - b, with columns around ``shift``."""
    rng = np.random.default_rng(seed)
    a, b = shift + scale * rng.normal(size=n), 10 * shift + rng.normal(size=n)
    return pd.DataFrame({"a": a, "b": b, "y": 3 + 2 * a - b + 0.1 * rng.normal(size=n)})


def split(frame: Any, **how: Any) -> th.Data:
    """A table in two parts, standardised by the first."""
    read = th.read_table(frame, target="y", **how)
    return th.split(read, train=0.6, val=0.4, test=0, seed=0)


def linear(data: object, epochs: int = 1, lr: float = 1e-9, **fields: Any) -> th.Task:
    """A linear model of a table; with the default rate it hardly moves."""
    fields = {"loss": "squared", "model": th.models.Linear(2), "dtype": "float64"} | fields
    return th.Task(data=data, epochs=epochs, optimizer=optax.sgd(lr), **fields)


@pytest.fixture(scope="module")
def wages() -> th.Result:
    """A linear model of a table, fitted to the end."""
    return th.fit(linear(split(table(80, 5.0, 0)), 300, 0.2))


def test_start_begins_at_the_best_state(fitted):
    result = th.fit(net(lr=1e-9, start=fitted))
    assert result.history["train_risk"][0] == pytest.approx(fitted.evaluate("train"), rel=1e-6)
    for old, new in zip(
        jax.tree.leaves(fitted.params), jax.tree.leaves(result.params), strict=True
    ):
        np.testing.assert_allclose(old, new, rtol=1e-6, atol=1e-7)
    assert th.fit(net(lr=0.01, epochs=20, start=fitted)).risk["val"] < fitted.risk["val"]


def test_start_from_a_file_equals_start_from_its_result(fitted, wages, tmp_path):
    path = tmp_path / "fitted.theta"
    fitted.save(path)
    runs = [th.fit(net(start=start)) for start in (fitted, path, str(path), th.load(path))]
    for run in runs[1:]:
        np.testing.assert_array_equal(run.history["val_risk"], runs[0].history["val_risk"])
    keys = {run.provenance["start"].partition(" (")[2] for run in runs}
    assert len(keys) == 1
    wages.save(path)
    moved = th.fit(linear(split(table(60, 9.0, 1)), start=path))
    rows = table(60, 9.0, 1)[["a", "b"]]
    np.testing.assert_allclose(moved.predict(rows), wages.predict(rows), rtol=1e-6)
    with pytest.raises(th.InputError, match="there is no file"):
        th.fit(net(start=tmp_path / "absent.theta"))
    th.fit_many(net, [{"seed": 0}, {"seed": 1}]).save(path)
    with pytest.raises(th.InputError, match=r"holds 2 models.*\[0\]"):
        th.fit(net(start=path))


def test_start_from_a_file_of_a_module_needs_no_experiment(tmp_path):
    def task(seed, lr, start=None):
        pair = (
            lambda key: {"w/1": jax.random.normal(jax.random.key(seed), (2,))},
            lambda p, x: p["w/1"] @ x,
        )
        return th.Task(pair, parts(), optimizer=optax.adam(lr), epochs=10, start=start)

    first = th.fit(task(0, 0.05))
    first.save(tmp_path / "own.theta")
    second = th.fit(task(1, 1e-9, tmp_path / "own.theta"))
    assert second.history["val_risk"][0] == pytest.approx(first.risk["val"], rel=1e-5)


def test_start_survives_a_chain_without_keeping_results(fitted):
    second = th.fit(net(start=fitted))
    assert type(second.task.start).__name__ == "Start"
    third = th.fit(net(start=second))
    assert third.history["train_risk"][0] == pytest.approx(second.evaluate("train"), rel=1e-5)


def test_start_is_an_argument_of_the_compiled_program(fitted):
    from thetahat.train import Hyper

    # The traced program is compared as text.
    from thetahat.train.jax._staging import stage

    texts = set()
    for result in (fitted, th.fit(net(start=fitted))):
        texts.add(str(stage(lambda _, r=result: net(start=r), Hyper({}, {})).closed))
    assert len(texts) == 1


@pytest.mark.usefixtures("fresh_programs")
def test_start_in_a_cohort_equals_fits_alone(fitted):
    def experiment(lr: float = 0.01, seed: th.Seed = 0, epochs: int = 4) -> th.Task:
        return net(lr, seed, epochs, fitted)

    configs = [{"lr": lr, "seed": seed} for lr in (0.001, 0.01) for seed in (0, 1)]
    together = th.fit_many(experiment, configs, mode="exact")
    assert {r.traces for r in together} == {1}
    for config, member in zip(configs, together, strict=True):
        alone = th.fit(experiment, **config)
        np.testing.assert_array_equal(member.history["val_risk"], alone.history["val_risk"])


def test_frozen_layers_keep_the_fitted_parameters(fitted):
    model = th.freeze(th.models.MLP(2, width=4, depth=1, activation="tanh"), "layers/0")
    tuned = th.fit(th.Task(model, parts(), optimizer=optax.adam(0.1), epochs=5, start=fitted))
    assert tuned.n_params == 5
    before, after = fitted.model.params["layers"], tuned.model.params["layers"]
    np.testing.assert_array_equal(before[0]["kernel"], after[0]["kernel"])
    assert np.abs(before[1]["kernel"] - after[1]["kernel"]).max() > 0.01
    again = th.fit(net(lr=1e-9, start=tuned))  # frozen leaves start a model that trains them
    assert again.history["train_risk"][0] == pytest.approx(tuned.evaluate("train"), rel=1e-5)


@pytest.mark.parametrize("kind", ["nnx", "equinox", "pair"])
def test_modules_of_other_libraries_start_from_a_fit(kind):
    def model(seed):
        if kind == "pair":
            return (
                lambda key: {"w": jax.random.normal(jax.random.key(seed), (2,))},
                lambda p, x: p["w"] @ x,
            )
        if kind == "nnx":
            nnx = pytest.importorskip("flax.nnx")
            rngs = nnx.Rngs(jax.random.key(seed))
            return nnx.Sequential(
                nnx.Linear(2, 3, rngs=rngs), jnp.tanh, nnx.Linear(3, 1, rngs=rngs)
            )
        eqx = pytest.importorskip("equinox")
        return eqx.nn.MLP(2, "scalar", 3, 1, key=jax.random.key(seed))

    def task(seed, lr, start=None):
        return th.Task(model(seed), parts(), optimizer=optax.adam(lr), epochs=10, start=start)

    first = th.fit(task(0, 0.05))
    second = th.fit(task(7, 1e-9, first))
    assert second.history["val_risk"][0] == pytest.approx(first.risk["val"], rel=1e-5)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"width": 5}, ["layers/0/bias", "(4,) in start", "(5,) in this model"]),
        ({"width": 4, "depth": 2}, ["layers/1/bias", "(1,) in start", "(4,) in this model"]),
        ({"width": 4, "depth": 0}, ["layers/0/bias", "(1,) in this model"]),
        ({"width": 4, "bias": False}, ["start has the parameter 'layers/0/bias'", "(4,)"]),
        ({"width": 4, "activation": "relu"}, ["activation='tanh'", "activation='relu'"]),
    ],
)
def test_start_refuses_another_model_by_name(fitted, model, words):
    other = th.models.MLP(2, **({"depth": 1, "activation": "tanh"} | model))
    with pytest.raises(th.InputError) as raised:
        th.fit(th.Task(other, parts(), start=fitted))
    assert all(word in str(raised.value) for word in words), raised.value


def test_start_refuses_what_is_not_a_fit_or_not_finite(fitted):
    with pytest.raises(th.InputError, match="start=dict: give the Result of a fit"):
        net(start={})
    broken = fitted.as_start()
    broken = type(broken)({**broken.leaves, "layers/0/bias": np.full(4, np.nan)})
    with pytest.raises(th.InputError, match="layers/0/bias is not finite"):
        th.fit(net(start=broken))


def test_polynomials_of_another_domain_are_refused():
    x = np.linspace(0, 2, 40, dtype="float32")[:, None]
    data = th.Data((x, x[:, 0] ** 2))

    def task(hi, start=None):
        model = th.models.Polynomial(2, "chebyshev", domain=(0.0, hi))
        return th.Task(model, data, optimizer="sgd", epochs=3, start=start)

    with pytest.raises(th.InputError, match=r"domain=\(0.0, 2.0\).*domain=\(0.0, 3.0\)"):
        th.fit(task(3.0, th.fit(task(2.0))))


def test_another_table_is_standardised_by_the_table_of_the_start(wages):
    other = table(60, 9.0, 1, scale=4.0)
    moved = th.fit(linear(split(other), start=wages))
    rows = other[["a", "b"]]
    np.testing.assert_allclose(moved.predict(rows), wages.predict(rows), rtol=1e-6)
    assert th.fit(linear(split(other))).data.transform.y_std != wages.data.transform.y_std
    val = split(other).rows["val"]
    errors = (moved.predict(rows) - other["y"].to_numpy())[val] / wages.data.transform.y_std
    assert moved.risk["val"] == pytest.approx(float(np.mean(errors**2)), rel=1e-6)


def test_splits_by_a_traced_seed_start_in_the_units_of_the_fit(wages):
    frame = table(60, 9.0, 1, scale=4.0)

    def experiment(seed: th.Seed = 0) -> th.Task:
        data = th.split(th.read_table(frame, target="y"), train=0.6, val=0.4, test=0, seed=seed)
        return linear(data, start=wages)

    rows = frame[["a", "b"]]
    for result in th.fit_many(experiment, [{"seed": s} for s in (0, 1)]):
        np.testing.assert_allclose(result.predict(rows), wages.predict(rows), rtol=1e-5)
        assert float(result.data.transform.x_mean[0]) == float(wages.data.transform.x_mean[0])


def test_missing_values_are_filled_by_their_own_table(wages):
    frame = table(60, 9.0, 1)
    frame.loc[3, "a"] = np.nan
    begun = th.fit(linear(split(table(60, 0.0, seed=3), missing="mean")))
    with pytest.warns(
        th.Notice, match=r"own train part fills missing values: 'a' with .*in the st"
    ):
        th.fit(linear(split(frame, missing="mean"), start=begun))
    moved = th.fit(linear(split(frame, missing="mean"), start=wages))
    fill = np.nanmean(frame["a"].to_numpy()[split(frame, missing="mean").rows["train"]])
    want = wages.predict(pd.DataFrame({"a": [fill], "b": [90.0]}))
    got = moved.predict(pd.DataFrame({"a": [np.nan], "b": [90.0]}))
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_other_columns_levels_and_units_are_refused(wages):
    frame = table(40, 5.0, 2)
    swapped = frame[["b", "a", "y"]]
    with pytest.raises(th.InputError, match="columns a, b, and this table has b, a"):
        th.fit(linear(split(swapped), start=wages))
    with pytest.raises(th.InputError, match="standardised table"):
        th.fit(linear((frame[["a", "b"]].to_numpy(), frame["y"].to_numpy()), start=wages))
    plain = th.fit(linear((np.ones((9, 2)), np.ones(9))))
    with pytest.raises(th.InputError, match="this table is standardised"):
        th.fit(linear(split(frame), start=plain))
    frame["y"] = (frame["y"] > frame["y"].median()).astype(int)
    with pytest.raises(th.InputError, match="start from a fit with the same loss"):
        th.fit(linear(split(frame), loss="logistic", start=wages))


def test_other_classes_are_refused():
    x = np.linspace(-1, 1, 40, dtype="float32")[:, None]

    def task(labels, start=None):
        y = np.where(x[:, 0] > 0, *labels)
        model = th.models.Linear(1)
        return th.Task(model, th.Data((x, y)), loss="logistic", epochs=3, start=start)

    first = th.fit(task(("up", "down")))
    assert th.fit(task(("up", "down"), first)).risk["train"] < first.risk["train"]
    with pytest.raises(th.InputError, match="classes 'down', 'up', and these data have 'a', 'b'"):
        th.fit(task(("a", "b"), first))


def test_resume_refuses_another_start_by_name(fitted, tmp_path):
    path = tmp_path / "fit.ckpt"
    th.fit(net(start=fitted), checkpoint=path)
    longer = th.fit(net(epochs=9, start=fitted), checkpoint=path, resume=True)
    whole = th.fit(net(epochs=9, start=fitted))
    np.testing.assert_array_equal(longer.history["val_risk"], whole.history["val_risk"])
    assert "start" in longer.provenance
    with pytest.raises(th.InputError, match="start was .*a Result"):
        th.fit(net(epochs=9), checkpoint=path, resume=True)
    with pytest.raises(th.InputError, match="start was .*, is .*a Result"):
        th.fit(net(epochs=9, start=longer), checkpoint=path, resume=True)


def test_a_start_on_another_target_is_noticed_and_its_units_are_those_of_the_start() -> None:
    x = np.random.default_rng(3).normal(size=60)

    def task(name: str, y: np.ndarray, start: th.Result | None = None) -> th.Task:
        data = th.split(th.read_table({"a": x, name: y}, target=name), seed=0)
        return th.Task(th.models.Linear(1), data, optimizer="lbfgs", epochs=5, start=start)

    first = th.fit(task("y", 2 * x))
    with pytest.warns(th.Notice, match="fitted to the target 'y', and this table's is 'wage'"):
        second = th.fit(task("wage", 200 * x, first))
    assert str(second.risk_unit).endswith(
        " wage², the variance of the target in the training part of the fit that it started from"
    )
    np.testing.assert_allclose(second.predict({"a": [1.0]}), [200.0], rtol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", th.Notice)
        th.fit(task("y", 2 * x, first))
