"""CMA-ES, replayed from the history: a generation is as many trials with a value as it needs."""

from __future__ import annotations

import random
from typing import Any

from thetahat.search._known_points import KnownPoints, points_to_avoid
from thetahat.search._random import draw
from thetahat.search._space import Space
from thetahat.search._trials import Proposals, SearchHistory, trial_values

_WIDTH = 1 / 6
"""The first generation's standard deviation in [0, 1]: three of them reach the bounds."""

_TRIES = 5


def cmaes(space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
    """Draw points from the normal distribution that CMA-ES has adapted to the trials so far.

    Numbers are searched through their CDF; ``values`` without an order are drawn at random. Trials
    in flight are points of the next generation. The position counts proposals.

    Raises:  ConfigError: the history has no metric.
    Source:  Hansen (2016), The CMA Evolution Strategy: A Tutorial.
    """
    ranked = [i for i, axis in enumerate(space.searched) if axis.ranked]
    known = points_to_avoid(space, history)
    strategy = _replay(space, history, ranked)
    configs = []
    for k in range(history.position, history.position + n):
        config = None
        if ranked:
            strategy.reseed_rng(random.Random(f"thetahat {seed} {k} 0").getrandbits(32))
            config = _ask(space, strategy, ranked, draw(space, None, seed, k), known)
        configs.append(draw(space, known, seed, k) if config is None else config)
    return Proposals(configs, history.position + n)


def _replay(space: Space, history: SearchHistory, ranked: list[int]) -> Any:
    """Make the strategy after every full generation of trials with a value, in their order."""
    import numpy as np
    from cmaes import CMA

    trials = trial_values(history)
    if not ranked:
        return None
    bounds = np.array([[0.0, 1.0]] * len(ranked))
    strategy = CMA(mean=np.full(len(ranked), 0.5), sigma=_WIDTH, bounds=bounds, seed=0)
    generation = []
    for each in trials:
        codes = space.encode(each.trial.config)
        if each.loss is None or codes is None:
            continue
        x = np.array([space.searched[i].probability(codes[i]) for i in ranked])
        generation.append((x, each.loss))
        if len(generation) == strategy.population_size:
            # Points of an older generation may lie far outside; the strategy bounds its step.
            with np.errstate(all="ignore"):
                strategy.tell(generation)
            generation = []
    return strategy


def _ask(
    space: Space,
    strategy: Any,
    ranked: list[int],
    config: dict[str, Any],
    known: KnownPoints | None,
) -> dict[str, Any] | None:
    """Return the strategy's proposal; None where all that it proposes has run."""
    values = space.values(config)
    for _ in range(_TRIES):
        for i, u in zip(ranked, strategy.ask().tolist(), strict=True):
            values[i] = space.searched[i].proposed(u)
        if known is None or known.add(space.values_key(values)):
            return space.config(values)
    return None
