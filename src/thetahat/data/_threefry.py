"""Random words as JAX makes them, in NumPy: nothing is compiled.

JAX derives keys from seeds and from other keys by calls of Threefry, and the words of a key by
one more. All integers are uint32, and wrap around.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from thetahat.data._cache import jax_setting

_U32 = np.uint32
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
"""Bits by which Threefry rotates in rounds 1 to 4, and in rounds 5 to 8; then again."""
Words = tuple[np.ndarray, np.ndarray]
"""The two words of keys, or of what Threefry encrypts."""


def is_default_generator() -> bool:
    """Return whether JAX makes random numbers in its default way: the one that is here."""
    default = jax_setting("jax_default_prng_impl") == "threefry2x32"
    return bool(default and jax_setting("jax_threefry_partitionable"))


def threefry(keys: Words, counts: Words) -> Words:
    """Return the blocks of Threefry-2x32 with 20 rounds, of keys and counts that broadcast.

    Source:  Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3.
    """
    schedule = (*keys, keys[0] ^ keys[1] ^ _U32(0x1BD11BDA))
    x, y = counts[0] + schedule[0], counts[1] + schedule[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x = x + y
            y = (y << _U32(rotation)) | (y >> _U32(32 - rotation))
            y = y ^ x
        x = x + schedule[(group + 1) % 3]
        y = y + schedule[(group + 2) % 3] + _U32(group + 1)
    return x, y


def folded_in(keys: Words, numbers: np.ndarray) -> Words:
    """Return ``jax.random.fold_in`` of keys and numbers that broadcast."""
    return threefry(keys, (np.zeros_like(numbers), numbers))


def random_words(keys: Words, shape: Sequence[int]) -> Words:
    """Return the two random words of each element of a shape, of fewer than 2**32 elements.

    Args:    keys: words of shape (*K).
    Returns: words of shape (*K, *shape): the keys of ``jax.random.split``.
    """
    numbers = np.arange(math.prod(shape), dtype=_U32)[None, :]
    words = folded_in((keys[0].reshape(-1, 1), keys[1].reshape(-1, 1)), numbers)
    first, second = (word.reshape((*keys[0].shape, *shape)) for word in words)
    return first, second
