"""Training one cohort: choose how to map it, drive it, report it, and take its Results apart."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from thetahat.core import CheckpointError
from thetahat.train._driver import Driver, Interrupt
from thetahat.train._memory import check_fits, check_possible, saying_what_is_short
from thetahat.train._options import Cohort, Options
from thetahat.train._result import Result
from thetahat.train._resume import Resumed, resume_state, resumed
from thetahat.train._session import Session
from thetahat.train._stopping import sort_rules
from thetahat.train.jax import CohortProgram, Hyper, make_program, stage

PROBE_EPOCHS, PROBE_LONG_S = 8, 0.1
"""A probe takes that many epochs, unless one takes so long that calling it costs nothing."""

PROBE_WORTH_S = 4.0
"""Projected seconds of training from which it pays to compile the other mapping and time it."""

SPARES = 0.8
"""Share of an epoch's time that the few who are left may take one by one, to go on so."""


@dataclass(frozen=True)
class Alone:
    """The program that trains a ``vmap`` cohort's members one by one, where it was made and timed.

    Args:    each_s: seconds of a member's epoch.   together_s: of all of them, by ``vmap``.
    """

    program: CohortProgram
    each_s: float
    together_s: float

    def pays(self, left: int) -> bool:
        """Whether so many members train faster one by one than all places together.

        Under ``vmap`` those that have ended cost what the others do, and here nothing.
        """
        return left * self.each_s < SPARES * self.together_s


def first_program(build: Any, hyper: Hyper, size: int, options: Options) -> CohortProgram:
    """The program of a cohort, traced but not compiled.

    Raises:  JAX's concretization errors, where Python had to know a traced value.
             ConfigError: no memory of this machine holds it.
    """
    staged = stage(build, hyper)
    check_possible(staged)
    mode = "vmap" if options.mode == "auto" and size > 1 else options.mode
    program = make_program(build, hyper, staged, size, "map" if size == 1 else mode)
    program.trace()
    return program


def train_cohort(cohort: Cohort, options: Options) -> dict[int, Result]:
    """Train a cohort to its end."""
    interrupt = Interrupt()
    with interrupt.listening():  # also while compiling: an interrupted compiler takes Python along
        training = Training(cohort, options, interrupt)
        try:
            while training.step():
                pass
            return training.finish()
        except BaseException as error:
            training.fail(error)
            raise


class Training:
    """A cohort being trained, a chunk at a time: for one who decides between chunks.

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
        with saying_what_is_short():
            program, state, self._alone = _start(cohort, options, found)
        self.session = Session(cohort, program, options, found)
        self.session.begin(state)
        task = program.staged.task
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
    def program(self) -> CohortProgram:
        """The compiled program that trains it."""
        return self.session.program

    @property
    def running(self) -> np.ndarray:
        """Which members still train, by their place in the cohort: (C,)."""
        over = self.driver.epoch >= self.driver.epochs
        active = self.program.standing(self.driver.state).active
        return np.zeros_like(active) if over else active

    def step(self) -> bool:
        """Train one chunk more; False when it is over."""
        with saying_what_is_short():
            return self.driver.step()

    def stop(self, reasons: Mapping[int, str]) -> None:
        """End members, by their place in the cohort, each for its reason: told at once."""
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
        """Tell how the members that have ended by now ended; the others go on."""
        over = np.flatnonzero(~self.running).tolist()
        self.session.settle(self.driver.ended, over)

    def finish(self) -> dict[int, Result]:
        """Evaluate the best states, and tell how each member ended."""
        return self.session.finish(self.driver.ended)

    def fail(self, error: BaseException) -> None:
        """Tell that every member broke, and why."""
        self.session.fail(error)


def _start(
    cohort: Cohort, options: Options, found: Resumed | None
) -> tuple[CohortProgram, Any, Alone | None]:
    """The program in the mode that pays, its first (or resumed) state, and the other mode."""
    program = cohort.program
    if found is not None:
        mode = found.checkpoint.header["mode"]
        if options.mode == "map" and mode == "vmap" and program.size > 1:
            raise CheckpointError(
                f"the checkpoint {options.checkpoint} was trained by vmap, whose last digits are"
                " not those of fits alone; leave exact=True (--exact) away, or give another"
                " checkpoint"
            )
        if mode != program.mode:
            program = _remapped(program, mode)
        return program, resume_state(program, found, options), None
    check_fits(program, options.memory)
    state = program.init()
    if options.mode != "auto" or program.size == 1:
        return program, state, None
    return _probed(program, state)


def _remapped(program: CohortProgram, mode: str) -> CohortProgram:
    return make_program(program.build, program.hyper, program.staged, program.size, mode)


def _probed(program: CohortProgram, state: Any) -> tuple[CohortProgram, Any, Alone | None]:
    """vmap, unless training is long and a timed epoch finds one by one faster.

    The probe's states are thrown away, so it changes no result.
    """
    together = _epoch_s(program, state)
    if together * program.staged.task.epochs < PROBE_WORTH_S:
        return program, state, None
    other = _remapped(program, "map")
    other_state = other.init()
    apart = _epoch_s(other, other_state)
    traces, compile_s = program.traces + other.traces, program.compile_s + other.compile_s
    # Without the arrays that it holds: it may never be needed.
    alone = Alone(other.again(other.hyper), apart / program.size, together)
    if apart < together:
        program, state, alone = other, other_state, None
    program.traces, program.compile_s = traces, compile_s
    return program, state, alone


def _epoch_s(program: CohortProgram, state: Any) -> float:
    """Seconds of one epoch, the cost of calling the program apart."""

    def seconds(n: int) -> float:
        times = []
        for _ in range(2):
            began = time.perf_counter()
            program.advance(state, 0, n)
            times.append(time.perf_counter() - began)
        return min(times)

    one = seconds(1)
    n = min(PROBE_EPOCHS, program.max_chunk, program.staged.task.epochs)
    if n < 2 or one > PROBE_LONG_S:
        return one
    return max(0.0, seconds(n) - one) / (n - 1)
