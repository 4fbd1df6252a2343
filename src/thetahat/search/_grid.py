"""Grid search: every point once, in order, or in an order that the seed shuffles."""

from __future__ import annotations

from collections.abc import Callable

from thetahat.search._known_points import KnownPoints
from thetahat.search._space import Space
from thetahat.search._trials import Proposals, SearchHistory

_MASK = 2**64 - 1
_ROUNDS = 4


def grid(space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
    """Return the next points of the grid, from the history's position on, that have not run.

    Names are sorted, and the last varies fastest. The position is a place in the grid.

    Raises:  ConfigError: a parameter without a finite list of values.
    """
    return _scan(space, history, n, lambda i, size: i)


def shuffled_grid(space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
    """Do as ``grid``, in an order that is a function of the seed alone; nothing is stored for it.

    Raises:  ConfigError: a parameter without a finite list of values.
    """
    return _scan(space, history, n, lambda i, size: shuffled(i, size, seed))


def _scan(
    space: Space, history: SearchHistory, n: int, place: Callable[[int, int], int]
) -> Proposals:
    size, position = space.grid_size, history.position
    known = KnownPoints(space, history.trials)
    configs = []
    while position < size and len(configs) < n:
        values = space.point_values(place(position, size))
        position += 1
        if space.values_key(values) not in known:
            configs.append(space.config(values))
    return Proposals(configs, position, exhausted=position >= size)


def shuffled(i: int, size: int, seed: int) -> int:
    """Return the new place of the ``i``-th of ``size``: a permutation, computed place by place.

    A balanced Feistel network permutes the next power of four; places beyond ``size`` go through
    it again until they fall inside, which keeps it a permutation.

    >>> sorted(shuffled(i, 10, seed=1) for i in range(10)) == list(range(10))
    True
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = 2**half - 1
    while True:
        left, right = i >> half, i & mask
        for turn in range(_ROUNDS):
            left, right = right, left ^ (_mix(right + (turn << 56), seed) & mask)
        i = left << half | right
        if i < size:
            return i


def _mix(x: int, seed: int) -> int:
    """Mix two integers into sixty-four bits (splitmix64's finaliser, twice)."""
    for word in (seed & _MASK, x):
        x = (x ^ word) + 0x9E3779B97F4A7C15 & _MASK
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        x = (x ^ x >> 27) * 0x94D049BB133111EB & _MASK
        x ^= x >> 31
    return x
