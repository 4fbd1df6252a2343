"""Quasi-random search: a scrambled Sobol sequence through the parameters' distributions."""

from __future__ import annotations

from typing import Any

from thetahat.search._coding import coding
from thetahat.search._random import REDRAWS
from thetahat.search._seen import KnownPoints
from thetahat.search._space import Space
from thetahat.search._trials import Proposals, SearchHistory


def qmc(space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
    """The next points of the sequence; they fill the space more evenly than random draws.

    The position is a place in the sequence. Where two points can be equal, one that has run is
    passed over, up to 20 times.

    Source:  Sobol' (1967); Owen (1998), Scrambling Sobol' and Niederreiter-Xing Points.
    """
    if not space.searched:
        return Proposals([space.config(()) for _ in range(n)], history.position + n)
    import numpy as np
    from scipy.stats import qmc as sequences

    axes = coding(space).axes
    sobol = sequences.Sobol(len(axes), scramble=True, rng=np.random.default_rng(abs(seed)))
    if history.position:
        sobol.fast_forward(history.position)
    position, configs = history.position, []
    seen = KnownPoints(space, history.trials) if space.discrete else None
    for _ in range(n):
        values: list[Any] = []
        for _ in range(1 + REDRAWS):
            point = sobol.random(1)[0].tolist()
            position += 1
            values = [axis.at(u) for axis, u in zip(axes, point, strict=True)]
            if seen is None or space.values_key(values) not in seen:
                break
        if seen is not None:
            seen.add(space.values_key(values))
        configs.append(space.config(values))
    return Proposals(configs, position)
