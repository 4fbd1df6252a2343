"""A cohort on several devices: each trains as many members, by one program and without the others.

A member's numbers are those of a cohort of that many members on one device, bit for bit. What
happens once, as drawing data and evaluating the best states, happens on the first device, one
device's members after the other's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar

import jax
import numpy as np

from thetahat.core import Mode, Task
from thetahat.train._program import Build, CohortStatus, Hyper
from thetahat.train.jax._fitted import FittedMember
from thetahat.train.jax._program import CohortProgram
from thetahat.train.jax._staging import Staged
from thetahat.train.jax._state import TrainState

T = TypeVar("T")
States = Sequence[TrainState]
"""Each device's members' state."""


def divided(
    build: Build, hyper: Hyper, staged: Staged, size: int, mode: str
) -> CohortProgram | DividedProgram:
    """The program of so many members on all devices of this process."""
    width = -(-size // jax.local_device_count())
    if width == size:
        return CohortProgram(build, hyper, staged, size, mode)
    first = CohortProgram(build, _slice(hyper, 0, width), staged, width, mode)
    return DividedProgram(first, hyper, size)


class DividedProgram:
    """C members, ``first.size`` on each device. See ``train._program.Program``.

    The last device's members are filled up by some that train nothing and do not count.

    Args:    first: the program of the first device's members.
             hyper: the values of all members.   size: how many there are.
             chunks: what was compiled for the other devices.
    """

    def __init__(
        self,
        first: CohortProgram,
        hyper: Hyper,
        size: int,
        chunks: Mapping[int, Any] | None = None,
    ) -> None:
        self._first, self.hyper, self.size = first, hyper, size
        self._width = first.size
        self._places = range(0, size, self._width)
        self._devices = jax.local_devices()[: len(self._places)]
        self._chunks: dict[int, Any] = dict(chunks or {})
        self._parts: list[CohortProgram] = []
        self._home: tuple[TrainState, TrainState, CohortProgram] | None = None
        self._filling = np.arange(len(self._places) * self._width) >= size
        self.task: Task = first.task
        self.dtype, self.n_params = first.dtype, first.n_params
        self.best_mode: Mode | None = first.best_mode
        self.mode, self.max_chunk = first.mode, first.max_chunk
        self.traces, self.compile_s = 0, 0.0

    def trace(self) -> None:
        """Trace and lower the chunk, as ``CohortProgram.trace``."""
        self._counted(self._first.trace)

    @property
    def batch_order(self) -> Literal["", "own", "shared"]:
        """Whether members share the order of their batches."""
        return self._first.batch_order

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the recorded columns."""
        return self._first.columns

    # -- training ---------------------------------------------------------------------------------

    def fits(self, share: float) -> int:
        """How many members fit, if each device has as much memory as the first."""
        found = self._counted(lambda: self._first.fits(share))
        return self.size if found == self._width else found * len(self._places)

    def init(self) -> States:
        """The state before the first epoch."""
        self._home = None
        self._parts, states = [self._first], [self._counted(self._first.init)]
        for device, k in list(zip(self._devices, self._places, strict=True))[1:]:
            part = self._first.again(_slice(self.hyper, k, self._width))
            states.append(jax.device_put(part.init(), device))
            moved = part.moved(device, self._chunks.get(device.id))
            self._chunks[device.id] = moved.chunk
            self.compile_s += moved.compile_s
            self._parts.append(moved)
        return self._ended(states)

    def advance(self, state: States, epoch: int, n: int) -> tuple[States, Mapping[str, np.ndarray]]:
        """Train ``n`` epochs more."""
        with ThreadPoolExecutor(len(self._parts)) as threads:
            work = [
                threads.submit(part.advance, mine, epoch, n)
                for part, mine in zip(self._parts, state, strict=True)
            ]
            states, records = zip(*[each.result() for each in work], strict=True)
        return list(states), self._joined(records)

    def status(self, state: States) -> CohortStatus:
        """The state of the members."""
        return CohortStatus(**self._joined([vars(self._first.status(mine)) for mine in state]))

    def stop(self, state: States, which: np.ndarray) -> States:
        """End members."""
        wide = np.zeros(len(self._filling), bool)
        wide[: self.size] = which
        return self._ended(state, wide)

    def evaluate(self, state: States, parts: tuple[str, ...]) -> Mapping[str, np.ndarray]:
        """The risk and the metrics of each part at the best state."""
        return self._joined(self._at_home(state, lambda one, mine: one.evaluate(mine, parts)))

    def tables(self, state: States) -> Sequence[Mapping[str, Mapping[str, np.ndarray]]]:
        """The tables of every member at the best state."""
        found = self._at_home(state, lambda one, mine: one.tables(mine))
        return [tables for each in found for tables in each][: self.size]

    def fitted(self, state: States, k: int, config: Mapping[str, Any]) -> FittedMember:
        """The function that member ``k`` has estimated."""
        which, place = divmod(k, self._width)
        part, mine = self._brought(state, which)
        return part.fitted(mine, place, config)

    # -- other programs ---------------------------------------------------------------------------

    def again(self, hyper: Hyper, data: Any = None) -> DividedProgram:
        """The same program for other values of the same traced parameters, or other data."""
        first = self._first.again(_slice(hyper, 0, self._width), data)
        return DividedProgram(first, hyper, self.size, self._chunks)

    def remapped(self, mode: str) -> DividedProgram:
        """The same members in the other mode."""
        return DividedProgram(self._first.remapped(mode), self.hyper, self.size)

    # -- checkpoints ------------------------------------------------------------------------------

    def pack(self, state: States) -> dict[str, np.ndarray]:
        """The state as named arrays."""
        return self._joined([self._first.pack(mine) for mine in state])

    def unpack(
        self,
        arrays: Mapping[str, np.ndarray],
        first: States | None = None,
        *,
        new_rules: bool = False,
    ) -> States:
        """The state that ``pack`` gave."""
        templates = self.init() if first is None else first
        found = self._at_home(
            templates,
            lambda one, mine, some: one.unpack(some, mine, new_rules=new_rules),
            self._cut(arrays),
        )
        return self._ended(self._sent(found))

    def replay(self, state: States, records: Mapping[str, np.ndarray]) -> States:
        """The state after the stopping rules have seen the records (C, n) from the start."""
        found = self._at_home(
            state, lambda one, mine, some: one.replay(mine, some), self._cut(records)
        )
        return self._ended(self._sent(found))

    # -- what the numbers depend on ---------------------------------------------------------------

    def facts(self, state: States) -> list[dict[str, Any]]:
        """The provenance of every member at the first state."""
        found = self._at_home(state, lambda one, mine: one.facts(mine))
        where = {"members_per_device": self._width}
        return [facts | where for each in found for facts in each][: self.size]

    def mathematics(self) -> Mapping[str, str]:
        """Keys of what is computed."""
        return self._first.mathematics()

    def used(self) -> frozenset[str]:
        """The traced parameters that a number depends on."""
        return self._first.used()

    # -- the devices ------------------------------------------------------------------------------

    def _sent(self, states: States) -> States:
        """States on the devices that train them."""
        pairs = list(zip(states, self._devices, strict=True))
        return [states[0], *(jax.device_put(state, device) for state, device in pairs[1:])]

    def _ended(self, states: States, which: np.ndarray | None = None) -> States:
        """The states in which the members of these places have ended, and those that fill."""
        ends = self._filling if which is None else which | self._filling
        return [
            self._first.stop(mine, some) if some.any() else mine
            for mine, some in zip(states, np.split(ends, len(states)), strict=True)
        ]

    def _brought(self, states: States, which: int) -> tuple[CohortProgram, TrainState]:
        """A device's members on the first device, with a program that does everything there."""
        if which == 0:
            return self._first, states[0]
        if self._home is None or self._home[0] is not states[which]:
            device = self._devices[0]
            mine = jax.device_put(states[which], device)
            part = self._parts[which].moved(device, self._first.chunk)
            self._home = states[which], mine, part
        return self._home[2], self._home[1]

    def _at_home(
        self, states: States, work: Callable[..., T], each: Sequence[Any] | None = None
    ) -> list[T]:
        """``work(program, state, *each[k])`` of every device's members, one after the other."""
        found = []
        for which in range(len(states)):
            part, mine = self._brought(states, which)
            more = () if each is None else (each[which],)
            found.append(work(part, mine, *more))
            self.compile_s += part.compile_s
            part.compile_s = 0.0
        return found

    def _counted(self, work: Callable[[], T]) -> T:
        """The result of work, whose traces and compilations count."""
        before = self._first.traces, self._first.compile_s
        try:
            return work()
        finally:
            self.traces += self._first.traces - before[0]
            self.compile_s += self._first.compile_s - before[1]

    def _joined(self, found: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Arrays (C, ...) of every device's."""
        return {
            name: np.concatenate([np.asarray(one[name]) for one in found])[: self.size]
            for name in found[0]
        }

    def _cut(self, arrays: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Every device's of arrays (C, ...)."""
        return [{n: _rows(a, k, self._width) for n, a in arrays.items()} for k in self._places]


def _slice(hyper: Hyper, first: int, width: int) -> Hyper:
    """The values of ``width`` members from ``first`` on; those after the last have its values."""
    own = {name: _rows(np.asarray(a), first, width) for name, a in hyper.own.items()}
    return Hyper(own, hyper.common)


def _rows(array: np.ndarray, first: int, width: int) -> np.ndarray:
    some = array[first : first + width]
    return np.concatenate([some, np.repeat(array[-1:], width - len(some), axis=0)])
