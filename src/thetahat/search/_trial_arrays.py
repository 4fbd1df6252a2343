"""The trials of a history as arrays, which grow with the history.

What a trial tells is computed once, as long as the history gives the same trial again. So an ask
costs hardly more after 10,000 trials than after 100.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from operator import is_
from weakref import WeakKeyDictionary

import numpy as np

from thetahat.search._space import Space
from thetahat.search._trials import SearchHistory, Trial, metric_of, trial_value

_LOCK = threading.Lock()


class _Rows:
    """A row for each trial of the last history. Arrays have room for more rows."""

    def __init__(self, width: int) -> None:
        self.trials: list[Trial] = []
        self.codes = np.empty((0, width))
        self.inside = np.empty(0, bool)
        """Whether a config is inside the space; else it has no codes."""
        self.extremes = np.empty((0, 2))
        """The least and greatest value of a trial; nan without any."""
        self.over = np.empty(0, bool)
        self.finished = np.empty(0, bool)
        """Whether a trial has finished with a value: it counts as its best."""

    def update(self, space: Space, trials: Sequence[Trial]) -> None:
        """Compute the rows of new and changed trials."""
        known, self.trials = self.trials, list(trials)
        if len(self.over) < len(trials):
            self._grow(2 * len(trials))
        changed = range(0)
        if not all(map(is_, known, self.trials)):
            pairs = enumerate(zip(known, self.trials, strict=False))
            changed = [i for i, (old, new) in pairs if old is not new]
        for i in (*changed, *range(len(known), len(trials))):
            self._fill(space, i, known[i] if i < len(known) else None, self.trials[i])

    def _grow(self, size: int) -> None:
        for name in ("codes", "inside", "extremes", "over", "finished"):
            before = getattr(self, name)
            larger = np.empty((size, *before.shape[1:]), before.dtype)
            larger[: len(before)] = before
            setattr(self, name, larger)

    def _fill(self, space: Space, i: int, old: Trial | None, new: Trial) -> None:
        if old is None or old.config is not new.config:
            codes = space.encode(new.config)
            self.codes[i] = math.nan if codes is None else codes
            self.inside[i] = codes is not None
        self.extremes[i] = math.nan if new.extremes is None else new.extremes
        self.over[i] = new.over
        self.finished[i] = new.state == "finished" and new.extremes is not None


_ROWS: WeakKeyDictionary[Space, _Rows] = WeakKeyDictionary()


def trial_arrays(space: Space, history: SearchHistory) -> tuple[np.ndarray, np.ndarray]:
    """Return codes and losses of the trials that ``trial_values`` lists and the space holds.

    Returns: codes of the searched parameters, shape (n, parameters); losses, shape (n,), to be
             minimised, nan while a trial is in flight.
    Raises:  ConfigError: the history has no metric.
    """
    metric = metric_of(history)
    n = len(history.trials)
    with _LOCK:
        rows = _ROWS.setdefault(space, _Rows(len(space.searched)))
        rows.update(space, history.trials)
        best, worst = rows.extremes[:n, :: metric.sign].T
        known = worst[rows.over[:n] & ~np.isnan(worst)] * metric.sign
        worst_of_all = float(known.max()) * metric.sign if known.size else None
        losses, kept = metric.sign * best, rows.inside[:n].copy()
        for i in np.flatnonzero(~rows.finished[:n]).tolist():
            in_flight, value = trial_value(history.trials[i], metric, worst_of_all)
            losses[i] = math.nan if value is None else metric.sign * value
            kept[i] &= in_flight or value is not None
        if kept.all():  # a copy costs less than a choice of rows
            return rows.codes[:n].copy(), losses
        return rows.codes[:n][kept], losses[kept]
