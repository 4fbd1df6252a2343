"""The orders of epochs, made in NumPy: those of ``order``, bit for bit, and nothing is compiled.

A program for them takes half a second to compile, which is longer than many a fit takes to train.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from thetahat.data._cache import jax_setting
from thetahat.data._permutation import SORTED_BELOW, grid, n_rounds
from thetahat.data.keys import SHUFFLE

_BLOCK = 1 << 14
"""Indices that are made at once: as many as a processor's cache holds."""
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_Pair = tuple[np.ndarray, np.ndarray]


def host_orders(
    seed: object, epoch: int, n: int, size: int, sampling: str = "shuffle"
) -> np.ndarray | None:
    """Return the orders of ``n`` epochs from ``epoch`` on, int32, shape (n, size).

    Args:    seed: an int; or an array of C seeds, then the shape is (C, n, size).
    Returns: None for a sampling other than "shuffle", for a seed beyond 31 bits, or if JAX does not
             make random numbers in its default way: only JAX makes these.
    """
    if not orders_on_host(seed, sampling):
        return None
    seeds = np.asarray(seed).astype(np.uint32)
    many = seeds.reshape(-1)
    role = _threefry((np.zeros_like(many), many), (np.zeros_like(many), _word(SHUFFLE)))
    epochs = np.arange(epoch, epoch + n, dtype=np.uint32)[None, :]
    keys = _threefry((role[0][:, None], role[1][:, None]), (np.zeros_like(epochs), epochs))
    first, second = (word.reshape(-1) for word in keys)
    orders = np.empty((len(first), size), np.int32)
    for rows in _blocks(len(first), size):
        orders[rows] = _orders((first[rows, None], second[rows, None]), size)
    return orders.reshape(*seeds.shape, n, size)


def host_order(seed: object, role: int, n: int) -> np.ndarray | None:
    """Return ``permutation(role_key(seed, role), n)``, int32, shape (n,).

    Returns: None where ``host_orders`` gives None, and for wrong arguments: JAX's refuses them.
    """
    if isinstance(seed, bool) or not orders_on_host(seed, "shuffle") or not 1 <= n < 2**31:
        return None
    zero, one = np.zeros(1, np.uint32), np.asarray(seed).astype(np.uint32).reshape(1)
    first, second = _threefry((zero, one), (zero, _word(role)))
    return _orders((first[:, None], second[:, None]), n)[0].astype(np.int32)


def orders_on_host(seed: object, sampling: str) -> bool:
    """Return whether ``host_orders`` makes these orders."""
    default = jax_setting("jax_default_prng_impl") == "threefry2x32"
    if sampling != "shuffle" or not (default and jax_setting("jax_threefry_partitionable")):
        return False
    if not isinstance(seed, int | np.integer | np.ndarray):
        return False
    seeds = np.asarray(seed)
    return seeds.dtype.kind in "iu" and bool(((seeds >= 0) & (seeds < 2**31)).all())


def _word(number: object) -> np.ndarray:
    return np.array([number], np.uint32)


def _blocks(n: int, size: int) -> Iterator[slice]:
    step = max(1, _BLOCK // size)
    return (slice(start, start + step) for start in range(0, n, step))


def _orders(keys: _Pair, n: int) -> np.ndarray:
    if n < SORTED_BELOW:
        return np.argsort(_bits(keys, n), axis=1, kind="stable")
    a, b = grid(n)
    words = _bits(keys, 2 * n_rounds(n)).T[:, :, None]
    image = _forward(np.arange(n, dtype=np.uint32)[None, :], words, a, b)
    if a * b == n:
        return image
    # The few points that left [0, n) follow their cycles, as in ``_permutation._walk_back``.
    outside = np.broadcast_to(np.arange(n, a * b, dtype=np.uint32), (len(image), a * b - n))
    origin = _backward(outside, words, a, b)
    inside = origin < n
    target = np.where(inside, outside, np.uint32(0))
    while (away := target >= n).any():
        target = np.where(away, _forward(target, words, a, b), target)
    image[np.nonzero(inside)[0], origin[inside]] = target[inside]
    return image


def _forward(i: np.ndarray, words: np.ndarray, a: int, b: int) -> np.ndarray:
    left, right = (side.astype(np.uint32) for side in np.divmod(i, np.uint32(b)))
    for k in range(0, len(words), 4):
        left = _plus(left, _keyed(right, words[k], words[k + 1], a), a)
        right = _plus(right, _keyed(left, words[k + 2], words[k + 3], b), b)
    return left * np.uint32(b) + right


def _backward(i: np.ndarray, words: np.ndarray, a: int, b: int) -> np.ndarray:
    left, right = (side.astype(np.uint32) for side in np.divmod(i, np.uint32(b)))
    for k in range(len(words) - 4, -1, -4):
        right = _plus(right, np.uint32(b) - _keyed(left, words[k + 2], words[k + 3], b), b)
        left = _plus(left, np.uint32(a) - _keyed(right, words[k], words[k + 1], a), a)
    return left * np.uint32(b) + right


def _plus(value: np.ndarray, shift: np.ndarray, modulus: int) -> np.ndarray:
    total = value + shift
    return np.minimum(total, total - np.uint32(modulus), out=total)


def _keyed(value: np.ndarray, first: np.ndarray, second: np.ndarray, modulus: int) -> np.ndarray:
    h = value + first
    h *= np.uint32(0x9E3779B1)
    h ^= h >> np.uint32(15)
    h ^= second
    h *= np.uint32(0x85EBCA77)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE3D)
    bits = modulus.bit_length()
    h >>= np.uint32(bits)
    h *= np.uint32(modulus)
    h >>= np.uint32(32 - bits)
    return h


def _bits(keys: _Pair, n: int) -> np.ndarray:
    """Return ``jax.random.bits`` of keys, shape (keys, n)."""
    count = np.arange(n, dtype=np.uint32)[None, :]
    high, low = _threefry(keys, (np.zeros_like(count), count))
    return high ^ low


def _threefry(keys: _Pair, counts: _Pair) -> _Pair:
    """Return the blocks of Threefry-2x32 with 20 rounds.

    Source:  Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3.
    """
    schedule = (*keys, keys[0] ^ keys[1] ^ np.uint32(0x1BD11BDA))
    x, y = counts[0] + schedule[0], counts[1] + schedule[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x = x + y
            y = (y << np.uint32(rotation)) | (y >> np.uint32(32 - rotation))
            y = y ^ x
        x = x + schedule[(group + 1) % 3]
        y = y + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return x, y
