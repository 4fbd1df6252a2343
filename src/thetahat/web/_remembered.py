"""Numbers about the runs of a sweep, computed once for how its runs stand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from thetahat.core.garbage import uncollected
from thetahat.store import Store, SweepRow, runs_stand

_MOST_CACHED = 64


_Key = tuple[str, str, str, str]


class Remembered:
    """A function of (store, sweep, metric, sign), computed once until another run begins or ends.

    Of ten thousand runs importance takes most of a second.
    """

    def __init__(self, compute: Callable[[Store, SweepRow, str, int], dict[str, Any]]) -> None:
        self.__doc__ = compute.__doc__
        self._compute = compute
        self._lock = threading.Lock()
        self._results: dict[_Key, tuple[Any, dict[str, Any]]] = {}

    def __call__(
        self, store: Store, sweep: SweepRow, metric: str, goal: str, stand: Any = None
    ) -> dict[str, Any]:
        """Return the result for how the runs stand now.

        Args:    stand: how they do, if it has just been read.
        """
        stand = runs_stand(store, sweep.id) if stand is None else stand
        key = (str(store.path), sweep.id, metric, goal)
        # One request computes; others for the same wait for it.
        with self._lock:
            known = self._results.get(key)
            if known is None or known[0] != stand:
                with uncollected():
                    known = (stand, self._compute(store, sweep, metric, sign_of(goal)))
                self._keep(key, known)
        return known[1]

    def know(
        self,
        store: Store,
        sweep: SweepRow,
        metric: str,
        goal: str,
        stand: Any,
        result: dict[str, Any],
    ) -> None:
        """Take a result that was computed elsewhere, of runs that were read with how they stand."""
        with self._lock:
            self._keep((str(store.path), sweep.id, metric, goal), (stand, result))

    def _keep(self, key: _Key, known: tuple[Any, dict[str, Any]]) -> None:
        while len(self._results) >= _MOST_CACHED:
            del self._results[next(iter(self._results))]
        self._results[key] = known

    def forget(self) -> None:
        """Empty the cache."""
        with self._lock:
            self._results.clear()


def sign_of(goal: str) -> int:
    """Return 1 where less is better, else -1."""
    return -1 if goal == "maximize" else 1
