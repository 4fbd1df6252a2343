"""Choose how an agent uses several devices: a worker for each, or one whose cohorts train on all.

Workers come first. Once the cohort size is settled, and the runs that are left would pay for it,
one worker takes the place of all, and trains a cohort of as many members for each device. Whether
a run's epoch then takes less of the machine decides for the rest of the sweep. Nothing is trained
for the measurement alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from thetahat.core.choices import SPREADS
from thetahat.sweep.workers._cohort_size import MARGIN, ROUNDS, in_seconds
from thetahat.sweep.workers._connection import WorkerProcess
from thetahat.sweep.workers._messages import Timed

_AUTO, WORKERS, COHORTS = SPREADS


@dataclass
class DeviceSpread:
    """How the runs of one agent lie on its devices.

    Args:
        devices: how many there are.
        start: starts a worker by its number, for each of the two ways.
        way: the present one.
        settled: whether the other way is not tried any more.
    """

    devices: int
    start: Mapping[str, Callable[[int], WorkerProcess]]
    way: str = WORKERS
    settled: bool = False
    turns: bool = False
    """Whether the workers are to be replaced by those of the other way, once they are idle."""
    _by_workers: Timed | None = None

    @property
    def workers(self) -> int:
        """Workers of the present way."""
        return self.devices if self.way == WORKERS else 1

    def consider(self, steady: tuple[Timed, float] | None, load_s: float) -> None:
        """Turn to cohorts over all devices if the runs that are left would pay for trying them.

        Args:
            steady: the speed of a worker whose cohort size is settled, and the runs left for each.
            load_s: seconds in which a worker loads the experiment.
        """
        if self.settled or self.turns or self.way == COHORTS or steady is None:
            return
        now, left = steady
        # There and back, and each time the other workers wait for the last cohort.
        cost_s = 2 * (load_s + now.compile_s + now.each_s * now.size * now.epochs)
        if left >= ROUNDS * now.size and MARGIN * now.each_s * now.epochs * left > cost_s:
            self._by_workers, self.turns = now, True

    def judge(self, now: Timed, left: float, load_s: float) -> str:
        """Take in the speed of a cohort over all devices; return a line for users, or "".

        Args:    left: runs left for the one worker.
        """
        before = self._by_workers
        if self.settled or self.way != COHORTS or before is None or now.size <= before.size:
            return ""
        self.settled = True
        by_workers = before.each_s / self.devices
        if now.each_s >= (1 - MARGIN) * by_workers:
            lost_s = (now.each_s - by_workers) * now.epochs * left
            self.turns = lost_s > load_s + before.compile_s
        kept = "a worker for each" if self.turns else "cohorts on all of them"
        return (
            f"{self.devices} devices, {kept}: {in_seconds(now.each_s)} a run and epoch in cohorts"
            f" on all, {in_seconds(by_workers)} with a worker for each"
        )

    def turn(self) -> None:
        """Take the other way."""
        self.way, self.turns = COHORTS if self.way == WORKERS else WORKERS, False
