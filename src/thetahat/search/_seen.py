"""Which points of a space a history already holds, found once for each trial."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Mapping, Sequence
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary

from thetahat.search._space import Space
from thetahat.search._trials import History, Trial

_CACHE: WeakKeyDictionary[Space, tuple[list[Mapping[str, Any]], dict[Hashable, int]]] = (
    WeakKeyDictionary()
)
_LOCK = threading.Lock()


class Seen:
    """The points that have been proposed: those of a history, and those added since.

    A history grows at its end, so the keys of its configs are kept from call to call for as long
    as the configs are the same objects. What is kept is where each key came first: a shorter
    history finds nothing in it that is not its own.
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


def unseen_left(space: Space, history: History) -> Seen | None:
    """What has run, where that can matter: in a space of which not everything has run yet."""
    if not space.discrete:
        return None
    seen = Seen(space, history.trials)
    return None if space.size is not None and len(seen) >= space.size else seen


def _first_places(space: Space, trials: Sequence[Trial]) -> dict[Hashable, int]:
    with _LOCK:
        configs, first = _CACHE.get(space, ([], {}))
        known = min(len(configs), len(trials))
        if not all(map(is_, configs[:known], _configs(trials))):
            configs, first, known = [], {}, 0
        if known == len(configs):
            for place in range(known, len(trials)):
                config = trials[place].config
                configs.append(config)
                first.setdefault(space.key(config), place)
        _CACHE[space] = configs, first
        return first


def _configs(trials: Iterable[Trial]) -> Iterable[Mapping[str, Any]]:
    return (trial.config for trial in trials)
