"""Random and quasi-random search: draw k is a function of the space, the seed and k."""

from __future__ import annotations

import random
from typing import Any

from thetahat.search._known_points import KnownPoints, known_points, new_point
from thetahat.search._space import Space
from thetahat.search._trials import Proposals, SearchHistory


def random_draws(space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
    """Draw independently from the parameters' distributions. The position counts draws.

    Where two draws can be equal, a point that has run is drawn anew, until all points of a finite
    space have run; otherwise a draw does not depend on the trials at all.
    """
    known = known_points(space, history)
    configs = [draw(space, known, seed, history.position + k) for k in range(n)]
    return Proposals(configs, history.position + n)


def draw(space: Space, known: KnownPoints | None, seed: int, k: int) -> dict[str, Any]:
    """Return the ``k``-th draw, and add it to the known points."""
    # A string is hashed into the whole state, so neighbouring seeds and draws share nothing.
    rng = random.Random(f"thetahat {seed} {k}")
    return new_point(space, known, lambda: space.draw(rng), rng)


def qmc(space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
    """Return the next points of a scrambled Sobol sequence, more even than random draws.

    The position is a place in the sequence. Where two points can be equal, a point that has run is
    skipped, until all have run.

    Source:  Sobol' (1967); Owen (1998), Scrambling Sobol' and Niederreiter-Xing Points.
    """
    if not space.searched:
        return Proposals([space.config(()) for _ in range(n)], history.position + n)
    import numpy as np
    from scipy.stats import qmc as sequences

    axes = space.searched
    sobol = sequences.Sobol(len(axes), scramble=True, rng=np.random.default_rng(abs(seed)))
    if history.position:
        sobol.fast_forward(history.position)
    position = history.position
    known = known_points(space, history)

    def values() -> list[Any]:
        nonlocal position
        position += 1
        return [axis.at(u) for axis, u in zip(axes, sobol.random(1)[0].tolist(), strict=True)]

    rng = random.Random(f"thetahat {seed} {history.position}")
    return Proposals([new_point(space, known, values, rng) for _ in range(n)], position)
