"""Random keys by role: one stream each, so that no choice in one disturbs another.

The test set must not change when the model's depth does: data, split, initial parameters, shuffling
and dropout each fold their own role into the seed's key.
"""

from __future__ import annotations

from typing import Any

import jax

from thetahat.data._cache import use_cache

DATA, SPLIT, INIT, SHUFFLE, DROPOUT = 1, 2, 3, 4, 5


def role_key(seed: Any, role: int) -> jax.Array:
    """The key of ``role`` for ``seed`` (an int or a traced integer scalar)."""
    use_cache()  # drawing data is the first thing that a program compiles
    return jax.random.fold_in(jax.random.key(seed), role)
