"""From a sweep's search to the next runs: enqueued points first, replicates, exact caps."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thetahat.core.json import merge
from thetahat.core.run import Status
from thetahat.search import Sampler, Space
from thetahat.store import AHEAD, NewRun, Offer, SweepRow
from thetahat.sweep.agent._history import SweepTrials
from thetahat.sweep.spec._options import SweepOptions, nested


@dataclass(frozen=True)
class Proposer:
    """Proposes the next runs of a sweep; a function of what the store holds.

    Args:    seed: the parameter that replicates count up, if settings are replicated.
             first_seed: the seed of the first replicate.
             by_position: whether points follow from their numbers: a grid, draws without repeats.
             facts: of every run (experiment, file, ...).
    """

    space: Space
    sample: Sampler
    plan: SweepOptions
    trials: SweepTrials
    facts: Mapping[str, Any]
    seed: str | None = None
    first_seed: int = 0
    by_position: bool = False

    def __call__(self, sweep: SweepRow, begun: int, n: int) -> Offer:
        """Propose up to ``n`` new runs after the ``begun`` ones."""
        if n <= 0:
            return Offer([], sweep.position)
        if self._looks_back:
            self.trials.refresh()
        each = self.plan.each if self.seed is not None else 1
        point, done = divmod(begun, each)
        new: list[NewRun] = []
        if done:
            # Finish a setting that a cap or another agent cut short.
            config = self.trials.config_of(point)
            new += self._runs(sweep, config or {}, point, range(done, each))
            point += 1
        wanted = -(-max(0, n - len(new)) // each)
        configs, position, exhausted = self._points(sweep, point, wanted)
        for k, config in enumerate(configs):
            new += self._runs(sweep, config, point + k, range(each))
        return Offer(new, position, exhausted and len(new) <= n)

    @property
    def ahead(self) -> int:
        """Number of points that may be created before an agent begins them."""
        return 0 if self._looks_back else AHEAD

    @property
    def _looks_back(self) -> bool:
        """Whether the next point depends on earlier runs, which must then be read."""
        plan = self.plan
        return not self.by_position or bool(plan.enqueue) or plan.extended or self.seed is not None

    def _points(
        self, sweep: SweepRow, point: int, n: int
    ) -> tuple[Sequence[Mapping[str, Any]], int, bool]:
        """Configs of settings from the ``point``-th on."""
        paths = {".".join(d.path): d.path for d in self.space.dimensions}
        fixed = self.space.config([None] * len(self.space.searched))
        given = []
        for row in self.plan.enqueue[point : point + n]:
            given.append(merge(copy.deepcopy(fixed), nested(row, paths)))
        left = n - len(given)
        if left <= 0:
            return given, sweep.position, False
        history = self.trials.history(sweep.position)
        found = self.sample(self.space, history, self.plan.seed, left)
        return [*given, *found.configs], found.position, found.exhausted

    def _runs(
        self, sweep: SweepRow, config: Mapping[str, Any], point: int, replicates: range
    ) -> list[NewRun]:
        runs = []
        for replicate in replicates:
            mine = dict(config)
            if self.seed is not None:
                mine[self.seed] = self.first_seed + replicate
            runs.append(
                NewRun(
                    config=mine,
                    point=point,
                    replicate=replicate if self.seed is not None else None,
                    sweep_id=sweep.id,
                    contaminated=sweep.contaminated,
                    project=sweep.project,
                    status=Status.QUEUED,
                    **self.facts,
                )
            )
        return runs
