"""Timing: interleaved rounds of CPU time, with as many epochs as each contestant needs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks.loops.problems import Problem

Mark = Callable[[int], None]
"""``mark(epochs done)``: a contestant calls it before (or in) and after the part that counts."""
Loop = Callable[[int, Mark], tuple[np.ndarray, np.ndarray]]
"""``loop(epochs, mark)`` trains that many epochs and returns every epoch's train and val risk."""
Prepare = Callable[[Problem], Loop]

MAX_EPOCHS = 200_000


@dataclass
class Stopwatch:
    """Marks of one run: epochs done, CPU seconds of all threads, wall seconds."""

    marks: list[tuple[int, float, float]] = field(default_factory=list)

    def __call__(self, epochs: int) -> None:
        self.marks.append((epochs, time.process_time(), time.perf_counter()))

    @property
    def measured(self) -> tuple[int, float, float]:
        """Epochs, CPU seconds and wall seconds between the first and the last mark."""
        first, last = self.marks[0], self.marks[-1]
        return last[0] - first[0], last[1] - first[1], last[2] - first[2]


@dataclass
class Contestant:
    """A loop on a problem, and what its rounds gave."""

    name: str
    problem: Problem
    loop: Loop
    first_call_s: float
    epochs: int = 0
    cpu_us: list[float] = field(default_factory=list)
    wall_us: list[float] = field(default_factory=list)
    val_risk: tuple[float, float] = (float("nan"), float("nan"))
    """After the first and after the last epoch of a round: the loop does train."""

    def run(self, epochs: int) -> tuple[int, float, float]:
        """One run; see ``Stopwatch.measured``."""
        watch = Stopwatch()
        train, val = self.loop(epochs, watch)
        expected = (epochs,) if self.problem.fits == 1 else (epochs, self.problem.fits)
        for risks in (train, val):
            if np.shape(risks) != expected or not np.isfinite(risks).all():
                raise ValueError(f"{self.name} on {self.problem.name}: risks {np.shape(risks)}")
        self.val_risk = float(np.mean(val[0])), float(np.mean(val[-1]))
        return watch.measured

    def round(self) -> None:
        """One measured round: microseconds a step (of one fit)."""
        epochs, cpu, wall = self.run(self.epochs)
        steps = epochs * self.problem.steps * self.problem.fits
        self.cpu_us.append(cpu / steps * 1e6)
        self.wall_us.append(wall / steps * 1e6)

    @property
    def median(self) -> float:
        """CPU microseconds a step, the median of the rounds."""
        return statistics.median(self.cpu_us)


def ready(name: str, prepare: Prepare, problem: Problem, seconds: float) -> Contestant:
    """Prepare a contestant, time its first call, and find how many epochs fill a round."""
    began = time.perf_counter()
    loop = prepare(problem)
    loop(2, Stopwatch())
    contestant = Contestant(name, problem, loop, time.perf_counter() - began)
    epochs = 8
    while True:
        done, cpu, _ = contestant.run(epochs)
        if cpu >= min(seconds, 0.5) / 8 or epochs >= MAX_EPOCHS:
            break
        epochs *= 8
    contestant.epochs = int(np.clip(seconds / cpu * done, 8, MAX_EPOCHS))
    return contestant


def play(contestants: Mapping[str, Contestant], rounds: int) -> None:
    """A B C A B C ...: the machine's moods fall on all alike."""
    for _ in range(rounds):
        for contestant in contestants.values():
            contestant.round()
