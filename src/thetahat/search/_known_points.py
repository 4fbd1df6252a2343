"""The points of a space that a history has, computed once for each trial."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from thetahat.search._space import Space
from thetahat.search._trials import SearchHistory, Trial


@dataclass
class _Longest:
    """The configs of the longest history so far, their keys, and the first place of each key."""

    configs: list[Mapping[str, Any]] = field(default_factory=list)
    keys: list[Hashable] = field(default_factory=list)
    first: dict[Hashable, int] = field(default_factory=dict)


_REDRAWS = 20
"""The number of times that a point which has already run is drawn anew, before one is looked up."""
_CACHE: WeakKeyDictionary[Space, _Longest] = WeakKeyDictionary()
_LOCK = threading.Lock()


class KnownPoints:
    """The points that have been proposed: those of a history, and those added since.

    A history grows at its end, so the keys of its configs are cached between calls, and computed
    again only for configs that are other objects than before. The cache holds the first place of
    each key, so that a shorter history finds only its own points.
    """

    def __init__(self, space: Space, trials: Sequence[Trial]) -> None:
        self._first = _first_places(space, trials)
        self._count = len(trials)
        self._added: set[Hashable] = set()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._added or self._first.get(key, self._count) < self._count

    def __len__(self) -> int:
        return sum(place < self._count for place in self._first.values()) + len(self._added)

    def add(self, key: Hashable) -> bool:
        """Add a point; return whether it is new."""
        if key in self:
            return False
        self._added.add(key)
        return True


def known_points(space: Space, history: SearchHistory) -> KnownPoints | None:
    """Return the points of a history; None for a space in which no two points are equal.

    Earlier runs of another sweep come first. Draws of the same seed may be equal to those, in any
    space.
    """
    repeats = space.discrete or bool(history.trials and history.trials[0].is_prior)
    return KnownPoints(space, history.trials) if repeats else None


def new_point(
    space: Space,
    known: KnownPoints | None,
    values_of: Callable[[], Sequence[Any]],
    rng: random.Random,
) -> dict[str, Any]:
    """Return a point that has not run, and add it to the known ones; once all have, any point.

    Args:    known: of ``known_points``.   values_of: proposes other values of ``space.searched``
             with each call; where it repeats itself, a point that has not run is looked up.
    """
    values = values_of()
    if known is None or known.add(space.values_key(values)):
        return space.config(values)
    for _ in range(_REDRAWS):
        again = values_of()
        if known.add(space.values_key(again)):
            return space.config(again)
    return space.config(untried(space, known, rng) or values)


def untried(space: Space, known: KnownPoints, rng: random.Random) -> list[Any] | None:
    """Return the values of a setting that has not run, and add it; None if all have run.

    The search begins at a random setting and goes on from there.
    """
    settings = space.settings
    if settings is None:
        return None
    start = rng.randrange(settings)
    for step in range(min(settings, len(known) + 1)):
        values = space.setting_values((start + step) % settings)
        if known.add(space.values_key(values)):
            return values
    return None


def points_to_avoid(space: Space, history: SearchHistory) -> KnownPoints | None:
    """Return the points that have run; None where a repetition is impossible or unavoidable."""
    known = known_points(space, history)
    full = known is not None and space.settings is not None and len(known) >= space.settings
    return None if full else known


def _first_places(space: Space, trials: Sequence[Trial]) -> dict[Hashable, int]:
    with _LOCK:
        longest = _CACHE.get(space)
        if longest is None or not _still(longest, space, trials):
            longest = _CACHE[space] = _Longest()
        for place in range(len(longest.configs), len(trials)):
            config = trials[place].config
            key = space.key(config)
            longest.configs.append(config)
            longest.keys.append(key)
            longest.first.setdefault(key, place)
        return longest.first


def _still(longest: _Longest, space: Space, trials: Sequence[Trial]) -> bool:
    """Check whether a history begins with the cached points."""
    for place, (config, trial) in enumerate(zip(longest.configs, trials, strict=False)):
        if config is not trial.config:
            if space.key(trial.config) != longest.keys[place]:
                return False
            longest.configs[place] = trial.config
    return True
