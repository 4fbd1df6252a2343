"""Products of matrices have full precision on accelerators, unless the user asks for another."""

import jax
import jax.numpy as jnp
import pytest

# Private: no public name opens the context of a fit without a fit, and no accelerator is here.
from thetahat.train.jax._precision import precision


def product() -> str:
    """What XLA is asked to do for a product of matrices."""
    a = jnp.ones((2, 2), jnp.float32)
    return str(jax.make_jaxpr(lambda a: a @ a)(a))


@pytest.fixture
def _gpu(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


@pytest.mark.usefixtures("_gpu")
def test_an_accelerator_multiplies_with_full_precision():
    with precision("float32"):
        inside = product()
    assert "HIGHEST" in inside
    assert "HIGHEST" not in product()  # the user's own code is as before


@pytest.mark.usefixtures("_gpu")
def test_float64_stays_float64():
    with precision("float64"):
        assert jnp.ones(2).dtype == "float64"
        assert "HIGHEST" in product()


@pytest.mark.usefixtures("_gpu")
def test_another_precision_is_obeyed():
    with jax.default_matmul_precision("tensorfloat32"), precision("float32"):
        assert "HIGHEST" not in product()


def test_a_cpu_is_left_alone():
    with precision("float32"):
        assert "HIGHEST" not in product()
