"""Models of every kind, dropout, frozen parts and float64, through the whole engine."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from flax import nnx
from small import draw, parts

import thetahat as th


class Net(nnx.Module):
    """Two layers, with dropout between them."""

    def __init__(self, d: int, width: int, rate: float = 0.0, *, rngs: nnx.Rngs) -> None:
        self.inner = nnx.Linear(d, width, rngs=rngs)
        self.drop = nnx.Dropout(rate, rngs=rngs)
        self.outer = nnx.Linear(width, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.outer(self.drop(nnx.tanh(self.inner(x))))


def nnx_net(lr: float = 0.05, seed: th.Seed = 0, rate: th.Static[float] = 0.0) -> th.Task:
    """A Flax NNX module, built inside the trace."""
    return th.Task(
        Net(2, 6, rate, rngs=nnx.Rngs(jax.random.key(seed))),
        parts(),
        optimizer=optax.adam(lr),
        epochs=15,
        batch_size=16,
        seed=seed,
    )


def eqx_net(lr: float = 0.05, seed: th.Seed = 0) -> th.Task:
    """An Equinox module."""
    model = eqx.nn.MLP(2, "scalar", 6, 1, activation=jnp.tanh, key=jax.random.key(seed))
    return th.Task(model, parts(), optimizer=optax.adam(lr), epochs=15, batch_size=16, seed=seed)


@pytest.mark.usefixtures("fresh_programs")
@pytest.mark.parametrize("experiment", [nnx_net, eqx_net])
def test_modules_train_in_cohorts_and_come_back_as_they_were(experiment: Any) -> None:
    configs = [{"lr": 0.02, "seed": 1}, {"lr": 0.1, "seed": 2}]
    together = th.fit_many(experiment, configs)
    kind = nnx.Module if experiment is nnx_net else eqx.Module
    x = draw().x[:3]
    for config, member in zip(configs, together, strict=True):
        alone = th.fit(experiment, **config)
        np.testing.assert_allclose(member.history["val_risk"], alone.history["val_risk"], rtol=1e-5)
        assert isinstance(alone.model, kind)
        own = np.array([np.squeeze(alone.model(jnp.asarray(row))) for row in x])
        np.testing.assert_allclose(own, alone.predict(x), rtol=1e-6)
        assert alone.n_params == 25
    assert together[0].traces == 1


def test_nnx_rngs_of_a_traced_seed_say_how_to_write_it() -> None:
    def plain(seed: th.Seed = 0) -> th.Task:
        return th.Task(Net(2, 6, rngs=nnx.Rngs(seed)), parts())

    with pytest.raises(th.InputError) as caught:
        th.fit(plain)
    assert str(caught.value) == (
        "nnx.Rngs takes an int or a key, and a th.Seed is traced; write"
        " nnx.Rngs(jax.random.key(seed)), so that many seeds train as one program"
    )


def test_dropout_is_new_every_step_replayable_and_off_in_evaluation() -> None:
    wet, again = th.fit(nnx_net, rate=0.5), th.fit(nnx_net, rate=0.5)
    dry = th.fit(nnx_net)
    np.testing.assert_array_equal(wet.history["train_risk"], again.history["train_risk"])
    assert not np.isclose(wet.history["train_risk"][0], dry.history["train_risk"][0], rtol=1e-3)
    assert wet.evaluate("val") == pytest.approx(wet.risk["val"], rel=1e-6)
    other = th.fit(nnx_net, rate=0.5, seed=1)
    assert other.history["train_risk"][0] != wet.history["train_risk"][0]


def test_a_frozen_part_does_not_move() -> None:
    base = nnx_net()
    first = Net(2, 6, rngs=nnx.Rngs(0))
    result = th.fit(dataclasses.replace(base, model=th.trainable(first, "outer")))
    assert result.n_params == 7
    np.testing.assert_array_equal(result.model.inner.kernel[...], first.inner.kernel[...])
    assert not np.array_equal(result.model.outer.kernel[...], first.outer.kernel[...])


def test_float64_holds_for_its_fit_alone() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3))
    y = x @ [1.0, 2.0, 3.0] + 0.5
    task = th.Task(
        th.models.Linear(3, seed=0),
        th.Data((x, y)),
        optimizer=th.optim.named("sgd", 0.3),
        epochs=300,
        dtype="float64",
    )
    result = th.fit(task)
    assert {leaf.dtype for leaf in jax.tree.leaves(result.params)} == {np.dtype("float64")}
    assert result.risk["train"] < 1e-20
    np.testing.assert_allclose(result.predict(x), y, rtol=1e-10)
    assert jnp.ones(1).dtype == jnp.float32
    single = th.fit(dataclasses.replace(task, dtype="float32"))
    assert single.risk["train"] > 1e-20


def test_lbfgs_refuses_minibatches() -> None:
    task = th.Task(th.models.Linear(2), parts(), optimizer=th.optim.lbfgs(), batch_size=8)
    with pytest.raises(th.InputError) as caught:
        th.fit(task)
    assert str(caught.value) == (
        "this optimizer searches along the full risk, and stalls on batches of 8; give batch_size=None"
    )


def test_predictions_undo_a_tables_standardisation() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": rng.normal(50, 10, 200), "b": rng.uniform(0, 1e-3, 200)})
    frame["y"] = 3 * frame.a + 2000 * frame.b + 7
    data = th.split(th.read_table(frame, "y"), train=0.8, val=0.2, test=None, seed=0)
    result = th.fit(
        th.Task(th.models.Linear(2, seed=0), data, optimizer=th.optim.named("sgd", 0.3), epochs=60)
    )
    np.testing.assert_allclose(result.predict(frame), frame.y, rtol=1e-4)
    np.testing.assert_allclose(result.predict(frame[["b", "a"]].head(3)), frame.y[:3], rtol=1e-4)


def test_second_order_methods_take_the_residuals_of_the_engine() -> None:
    def fitted(name: str, **fields: Any) -> th.Result:
        task = th.Task(
            th.models.MLP(2, width=5, depth=1, activation="tanh", seed=0),
            th.Data(draw(60, noise=0.0)),
            optimizer=name,
            epochs=25,
            **fields,
        )
        return th.fit(task)

    risks = {name: fitted(name).risk["train"] for name in ("lm", "gauss_newton", "lbfgs", "adam")}
    assert risks["lm"] < 1e-3 * risks["adam"]
    assert max(risks["gauss_newton"], risks["lbfgs"]) < risks["adam"]


def test_levenberg_marquardt_takes_a_ridge_penalty() -> None:
    obs = draw(40)
    task = th.Task(
        th.models.Linear(2, bias=False, seed=0),
        th.Data(obs),
        penalty=th.ridge(0.3),
        optimizer="lm",
        epochs=20,
    )
    n, x = len(obs), np.asarray(obs.x, np.float64)
    exact = np.linalg.solve(2 / n * x.T @ x + 0.3 * np.eye(2), 2 / n * x.T @ obs.y)
    np.testing.assert_allclose(th.fit(task).params["kernel"], exact, rtol=1e-4)


def test_a_vector_residual_averages_over_its_components_for_every_optimizer() -> None:
    obs = draw(40)
    y = np.stack([obs.y, -obs.y], axis=1)
    task = th.Task(th.models.Linear(2, out=2, seed=0), th.Data((obs.x, y)), epochs=30)
    exact = dataclasses.replace(task, optimizer=th.optim.lbfgs())
    lm = dataclasses.replace(task, optimizer=th.optim.levenberg_marquardt())
    best = np.linalg.lstsq(np.c_[obs.x, np.ones(40)], y, rcond=None)
    risk = np.mean((np.c_[obs.x, np.ones(40)] @ best[0] - y) ** 2)
    assert th.fit(exact).risk["train"] == pytest.approx(risk, rel=1e-4)
    assert th.fit(lm).risk["train"] == pytest.approx(risk, rel=1e-4)
