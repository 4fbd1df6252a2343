"""NumPy arrays that an experiment closes over: in the precision of the fit, as they are now."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thetahat as th

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
NODES = RNG.normal(size=300)
"""Long enough to be an argument of the program."""
FEW = RNG.normal(size=5)
READ = {"asarray": jnp.asarray, "where": lambda a: jnp.where(a > -9, a, 0), "plain": lambda a: a}


def constant(array: np.ndarray, dtype: str) -> th.Result:
    """Fit a constant to a sum over the array, which one step finds."""
    return th.fit(
        th.Task(
            (lambda key: {"c": jnp.zeros(())}, lambda params, x: params["c"]),
            th.Data((X, X[:, 0])),
            residual=lambda h, z: h(z[0]) - jnp.sum(jnp.exp(jnp.asarray(array))),
            optimizer=th.optim.named("sgd", 0.5),
            epochs=2,
            dtype=dtype,
        )
    )


@pytest.mark.parametrize("array", [NODES, FEW], ids=["table", "few"])
def test_double_precision_after_single_precision_has_its_digits(array: np.ndarray) -> None:
    before = constant(array, "float32")
    found = constant(array, "float64")
    exact = np.exp(array).sum()
    assert float(found.params["c"]) == pytest.approx(exact, rel=1e-13)
    assert float(before.params["c"]) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [5, 300])
def test_an_array_that_was_edited_in_place_has_its_new_numbers(dtype: str, size: int) -> None:
    array = RNG.normal(size=size)
    before = constant(array, dtype)
    array[:] = RNG.normal(size=size)
    found = constant(array, dtype)
    assert float(found.params["c"]) == pytest.approx(np.exp(array).sum(), rel=1e-5)
    assert float(found.params["c"]) != float(before.params["c"])


@pytest.mark.parametrize("read", READ)
def test_data_of_a_traced_level_in_double_precision(read: str) -> None:
    y = X @ [1.0, 2.0]

    def experiment(level: float = 1.0, dtype: str = "float32") -> th.Task:
        data = th.Data((X, level * READ[read](y)))
        return th.Task(
            th.models.Linear(2), data, optimizer=th.optim.named("sgd", 0.3), epochs=200, dtype=dtype
        )

    for dtype, digits in (("float64", 1e-12), ("float32", 1e-5), ("float64", 1e-12)):
        found = th.fit(experiment, level=3.0, dtype=dtype)
        assert found.predict(X) == pytest.approx(3 * y, rel=digits, abs=digits)


def test_one_program_holds_an_array_once_and_in_the_precision_in_force() -> None:
    def twice(scale: Any) -> Any:
        return scale * jnp.asarray(NODES) + jnp.asarray(NODES)

    kept = []
    for wide in (False, True, False):
        with jax.enable_x64(wide):
            kept.append(jax.make_jaxpr(twice)(2.0))
        assert [c.dtype for c in kept[-1].consts] == [np.float64 if wide else np.float32]
