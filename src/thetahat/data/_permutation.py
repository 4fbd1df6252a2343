"""One definition of a random permutation, cheap on a CPU and the same on every device.

``jax.random.permutation`` sorts, which costs half a second for a million observations on a CPU.
A Feistel network permutes without sorting: with i = (l, r) on a grid of a x b points,

    l <- l + F_1(r) mod a,   r <- r + F_2(l) mod b,   l <- l + F_3(r) mod a,   ...

is a bijection of the grid whatever the keyed functions F are. The grid is chosen just larger than
n, and the few points that leave [0, n) walk along their cycle until they are back inside.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from thetahat.core.errors import DataError

SORTED_BELOW = 32
"""Below this a sort of random words is as cheap, and uniform over all n! orders."""

_U32 = jnp.uint32
_Words = list[tuple[jax.Array, jax.Array]]


def permutation(key: jax.Array, n: int) -> jax.Array:
    """A random order of 0 .. n-1, the same on every device and under jit, vmap and scan.

    Args:    key: a JAX key.   n: a Python integer, 1 <= n < 2**31.
    Returns: int32, shape (n,), every index once.
    Raises:  DataError: n out of range.
    Source:  Black & Rogaway (2002), "Ciphers with arbitrary finite domains": generalised Feistel
             with cycle walking. Statistical quality, not secrecy.
    >>> sorted(permutation(jax.random.key(0), 5).tolist())
    [0, 1, 2, 3, 4]
    """
    if not 1 <= n < 2**31:
        raise DataError(f"cannot order {n} observations; N must be at least 1 and below 2**31")
    return _permutation(key, n)


@partial(jax.jit, static_argnums=1, inline=True)
def _permutation(key: jax.Array, n: int) -> jax.Array:
    if n < SORTED_BELOW:
        return jnp.argsort(jax.random.bits(key, (n,), jnp.uint32), stable=True).astype(jnp.int32)
    a, b = _grid(n)
    # Fewer rounds leave the pairs of a small grid visibly dependent: ten show nothing at n = 32,
    # eight at 128, six at 4096 (chi-square of differences at lags 1 and b, 10**7 pairs).
    rounds = 12 if n < 256 else 8 if n < 4096 else 6
    bits = jax.random.bits(key, (2 * rounds,), jnp.uint32)
    flat = [lax.index_in_dim(bits, i, keepdims=False) for i in range(2 * rounds)]
    words = list(zip(flat[::2], flat[1::2], strict=True))
    # XLA on a CPU vectorises a loop of whole lanes only: one odd observation costs a factor of six.
    whole = n - n % 16
    ranges = [jnp.arange(whole, dtype=_U32), jnp.arange(whole, n, dtype=_U32)]
    image = jnp.concatenate([_forward(i, words, a, b) for i in ranges if i.size])
    if a * b > n:
        image = _walk_back(image, words, n, a, b)
    return image.astype(jnp.int32)


def _grid(n: int) -> tuple[int, int]:
    """Sides a, b of the smallest near-square grid with at least n points."""
    root = math.isqrt(n - 1) + 1
    sides = range(root, root - root // 4 - 1, -1)
    a = min(sides, key=lambda side: (side * -(-n // side), -side))
    return a, -(-n // a)


def _forward(i: jax.Array, words: _Words, a: int, b: int) -> jax.Array:
    left, right = lax.div(i, _U32(b)), lax.rem(i, _U32(b))
    for step in range(0, len(words), 2):
        left = _plus(left, _keyed(right, words[step], a), a)
        right = _plus(right, _keyed(left, words[step + 1], b), b)
    return left * _U32(b) + right


def _backward(i: jax.Array, words: _Words, a: int, b: int) -> jax.Array:
    left, right = lax.div(i, _U32(b)), lax.rem(i, _U32(b))
    for step in range(len(words) - 2, -1, -2):
        right = _plus(right, _U32(b) - _keyed(left, words[step + 1], b), b)
        left = _plus(left, _U32(a) - _keyed(right, words[step], a), a)
    return left * _U32(b) + right


def _plus(value: jax.Array, shift: jax.Array, modulus: int) -> jax.Array:
    """value + shift mod modulus, for value < modulus and shift <= modulus."""
    total = value + shift
    return lax.min(total, total - _U32(modulus))  # unsigned: below the modulus this wraps up high


def _keyed(value: jax.Array, words: tuple[jax.Array, jax.Array], modulus: int) -> jax.Array:
    """A keyed hash of value onto 0 .. modulus-1 (multiply and shift, no division)."""
    h = (value + words[0]) * _U32(0x9E3779B1)
    h = (h ^ (h >> 15) ^ words[1]) * _U32(0x85EBCA77)
    h = (h ^ (h >> 13)) * _U32(0xC2B2AE3D)
    bits = modulus.bit_length()
    return ((h >> bits) * _U32(modulus)) >> (32 - bits)


def _walk_back(image: jax.Array, words: _Words, n: int, a: int, b: int) -> jax.Array:
    """Let the points that left [0, n) walk on until they are inside.

    There are at most a*b - n of them, so they are followed apart from the n: backward to where each
    came from, forward to where it re-enters. Those that come from outside need no answer (and, on a
    cycle that never enters, have none).
    """
    outside = jnp.arange(n, a * b, dtype=_U32)
    origin = _backward(outside, words, a, b)
    target = lax.while_loop(
        lambda t: (t >= n).any(),
        lambda t: jnp.where(t >= n, _forward(t, words, a, b), t),
        jnp.where(origin < n, outside, 0),
    )
    return image.at[origin].set(target, mode="drop", unique_indices=True)
