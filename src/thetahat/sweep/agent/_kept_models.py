"""Remove the models of a sweep that others have overtaken: the best K settings keep theirs.

The store decides: models go only when those of K better settings are there, and settings only
become more. So several agents may do this at once, and at any moment.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from thetahat.core.places import kept_models
from thetahat.store import Followed
from thetahat.sweep.agent._history import SweepTrials
from thetahat.sweep.workers._kept import Models

_EVERY_S = 1.0


@dataclass
class KeptModels:
    """The models of one sweep.

    Args:    most: how many settings keep the models of their runs.
    """

    trials: SweepTrials
    models: Models
    most: int
    _looked_s: float = field(default=-1e9, init=False)

    def prune(self, *, now: bool = False) -> None:
        """Remove overtaken models, once a second at most.

        Args:    now: look in any case.
        """
        if not now and time.monotonic() - self._looked_s < _EVERY_S:
            return
        self._looked_s = time.monotonic()
        self.trials.refresh()
        runs = self.trials.follower.runs
        files = {
            run: path for run, path in kept_models(Path(self.models.folder)).items() if run in runs
        }
        ranked = []
        for group in self._settings([runs[run] for run in files]):
            # A setting whose runs have not all ended may still become the best.
            if all(run.status.over for run in group):
                ranked.append((self._center(group), min(run.number for run in group), group))
        ranked.sort(key=lambda one: one[:2])
        for run in (run for _, _, group in ranked[self.most :] for run in group):
            if run.id in files:
                with suppress(OSError):
                    files[run.id].unlink(missing_ok=True)

    def _settings(self, having: Sequence[Followed]) -> list[list[Followed]]:
        """The settings of runs that have a model, each with all of its runs."""
        if self.trials.seed is None:
            return [[run] for run in having]
        wanted = {run.point for run in having}
        found: dict[int | None, list[Followed]] = {point: [] for point in wanted}
        for run in self.trials.follower.runs.values():
            if run.point in wanted:
                found[run.point].append(run)
        return list(found.values())

    def _center(self, group: Sequence[Followed]) -> float:
        values = [self.models.value(run.metrics) for run in group if run.status.well]
        finite = [value for value in values if math.isfinite(value)]
        return self.trials.center(finite) if finite else math.inf
