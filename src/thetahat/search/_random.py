"""Random search: draw k is a function of the space, the seed and k."""

from __future__ import annotations

import random
from typing import Any

from thetahat.search._seen import KnownPoints
from thetahat.search._space import Space, open_uniform
from thetahat.search._trials import Proposals, SearchHistory

REDRAWS = 20
"""How often a point that has already run is drawn anew, before it is run again."""


def random_draws(space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
    """Independent draws from the parameters' distributions. The position counts draws.

    Where two draws can be equal, one that some trial has run is drawn anew, up to 20 times; where
    they cannot, a draw does not depend on the trials at all.
    """
    seen = KnownPoints(space, history.trials) if space.discrete else None
    configs = [draw(space, seen, seed, history.position + k) for k in range(n)]
    return Proposals(configs, history.position + n)


def draw(space: Space, seen: KnownPoints | None, seed: int, k: int) -> dict[str, Any]:
    """The ``k``-th draw, marked as seen."""
    # A string is hashed into the whole state, so neighbouring seeds and draws share nothing.
    rng = random.Random(f"thetahat {seed} {k}")
    values: list[Any] = []
    for _ in range(1 + REDRAWS):
        values = [d.distribution.ppf(open_uniform(rng)) for d in space.searched]
        if seen is None or space.values_key(values) not in seen:
            break
    if seen is not None:
        seen.add(space.values_key(values))
    return space.config(values)
