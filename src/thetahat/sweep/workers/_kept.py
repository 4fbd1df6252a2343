"""Models that a worker keeps of the runs that it trains, for the agent to choose from.

Invariant: every run that ends among the best K of a sweep has a model before its end is reported.
A worker leaves out only a run that K others, whose models it has kept, beat. Agents remove models
later, by what the store says (``agent/_kept_models.py``).
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thetahat.core.errors import InputError
from thetahat.core.places import model_path
from thetahat.core.run import Ended


@dataclass(frozen=True)
class Models:
    """Which models a job's worker keeps.

    Args:    folder: of the store.   metrics: the first that a run has is what it is judged by.
             sign: 1 where less is better, else -1.
             most: how many; 0 for all, where a setting is judged by several runs.
    """

    folder: str
    metrics: tuple[str, ...]
    sign: int
    most: int

    def value(self, metrics: Mapping[str, Any]) -> float:
        """What a run is judged by, smaller is better; infinity where it has no number."""
        found = next((metrics[name] for name in self.metrics if name in metrics), None)
        value = math.inf if found is None else self.sign * float(found)
        return value if math.isfinite(value) else math.inf


class ModelKeeper:
    """Keeps the best models of one worker.

    Args:    say: receives a line for users.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._best: dict[Models, list[float]] = {}
        self._say, self._failed = say, False

    def take(self, models: Models, event: Ended, result: Any) -> None:
        """Write the model of a run that has ended, if it may be among the best."""
        value, run = models.value(event.metrics), event.run
        best = self._best.setdefault(models, [])
        worse = bool(models.most) and len(best) >= models.most and value > best[models.most - 1]
        if run is None or not event.status.well or worse:
            return
        try:
            path = model_path(Path(models.folder), run)
            path.parent.mkdir(exist_ok=True)
            result.save(path)
        except (InputError, OSError) as error:
            if not self._failed:
                self._say(f"the sweep keeps no model: {error}")
            self._failed = True
            return
        insort(best, value)
        del best[max(1, models.most) :]
