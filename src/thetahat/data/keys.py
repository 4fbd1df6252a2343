"""Random keys by role: independent streams for data, split, initial parameters, order, dropout, and
points that are redrawn.

Each role is folded into the key of the seed, so that another depth of the model, for example, does
not change the test set.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from thetahat.core.errors import DataError
from thetahat.core.numbers import is_traced
from thetahat.core.signature import MAX_SEED
from thetahat.data._cache import use_cache

DATA, SPLIT, INIT, SHUFFLE, DROPOUT, REDRAW = 1, 2, 3, 4, 5, 6


def check_seed(seed: Any) -> None:
    """Refuse a value that is not a seed; of a traced value, check only the type.

    Keys hold 32 bits: a seed beyond them would silently be another one's.

    Raises:  DataError: not an integer, or outside 0 .. 2**31 - 1.
    """
    kind = getattr(getattr(seed, "dtype", None), "kind", "i" if isinstance(seed, int) else None)
    if kind not in ("i", "u") or isinstance(seed, bool):
        raise DataError(f"seed={seed!r:.80}; give an integer (seed: th.Seed in an experiment)")
    if not is_traced(seed) and np.ndim(seed) == 0 and not 0 <= int(seed) <= MAX_SEED:
        raise DataError(f"seed={int(seed)}: give an integer from 0 to 2**31 - 1, such as seed=42")


def role_key(seed: Any, role: int) -> jax.Array:
    """Return the key of ``role`` for ``seed`` (an int or a traced integer scalar).

    Raises:  DataError: another seed.
    """
    check_seed(seed)
    use_cache()  # a program compiles its draws of data first
    return jax.random.fold_in(jax.random.key(seed), role)
