"""What an agent needs of a runner: a pool of workers, or processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from thetahat.store import RunRow
from thetahat.sweep._events import RunEvent


class Runner(Protocol):
    """What runs the runs: a pool of workers, or processes."""

    @property
    def ready(self) -> bool:
        """Whether runs can be taken."""
        ...

    @property
    def busy(self) -> set[str]:
        """Runs that are being run."""
        ...

    def room(self) -> int:
        """How many more runs it can take."""
        ...

    def take(self, again: Sequence[Sequence[RunRow]], fresh: Sequence[RunRow]) -> None:
        """Run these."""
        ...

    def poll(self, timeout_s: float) -> list[RunEvent]:
        """Return what has happened; wait for it at most so long."""
        ...

    def stop(self, reasons: Mapping[str, str]) -> None:
        """End runs, each for its reason."""
        ...

    def forget(self, runs: set[str]) -> None:
        """Drop runs that another agent holds now."""
        ...

    def kept(self) -> None:
        """Learn that all events returned so far are in the store."""
        ...

    def halt(self) -> None:
        """Stop all runs soon; their checkpoints stand."""
        ...

    def close(self) -> None:
        """End every process."""
        ...


def doing(runner: Runner) -> str:
    """Describe what an agent does, for readers of the store."""
    runs, workers = len(runner.busy), getattr(runner, "size", 1)
    return f"{runs} run{'s' * (runs != 1)}, {workers} worker{'s' * (workers != 1)}"
