"""The one driver: chunks of compiled epochs, and the host's work between them.

Between chunks the host sends records to trackers, writes a checkpoint, shows progress, and checks
wall time and Ctrl-C. The length of a chunk adapts, so that it takes a fraction of a second.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from thetahat.train._program import Program

CHUNK_S = 0.25
"""Seconds that a chunk should take: rare enough to cost little, often enough to look live."""

WRITE_SHARE = 0.02
"""Share of the time that checkpoints may cost; slow disks get longer chunks."""


@dataclass
class ChunkLength:
    """The length of the next chunk, from the time that the last ones took."""

    epoch_s: float = 0.0
    overhead_s: float = 0.0

    def next(self, left: int, most: int) -> int:
        """Epochs of the next chunk."""
        if self.epoch_s <= 0:
            return 1
        aim = max(CHUNK_S, self.overhead_s / WRITE_SHARE)
        return max(1, min(left, most, int(aim / self.epoch_s)))

    def learn(self, epochs: int, seconds: float, overhead_s: float) -> None:
        """Learn from one chunk; the length at most quadruples, so that one fluke cannot block."""
        now = seconds / epochs
        self.epoch_s = now if self.epoch_s == 0 else max(now, self.epoch_s / 4)
        self.overhead_s = overhead_s


@dataclass(frozen=True)
class Chunk:
    """One chunk's outcome: the state after it and the records of its epochs, (C, n) each."""

    state: Any
    first: int
    n: int
    records: Mapping[str, np.ndarray]
    ended_s: np.ndarray
    """Seconds of training at the end of each epoch, (n,)."""


@dataclass
class Clock:
    """Seconds of training, over all the sessions of a run."""

    spent_s: float = 0.0


@dataclass
class Interrupt:
    """Ctrl-C: once, finish the chunk, save and return; twice, stop at once."""

    seen: bool = False
    _before: Any = field(default=None, repr=False)

    @contextmanager
    def listening(self, *, opening: bool = False) -> Iterator[Interrupt]:
        """Listen while a cohort trains; only the main thread may.

        Args:    opening: the cohort is still traced and compiled. A compiler that is interrupted
                 ends the process, so Ctrl-C waits; a caller that handles Ctrl-C itself, such as the
                 command line, keeps its handler until training starts.
        """
        main = threading.current_thread() is threading.main_thread()
        handled = signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        if not main or (opening and handled):
            yield self
            return
        self._before = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, self._once)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, self._before)

    def _once(self, *_: Any) -> None:
        if self.seen:
            raise KeyboardInterrupt
        self.seen = True


@dataclass
class Driver:
    """Trains a program a chunk at a time."""

    program: Program
    state: Any
    epochs: int
    epoch: int
    clock: Clock
    interrupt: Interrupt
    on_chunk: Callable[[Chunk], None]
    wall_s: float = float("inf")
    marks: tuple[int, ...] = ()
    """Epochs at which a chunk must end, in rising order: the agent decides there."""
    length: ChunkLength = field(default_factory=ChunkLength)

    @property
    def over(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self.epochs

    @property
    def cut(self) -> Literal["", "interrupted", "wall time"]:
        """The reason for which training ends before its last epoch, if there is one."""
        if self.over:
            return ""
        if self.interrupt.seen:
            return "interrupted"
        return "wall time" if self.clock.spent_s >= self.wall_s else ""

    def step(self) -> bool:
        """Train one chunk more; False when every member has ended, or training was cut short."""
        if self.over or not self.program.status(self.state).active.any():
            return False
        if self.cut:
            return False
        most = next((m for m in self.marks if m > self.epoch), self.epochs) - self.epoch
        n = self.length.next(min(self.epochs - self.epoch, most), self.program.max_chunk)
        began = time.perf_counter()
        self.state, records = self.program.advance(self.state, self.epoch, n)
        took = time.perf_counter() - began
        ended_s = self.clock.spent_s + took * np.arange(1, n + 1) / n
        self.clock.spent_s += took
        self.on_chunk(Chunk(self.state, self.epoch, n, records, ended_s))
        self.epoch += n
        self.length.learn(n, took, time.perf_counter() - began - took)
        return True
