"""Which points of a space a history already holds, found once for each trial."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from thetahat.search._space import Space
from thetahat.search._trials import SearchHistory, Trial


@dataclass
class _Known:
    """The configs of the longest history seen so far, their keys, and where each came first."""

    configs: list[Mapping[str, Any]] = field(default_factory=list)
    keys: list[Hashable] = field(default_factory=list)
    first: dict[Hashable, int] = field(default_factory=dict)


_CACHE: WeakKeyDictionary[Space, _Known] = WeakKeyDictionary()
_LOCK = threading.Lock()


class KnownPoints:
    """The points that have been proposed: those of a history, and those added since.

    A history grows at its end, so the keys of its configs are kept from call to call, and found
    anew only for configs that are other objects than before. What is kept is where each key came
    first: a shorter history finds nothing in it that is not its own.
    """

    def __init__(self, space: Space, trials: Sequence[Trial]) -> None:
        self._first = _first_places(space, trials)
        self._count = len(trials)
        self._added: set[Hashable] = set()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._added or self._first.get(key, self._count) < self._count

    def __len__(self) -> int:
        return sum(place < self._count for place in self._first.values()) + len(self._added)

    def add(self, key: Hashable) -> None:
        """One more point that has been proposed."""
        self._added.add(key)


def unseen_left(space: Space, history: SearchHistory) -> KnownPoints | None:
    """What has run, where that can matter: in a space of which not everything has run yet."""
    if not space.discrete:
        return None
    seen = KnownPoints(space, history.trials)
    return None if space.size is not None and len(seen) >= space.size else seen


def _first_places(space: Space, trials: Sequence[Trial]) -> dict[Hashable, int]:
    with _LOCK:
        known = _CACHE.get(space)
        if known is None or not _still(known, space, trials):
            known = _CACHE[space] = _Known()
        for place in range(len(known.configs), len(trials)):
            config = trials[place].config
            key = space.key(config)
            known.configs.append(config)
            known.keys.append(key)
            known.first.setdefault(key, place)
        return known.first


def _still(known: _Known, space: Space, trials: Sequence[Trial]) -> bool:
    """Whether a history begins with the points that are known."""
    for place, (config, trial) in enumerate(zip(known.configs, trials, strict=False)):
        if config is not trial.config:
            if space.key(trial.config) != known.keys[place]:
                return False
            known.configs[place] = trial.config
    return True
