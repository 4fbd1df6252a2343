"""Random keys by role: independent streams for data, split, initial parameters, order and dropout.

Each role is folded into the key of the seed, so that another depth of the model, for example, does
not change the test set.
"""

from __future__ import annotations

from typing import Any

import jax

from thetahat.core.errors import DataError
from thetahat.data._cache import use_cache

DATA, SPLIT, INIT, SHUFFLE, DROPOUT = 1, 2, 3, 4, 5


def check_seed(seed: Any, bits: int = 64) -> None:
    """Refuse what is no seed.

    Raises:  DataError: no integer, or one of more bits.
    """
    kind = getattr(getattr(seed, "dtype", None), "kind", "i" if isinstance(seed, int) else None)
    if kind not in ("i", "u") or isinstance(seed, bool):
        raise DataError(f"seed={seed!r:.80}; give an integer (seed: th.Seed in an experiment)")
    if isinstance(seed, int) and not -(2 ** (bits - 1)) <= seed < 2 ** (bits - 1):
        raise DataError(f"seed={seed:,}: give an integer of {bits} bits, such as 0")


def role_key(seed: Any, role: int) -> jax.Array:
    """Return the key of ``role`` for ``seed`` (an int or a traced integer scalar).

    Raises:  DataError: another seed.
    """
    check_seed(seed)
    use_cache()  # a program compiles its draws of data first
    return jax.random.fold_in(jax.random.key(seed), role)
