"""Products of one observation with a small kernel are those of ``@``."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

# Private: no public name shows which way a product is computed.
from thetahat.models._products import product


def arrays(*shape: int) -> jax.Array:
    """Numbers of this shape."""
    return jnp.asarray(np.random.default_rng(shape).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("x", [(3,), (1, 3), (1, 1, 3), (5, 3)])
@pytest.mark.parametrize("out", [1, 2, 16, 40])
def test_values_and_gradients_are_those_of_a_matrix_product(x, out):
    x, kernel = arrays(*x), arrays(3, out)

    def scored(multiply):
        return lambda x, kernel: jnp.sum(jnp.sin(multiply(x, kernel)))

    assert product(x, kernel).shape == (x @ kernel).shape
    np.testing.assert_allclose(product(x, kernel), x @ kernel, rtol=1e-5, atol=1e-6)
    mine = jax.grad(scored(product), (0, 1))(x, kernel)
    theirs = jax.grad(scored(jnp.matmul), (0, 1))(x, kernel)
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("into", "out", "whole"),
    [(1, 64, False), (4, 16, False), (2, 32, False), (2, 33, True), (5, 8, True), (4, 1, True)],
)
def test_small_kernels_alone_are_multiplied_term_by_term(into, out, whole):
    traced = str(jax.make_jaxpr(product)(arrays(into), arrays(into, out)))
    assert ("dot_general" in traced) == whole


@pytest.mark.parametrize(
    ("x", "kernel"), [((7, 2), (2, 8)), ((2,), (2,)), ((0,), (0, 8)), ((2,), (3, 2, 8))]
)
def test_other_shapes_are_left_to_the_other_way(x, kernel):
    asked = []
    product(arrays(*x), arrays(*kernel), lambda *both: asked.append([a.shape for a in both]))
    assert asked == [[x, kernel]]
