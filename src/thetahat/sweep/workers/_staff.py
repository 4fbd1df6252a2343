"""A crew's workers, each in its seat: replaced when they die, grow, or have an old program."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from thetahat.core.data_files import DataFile
from thetahat.sweep.spec._source_files import Code
from thetahat.sweep.workers._connection import WorkerProcess
from thetahat.sweep.workers._messages import Ready
from thetahat.sweep.workers._slot import Seat

PATIENCE_S = 2.0


class Staff:
    """Workers that come and go, and the source that those who come will load.

    Args:    start: starts a worker, by its number.   code: the program's source.
    """

    def __init__(
        self,
        start: Callable[[int], WorkerProcess],
        size: int,
        code: Code | None,
        begun: Sequence[WorkerProcess] = (),
    ) -> None:
        self._start, self._code = start, code
        self._notes: list[str] = []
        # The workers begin before anything else is done: loading JAX takes them a second.
        self.seats = [Seat(worker) for worker in begun or map(start, range(size))]
        self._facts = {} if code is None else code.facts()
        for seat in self.seats:
            seat.facts = self._facts
        self.traced: frozenset[str] | None = None
        """The parameters whose values share a program."""

    @property
    def loaded(self) -> bool:
        """Whether some worker has loaded the program as it is now."""
        return any(seat.worker.ready is not None for seat in self.seats if not seat.stale)

    @property
    def open(self) -> list[Seat]:
        """Workers that can be given something to do."""
        return [seat for seat in self.seats if not seat.stale] or self.seats

    @property
    def idlest(self) -> Seat:
        """The worker with the least to do."""
        return min(self.open, key=lambda seat: seat.load)

    def meet(self, seat: Seat, ready: Ready) -> None:
        """A worker has loaded the program."""
        others = any(s.worker.ready for s in self.seats if s is not seat and not s.stale)
        if not others:
            # What the program was like before it changed is of no matter.
            self.traced = None
        self.narrow(ready.traced)

    def narrow(self, traced: frozenset[str]) -> None:
        """No other parameters than these share a program."""
        self.traced = traced if self.traced is None else self.traced & traced

    def renew(self, k: int) -> None:
        """Another worker in the place of one; what waits for it waits on."""
        before = self.seats[k]
        before.worker.close()
        self.seats[k] = Seat(self._start(k), waiting=before.waiting, facts=self._facts)

    def close(self) -> None:
        """End all workers: they have the same two seconds."""
        until = time.monotonic() + PATIENCE_S
        try:
            for seat in self.seats:
                seat.worker.leave()
            for seat in self.seats:
                seat.worker.close(max(0.0, until - time.monotonic()))
        finally:
            # Also when Ctrl-C is pressed again meanwhile: none stays behind.
            for seat in self.seats:
                seat.worker.kill()

    def up_to_date(self) -> bool:
        """Whether runs may begin: not while the program is being changed."""
        if self._code is None:
            return True
        change = self._code.look()
        self._notes += [change.say] if change.say else []
        if change.anew:
            self._facts = self._code.facts()
            for seat in self.seats:
                seat.stale = True
        return change.settled and not change.anew

    def watch(self, files: Sequence[DataFile]) -> None:
        """A worker has read data files: runs that begin after one has changed read it anew."""
        if self._code is not None:
            self._code.watch(files)

    def go_on(self) -> list[str]:
        """Give those that are free their next job; what is to be said of the source, once."""
        for seat in self.seats:
            seat.give_next()
        notes, self._notes = self._notes, []
        return notes
