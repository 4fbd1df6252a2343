"""The training of one cohort: the mode that is faster, its chunks, its Results."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thetahat.core import CheckpointError
from thetahat.train._driver import Driver, Interrupt
from thetahat.train._memory import TooLarge
from thetahat.train._options import Cohort, Options
from thetahat.train._program import Program
from thetahat.train._result import Result
from thetahat.train._resume import ResumedFit, resume_state, resumed
from thetahat.train._session import Session
from thetahat.train._stopping import sort_rules

PROBE_EPOCHS, PROBE_LONG_S = 8, 0.1
"""Epochs of a probe; one, if it takes so long that the cost of a call does not matter."""

PROBE_WORTH_S = 4.0
"""Projected seconds of training from which it pays to compile the other mapping and time it."""

SPARES = 0.8
"""The remaining members train one by one if that takes less than this share of an epoch."""


@dataclass(frozen=True)
class OneByOne:
    """The program that trains a ``vmap`` cohort's members one by one, where it was made and timed.

    Args:    each_s: seconds of a member's epoch.   together_s: of all of them, by ``vmap``.
    """

    program: Program
    each_s: float
    together_s: float

    def pays(self, left: int) -> bool:
        """Whether so many members train faster one by one than all places together.

        Under ``vmap`` members that have ended cost as much as the others; here they cost nothing.
        """
        return left * self.each_s < SPARES * self.together_s


class Training:
    """A cohort in training, a chunk at a time: a worker may stop members between chunks.

    Args:    marks: epochs at which a chunk must end.
    Raises:  TooLarge: not all members fit into memory.
    """

    def __init__(
        self,
        cohort: Cohort,
        options: Options,
        interrupt: Interrupt,
        marks: tuple[int, ...] = (),
    ) -> None:
        found = resumed(cohort, options)
        program, state, self._alone = _start(cohort, options, found)
        self.session = Session(replace(cohort, program=program), options, found)
        self.session.begin(state)
        task = program.task
        self.driver = Driver(
            program,
            state,
            task.epochs,
            self.session.first,
            self.session.clock,
            interrupt,
            self.session.take,
            sort_rules(task.stopping).wall_s,
            marks,
        )

    @property
    def program(self) -> Program:
        """The compiled program that trains it."""
        return self.session.program

    @property
    def running(self) -> np.ndarray:
        """Which members still train, by their place in the cohort: (C,)."""
        return self.program.status(self.driver.state).active & (not self.driver.over)

    def step(self) -> bool:
        """Train one chunk more; False when it is over."""
        return self.driver.step()

    def run(self) -> dict[int, Result]:
        """Train to the end."""
        try:
            while self.step():
                pass
            return self.finish()
        except BaseException as error:
            self.fail(error)
            raise

    def stop(self, reasons: Mapping[int, str]) -> None:
        """End members, by their place in the cohort, each for a reason, and report them at once."""
        which = np.zeros(self.program.size, bool)
        which[list(reasons)] = True
        which &= self.running
        self.session.reasons.update({k: reasons[k] for k in np.flatnonzero(which).tolist()})
        self.driver.state = self.program.stop(self.driver.state, which)
        self.settle()
        left = int(self.running.sum())
        if self._alone is not None and left and self._alone.pays(left):
            self.driver.program, self._alone = self._alone.program, None
            self.driver.program.init()  # the arrays that its parameters make

    def settle(self) -> None:
        """Report the members that have ended by now; the others go on."""
        ended = np.flatnonzero(~self.running).tolist()
        self.session.settle(self.driver.state, self.driver.cut, ended)

    def finish(self) -> dict[int, Result]:
        """Evaluate the best states, and report how each member ended."""
        return self.session.finish(self.driver.state, self.driver.cut)

    def fail(self, error: BaseException) -> None:
        """Report that every member failed, and why."""
        self.session.fail(error)


def _start(
    cohort: Cohort, options: Options, found: ResumedFit | None
) -> tuple[Program, Any, OneByOne | None]:
    """The program in the mode that pays, its first (or resumed) state, and the other mode."""
    program = cohort.program
    if found is not None:
        mode = found.mode
        if options.mode == "exact" and mode == "vmap" and program.size > 1:
            raise CheckpointError(
                f"the checkpoint {options.checkpoint} was trained by vmap, whose last digits are"
                ' not those of fits alone; leave mode="exact" (--mode exact) away, or give another'
                " checkpoint"
            )
        if mode != program.mode:
            program = program.remapped(mode)
        return program, resume_state(program, found, options), None
    fits = program.fits(options.share)
    if fits < program.size:
        raise TooLarge(fits)
    state = program.init()
    if options.mode != "auto" or program.mode == "exact":
        return program, state, None
    return _probed(program, state)


def _probed(program: Program, state: Any) -> tuple[Program, Any, OneByOne | None]:
    """vmap, unless training is long and a timed epoch finds one by one faster.

    The probe's states are thrown away, so it changes no result.
    """
    together = _epoch_s(program, state)
    if together * program.task.epochs < PROBE_WORTH_S:
        return program, state, None
    other = program.remapped("exact")
    other_state = other.init()
    apart = _epoch_s(other, other_state)
    traces, compile_s = program.traces + other.traces, program.compile_s + other.compile_s
    # Without the arrays that it holds: it may never be needed.
    alone = OneByOne(other.again(other.hyper), apart / program.size, together)
    if apart < together:
        program, state, alone = other, other_state, None
    program.traces, program.compile_s = traces, compile_s
    return program, state, alone


def _epoch_s(program: Program, state: Any) -> float:
    """Seconds of one epoch, the cost of calling the program apart."""

    def seconds(n: int) -> float:
        times = []
        for _ in range(2):
            began = time.perf_counter()
            program.advance(state, 0, n)
            times.append(time.perf_counter() - began)
        return min(times)

    one = seconds(1)
    n = min(PROBE_EPOCHS, program.max_chunk, program.task.epochs)
    if n < 2 or one > PROBE_LONG_S:
        return one
    return max(0.0, seconds(n) - one) / (n - 1)
