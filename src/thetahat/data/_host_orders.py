"""The orders of epochs, made in NumPy: those of ``order``, bit for bit, and nothing is compiled.

A program for them takes half a second to compile, which is longer than many a fit takes to train.

JAX derives the key of an epoch from a seed by two calls of Threefry, and its random words by one
more (``_threefry``); ``_permutation`` turns these words into an order. Here the same functions take
arrays of keys, shape (keys, 1), and give arrays of shape (keys, numbers). All integers are uint32,
and wrap around.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from thetahat.data._permutation import SORTED_BELOW, grid, n_rounds
from thetahat.data._threefry import Words, folded_in, is_default_generator
from thetahat.data.keys import SHUFFLE

_BLOCK = 1 << 14
"""Indices that are made at once: as many as a processor's cache holds."""
_U32 = np.uint32


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
    seeds = np.asarray(seed).astype(_U32)
    by_seed = _role_keys(seeds.reshape(-1), SHUFFLE)
    epochs = np.arange(epoch, epoch + n, dtype=_U32)[None, :]
    by_epoch = folded_in(by_seed, epochs)  # (C, n) each
    first, second = (word.reshape(-1, 1) for word in by_epoch)
    orders = np.empty((len(first), size), np.int32)
    for rows in _blocks(len(first), size):
        orders[rows] = _permutations((first[rows], second[rows]), size)
    return orders.reshape(*seeds.shape, n, size)


def host_order(seed: object, role: int, n: int) -> np.ndarray | None:
    """Return ``permutation(role_key(seed, role), n)``, int32, shape (n,).

    Returns: None where ``host_orders`` gives None, and for wrong arguments: JAX's refuses them.
    """
    if isinstance(seed, bool) or not orders_on_host(seed, "shuffle") or not 1 <= n < 2**31:
        return None
    key = _role_keys(np.asarray(seed).astype(_U32).reshape(1), role)
    return _permutations(key, n)[0].astype(np.int32)


def orders_on_host(seed: object, sampling: str) -> bool:
    """Return whether ``host_orders`` makes these orders."""
    if sampling != "shuffle" or not is_default_generator():
        return False
    if not isinstance(seed, int | np.integer | np.ndarray):
        return False
    seeds = np.asarray(seed)
    return seeds.dtype.kind in "iu" and bool(((seeds >= 0) & (seeds < 2**31)).all())


def _blocks(n: int, size: int) -> Iterator[slice]:
    """Cut n orders of ``size`` indices into blocks that are made at once."""
    step = max(1, _BLOCK // size)
    return (slice(start, start + step) for start in range(0, n, step))


# -- keys and random words, as JAX makes them -----------------------------------------------------


def _role_keys(seeds: np.ndarray, role: int) -> Words:
    """Return ``role_key`` of seeds, shape (C,): two words of shape (C, 1)."""
    of_seeds = np.zeros((len(seeds), 1), _U32), seeds[:, None]  # jax.random.key
    return folded_in(of_seeds, np.full((1, 1), role, _U32))


def _bits(keys: Words, n: int) -> np.ndarray:
    """Return ``jax.random.bits`` of keys (K, 1): n words of each, shape (K, n)."""
    first, second = folded_in(keys, np.arange(n, dtype=_U32)[None, :])
    return first ^ second


# -- orders: see ``_permutation`` -----------------------------------------------------------------


def _permutations(keys: Words, n: int) -> np.ndarray:
    """Return ``permutation`` of keys (K, 1), shape (K, n)."""
    if n < SORTED_BELOW:
        return np.argsort(_bits(keys, n), axis=1, kind="stable")
    network = _Feistel(_bits(keys, 2 * n_rounds(n)), *grid(n))
    image = network.forward(np.arange(n, dtype=_U32)[None, :])
    return _walked_back(image, network, n)


@dataclass(frozen=True)
class _Feistel:
    """The networks of K keys on a grid of a x b points.

    Args:    bits: the words of their rounds, two a round, shape (K, words).
    """

    bits: np.ndarray
    a: int
    b: int

    def forward(self, points: np.ndarray) -> np.ndarray:
        """Return the images of points, shape (K, points)."""
        left, right = self._sides(points)
        for w0, w1, w2, w3 in self._two_rounds():
            left = _plus(left, _keyed(right, w0, w1, self.a), self.a)
            right = _plus(right, _keyed(left, w2, w3, self.b), self.b)
        return left * _U32(self.b) + right

    def backward(self, points: np.ndarray) -> np.ndarray:
        """Return the points whose images these are: the rounds, undone in reverse."""
        left, right = self._sides(points)
        for w0, w1, w2, w3 in reversed(self._two_rounds()):
            right = _plus(right, _U32(self.b) - _keyed(left, w2, w3, self.b), self.b)
            left = _plus(left, _U32(self.a) - _keyed(right, w0, w1, self.a), self.a)
        return left * _U32(self.b) + right

    def _sides(self, points: np.ndarray) -> Words:
        left, right = np.divmod(points, _U32(self.b))
        return left, right

    def _two_rounds(self) -> list[np.ndarray]:
        """Return the four words of each two rounds, shape (4, K, 1)."""
        words = self.bits.T[:, :, None]
        return [words[k : k + 4] for k in range(0, len(words), 4)]


def _walked_back(image: np.ndarray, network: _Feistel, n: int) -> np.ndarray:
    """Move the few points that left [0, n) along their cycles until they are inside."""
    points = network.a * network.b
    if points == n:
        return image
    outside = np.broadcast_to(np.arange(n, points, dtype=_U32), (len(image), points - n))
    origin = network.backward(outside)
    inside = origin < n
    target = np.where(inside, outside, _U32(0))
    while (away := target >= n).any():
        target = np.where(away, network.forward(target), target)
    image[np.nonzero(inside)[0], origin[inside]] = target[inside]
    return image


def _plus(value: np.ndarray, shift: np.ndarray, modulus: int) -> np.ndarray:
    """Add modulo ``modulus``, for value < modulus and shift <= modulus."""
    total = value + shift
    return np.minimum(total, total - _U32(modulus), out=total)  # below the modulus it wraps around


def _keyed(value: np.ndarray, first: np.ndarray, second: np.ndarray, modulus: int) -> np.ndarray:
    """Hash values onto 0 .. modulus-1 by two words; in place, since arrays are large."""
    h = value + first
    h *= _U32(0x9E3779B1)
    h ^= h >> _U32(15)
    h ^= second
    h *= _U32(0x85EBCA77)
    h ^= h >> _U32(13)
    h *= _U32(0xC2B2AE3D)
    bits = modulus.bit_length()
    h >>= _U32(bits)
    h *= _U32(modulus)
    h >>= _U32(32 - bits)
    return h
