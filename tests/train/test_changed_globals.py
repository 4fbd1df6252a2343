"""A program whose globals changed after the fit does not predict in silence."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import thetahat as th

# Keys of globals are tested by themselves, without a fit each.
from thetahat.core.content import globals_read

X = np.linspace(-1, 1, 20)
DEGREE = 2


def power(x: Any, k: int) -> Any:
    return x**k


def features(x: Any) -> Any:
    return jnp.stack([power(x, k) for k in range(DEGREE + 1)])


def weighed(weight: float) -> Callable[[Any], Any]:
    return lambda x: weight * x


double = weighed(2.0)


def init(key: Any) -> dict[str, Any]:
    return {"w": jnp.zeros(DEGREE + 1)}


def h(params: dict[str, Any], x: Any) -> Any:
    return double(params["w"] @ features(x))


def curve(lr: float = 0.1, seed: th.Seed = 0) -> th.Task:
    data = th.Data((X, X**2))
    return th.Task((init, h), data, optimizer=th.optim.named("sgd", lr), epochs=2, seed=seed)


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.linear = nnx.Linear(3, 1, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.linear(features(x))[0]


def net() -> th.Task:
    return th.Task(Net(nnx.Rngs(0)), th.Data((X, X**2)), epochs=1)


def other(x: Any) -> Any:
    return jnp.stack([power(x, k + 1) for k in range(3)])


MOVED = """
import jax.numpy as jnp

DEGREE = 2


# Another place, and other words.
def power(x, k):
    return x**k


def features(x):
    return jnp.stack([power(x, k) for k in range(DEGREE + 1)])
"""
HERE = sys.modules[__name__]


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("experiment", [curve, net])
def test_a_function_that_changed_is_named(
    experiment: Callable[..., th.Task], built: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = th.fit(experiment() if built else experiment)
    before = result.predict(X)
    monkeypatch.setattr(HERE, "features", other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(result.predict(X), before), "it is compiled, and reads no global"
    with pytest.warns(th.Notice, match="^features: changed since the fit.*set it back, or fit"):
        result.predict(X[:7])
    with pytest.warns(th.Notice, match="^features: "):
        result.predict(X[:7])
    with pytest.warns(th.Notice, match="^features: "):
        result.evaluate("train")
    monkeypatch.undo()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result.predict(X[:6])


@pytest.mark.parametrize(
    ("name", "value"),
    [("DEGREE", 3), ("double", weighed(3.0)), ("power", lambda x, k: jnp.sin(k * x))],
)
def test_numbers_closures_and_what_a_function_calls_count(
    name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = globals_read(curve)
    monkeypatch.setattr(HERE, name, value)
    now = globals_read(curve)
    assert {k.rpartition(".")[2] for k, key in before.items() if now.get(k) != key} == {name}


def test_the_same_code_again_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    before = globals_read(curve)
    # Arrays do not count: to read them takes time.
    names = ("init", "h", "features", "power", "double", "DEGREE")
    assert set(before) == {f"{__name__}.{name}" for name in names}
    space: dict[str, Any] = {"__name__": __name__}
    exec(MOVED, space)
    monkeypatch.setattr(HERE, "features", space["features"])
    monkeypatch.setattr(HERE, "power", space["power"])
    assert globals_read(curve) == before


def test_a_model_that_was_loaded_reads_globals_too(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    th.fit(curve).save(tmp_path / "curve.theta")
    loaded = th.load(tmp_path / "curve.theta", curve)
    monkeypatch.setattr(HERE, "features", other)
    with pytest.warns(th.Notice, match="^features: "):
        loaded.predict(X[:5])
