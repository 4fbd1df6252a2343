"""The samplers by name."""

from __future__ import annotations

from importlib.util import find_spec

from thetahat.core.choices import SAMPLERS
from thetahat.core.errors import ConfigError, MissingExtra, did_you_mean
from thetahat.search._bayes import gp, tpe
from thetahat.search._cmaes import cmaes
from thetahat.search._grid import grid, shuffled_grid
from thetahat.search._random import qmc, random_draws
from thetahat.search._trials import Sampler

_SAMPLERS: dict[str, Sampler] = {
    "grid": grid,
    "random": random_draws,
    "tpe": tpe,
    "gp": gp,
    "cmaes": cmaes,
    "qmc": qmc,
}
"""The samplers of the names in ``SAMPLERS``."""

_NEEDS = {
    "cmaes": (("cmaes", "sweep"),),
    "gp": (("optuna", "sweep"), ("torch", "sweep,torch")),
}
"""Libraries that a sampler needs, with the extras that install them."""
BLIND = frozenset({"grid", "random", "qmc"})
"""Samplers that do not look at the results of earlier runs."""


def sampler(name: str, *, shuffle: bool = False) -> Sampler:
    """Return a sampler by its name, or by a sweep file's method (``bayes`` is ``tpe``).

    Args:    name: one of ``SAMPLERS``, or bayes.   shuffle: a grid in a seeded order.
    Returns: a pure function (space, history, seed, n) -> Proposals.
    Raises:  ConfigError: an unknown name; shuffle without a grid.   MissingExtra: a library that it
             needs is not installed.
    """
    name = "tpe" if name == "bayes" else name
    if name not in SAMPLERS:
        raise ConfigError(f"there is no sampler {name!r}{did_you_mean(name, SAMPLERS)}")
    if shuffle and name != "grid":
        raise ConfigError(f"only a grid has an order to shuffle; {name} has none")
    for library, extra in _NEEDS.get(name, ()):
        if find_spec(library) is None:
            raise MissingExtra(f"the sampler {name}", extra)
    return shuffled_grid if shuffle else _SAMPLERS[name]
