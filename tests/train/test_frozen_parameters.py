"""``result.params``: all parameters of a model, those that were frozen included."""

from __future__ import annotations

import pickle
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from small import parts

import thetahat as th


class Net(nnx.Module):
    """Two layers, and a buffer that is no parameter."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(2, 3, rngs=rngs)
        self.last = nnx.Linear(3, 1, rngs=rngs)
        self.scale = nnx.BatchStat(jnp.full(1, 2.0))

    def __call__(self, x: Any) -> Any:
        return self.scale * self.last(jnp.tanh(self.first(x)))


class Equinox(eqx.Module):
    """Two layers."""

    first: eqx.nn.Linear
    last: eqx.nn.Linear

    def __call__(self, x: Any) -> Any:
        return self.last(jnp.tanh(self.first(x)))


def pair() -> Any:
    """Two layers, and a degree that is no array."""

    def init(key: Any) -> Any:
        first, last = (jax.random.normal(k, s) for k, s in ((key, (2, 3)), (key, (3, 1))))
        return {"first": {"kernel": first}, "last": {"kernel": last}, "degree": 1}

    def apply(params: Any, x: Any) -> Any:
        return params["last"]["kernel"].T @ jnp.tanh(params["first"]["kernel"].T @ x)

    return init, apply


def module(kind: str) -> Any:
    if kind == "nnx":
        return Net(nnx.Rngs(0))
    if kind == "equinox":
        a, b = jax.random.split(jax.random.key(0))
        return Equinox(eqx.nn.Linear(2, 3, key=a), eqx.nn.Linear(3, 1, key=b))
    if kind == "torch":
        torch.manual_seed(0)
        first, last = torch.nn.Linear(2, 3), torch.nn.Linear(3, 1)
        return torch.nn.Sequential(first, torch.nn.Tanh(), last).double()
    return pair()


KERNEL = {"nnx": "kernel", "equinox": "weight", "pair": "kernel", "torch": "weight"}


@pytest.mark.parametrize("kind", KERNEL)
def test_params_has_frozen_parameters_as_they_began(kind, tmp_path):
    name = "0" if kind == "torch" else "first"
    model = module(kind)
    began = th.models.adapt(model, 0).params[name][KERNEL[kind]]
    optimizer = optax.adam(0.1)
    task = th.Task(th.freeze(model, name), parts(), optimizer=optimizer, epochs=3)
    result = th.fit(task)
    params = result.params
    np.testing.assert_allclose(params[name][KERNEL[kind]], began, rtol=1e-6)
    whole = th.fit(th.Task(module(kind), parts(), optimizer=optimizer, epochs=3)).params
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, whole)
    assert "scale" not in params
    size = sum(np.size(leaf) for leaf in jax.tree.leaves(params["last" if name != "0" else "2"]))
    assert result.n_params == size
    result.save(tmp_path / "fit.theta")
    again = th.load(tmp_path / "fit.theta", task)
    equal(again.params, params)
    if kind == "pair":
        assert params["degree"] == 1


def test_a_model_of_thetahat_has_all_parameters_after_loading_and_pickling(tmp_path):
    model = th.freeze(th.models.MLP(2, width=4, depth=1), "layers/0")
    result = th.fit(th.Task(model, parts(), optimizer=optax.adam(0.1), epochs=3))
    own = th.models.adapt(th.models.MLP(2, width=4, depth=1), 0).params
    kernel = result.params["layers"][0]["kernel"]
    np.testing.assert_allclose(kernel, own["layers"][0]["kernel"], rtol=1e-5)
    equal(result.params, result.model.params)
    result.save(tmp_path / "fit.theta")
    equal(th.load(tmp_path / "fit.theta").params, result.params)
    equal(pickle.loads(pickle.dumps(result)).params, result.params)


def test_a_bag_of_frozen_members_has_all_parameters_of_each(tmp_path):
    model = th.freeze(th.models.MLP(2, width=4, depth=1), "layers/0")
    bag = th.fit_bagged(th.Task(model, parts(), optimizer=optax.adam(0.1), epochs=3), members=2)
    assert bag.params["layers"][0]["kernel"].shape == (2, 2, 4)
    for k, member in enumerate(bag.members):
        equal(jax.tree.map(lambda leaf, k=k: leaf[k], bag.params), member.params)
    bag.save(tmp_path / "bag.theta")
    loaded = th.load(tmp_path / "bag.theta")
    equal(loaded.params, bag.params)
    x = np.array([[0.5, -1.0]])
    np.testing.assert_array_equal(loaded.predict(x), bag.predict(x))


def equal(one: Any, other: Any) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)
