"""The suite checks arrays against the shapes that annotations state."""

from __future__ import annotations

import jax.numpy as jnp
import jaxtyping
import pytest

from thetahat.risk import weighted_mean


def test_weights_of_another_length_than_the_values_are_a_fault_of_the_caller() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="weights"):
        weighted_mean(jnp.zeros(3), jnp.zeros(4))
