"""Searches that need no file: what a queue asks for new runs."""

from __future__ import annotations

from collections.abc import Callable

from thetahat.core.run import Status
from thetahat.store import NewRun, Offer, SweepRow


def grid_of(size: int) -> Callable[[SweepRow, int, int], Offer]:
    """A search over 0 .. size - 1."""

    def propose(sweep: SweepRow, begun: int, n: int) -> Offer:
        at = sweep.position
        configs = [{"x": i} for i in range(at, min(size, at + n))]
        new = [NewRun(config=c, sweep_id=sweep.id, status=Status.QUEUED) for c in configs]
        return Offer(new, at + len(new), at + n >= size)

    return propose
