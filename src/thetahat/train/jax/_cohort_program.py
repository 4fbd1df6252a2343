"""The compiled program of a cohort: init, chunks of epochs, evaluation.

    chunk(hyper, made, given, state, epoch, n) -> state, records (n_max,)

``n`` is data, not shape: one program serves every chunk length. Members are mapped by ``vmap``, or
one by one by ``lax.map`` (bitwise equal to training alone).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat import models
from thetahat.data import Transform
from thetahat.train import _program as program
from thetahat.train.jax import _member
from thetahat.train.jax._compile import compile_loop, compile_read
from thetahat.train.jax._epoch import MAX_CHUNK, ORDERS, orders, run_chunk
from thetahat.train.jax._init import Beginning
from thetahat.train.jax._member import Member
from thetahat.train.jax._precision import ON_DISK, precision
from thetahat.train.jax._staging import Build, Hyper, Staged
from thetahat.train.jax._state import (
    TrainState,
    pack_state,
    stop_members,
    unpack_state,
)


class CohortProgram:
    """C members as one program. See ``program.Program``.

    Args:    mode: "vmap" or "map".
    """

    def __init__(self, build: Build, hyper: Hyper, staged: Staged, size: int, mode: str) -> None:
        self.build, self.hyper, self.staged = build, hyper, staged
        self.size, self.mode = size, mode
        self.dtype = staged.task.dtype
        self.traces = 0
        self.compile_s = 0.0
        self._made: Any = None
        self._host: Any = None
        self._chunk: Any = None
        self._beginning = Beginning(staged, size)
        self._finals: dict[tuple[str, ...], Any] = {}
        self._lowered: Any = None
        self._columns: list[str] = []
        self._given = staged.given
        self._ordered = staged.plan.shared_order
        most = max(1, ORDERS // staged.plan.n) if self._ordered else MAX_CHUNK
        self.max_chunk = min(MAX_CHUNK, most)

    def trace(self) -> None:
        """Trace and lower the chunk, abstractly: nothing runs, nothing is compiled.

        Raises:  JAX's concretization errors, where Python had to know a traced value.
        """
        if self._lowered is not None:
            return

        def chunk(own: Any, common: Any, made: Any, given: Any, state: Any, *rest: Any) -> Any:
            return self._mapped(self._member_chunk, own, common, made, given, state, *rest)

        with precision(self.dtype):
            state, made = self._beginning.shapes(*self._hyper())
            index = None
            if self._ordered:
                shape = (self.max_chunk, self.staged.plan.n)
                index = jax.ShapeDtypeStruct(shape, np.int32)
            args = (*self._hyper(), made, self._given, state, index, np.int32(0), np.int32(1))
            self._lowered = self._timed(lambda: jax.jit(chunk).lower(*args))

    # -- the Protocol ---------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the recorded columns, known once traced."""
        return tuple(self._columns)

    def compile(self) -> None:
        """Trace and compile, unless it was done before."""
        if self._chunk is not None:
            return
        self.trace()
        with precision(self.dtype):
            self._chunk = self._timed(self._compiled)
            if self._ordered:
                plan, none = self.staged.plan, np.int32(0)
                rest = (none, none, plan.n, self.max_chunk, plan.sampling)
                self._timed(lambda: orders(plan.order_seed, *rest))

    def needs(self) -> int:
        """Bytes of memory that training takes, as the compiler tells; 0 where it does not."""
        self.compile()
        chunks = self._chunk if isinstance(self._chunk, tuple) else (self._chunk,)
        told = [found for c in chunks if (found := c.memory_analysis()) is not None]
        return max(
            (
                m.argument_size_in_bytes + m.output_size_in_bytes + m.temp_size_in_bytes
                for m in told
            ),
            default=0,
        )

    def init(self) -> TrainState:
        """The state before the first epoch, and the arrays that traced parameters make."""
        self.compile()
        with precision(self.dtype):
            self._given = tuple(
                leaf if isinstance(leaf, ON_DISK) else jax.device_put(leaf) for leaf in self._given
            )
            state, self._made = self._timed(lambda: self._beginning.draw(*self._hyper()))
        return state

    def advance(
        self, state: TrainState, epoch: int, n: int
    ) -> tuple[TrainState, Mapping[str, np.ndarray]]:
        """Train ``n`` epochs more."""
        with precision(self.dtype):
            epoch, n = np.int32(epoch), np.int32(n)  # pyright: ignore[reportAssignmentType]
            index = None
            if self._ordered:
                plan = self.staged.plan
                index = orders(plan.order_seed, epoch, n, plan.n, self.max_chunk, plan.sampling)
            state, records = self._chunk(
                *self._hyper(), self._made, self._given, state, index, epoch, n
            )
            records = jax.device_get(records)
        return state, {name: column[:, :n] for name, column in records.items()}

    def standing(self, state: TrainState) -> program.Standing:
        """How the members stand."""
        host = jax.device_get(
            (
                state.active,
                state.outcome,
                state.epochs,
                state.best_epoch,
                state.best_value,
                state.moved,
            )
        )
        return program.Standing(*(np.atleast_1d(a) for a in host))

    def stop(self, state: TrainState, which: np.ndarray) -> TrainState:
        """Members that train no more."""
        return stop_members(state, which)

    def again(self, hyper: Hyper) -> CohortProgram:
        """The same program for other values of the same traced parameters: nothing is traced."""
        other = copy.copy(self)
        other.hyper, other.traces, other.compile_s = hyper, 0, 0.0
        other._made = other._host = None
        return other

    def evaluate(self, state: TrainState, parts: tuple[str, ...]) -> Mapping[str, np.ndarray]:
        """The risk and the metrics of each part at the best state."""

        def numbers(own: Any, common: Any, made: Any, given: Any, params: Any) -> Any:
            member, data = self._member(own, common, made, given)
            there = _member.parts_of(data)
            return member.final(params, {name: there[name] for name in parts if name in there})

        with precision(self.dtype):
            params = state.params if state.best is None else state.best
            args = (*self._hyper(), self._made, self._given, params)
            if parts not in self._finals:
                whole = jax.jit(lambda *args: self._mapped(numbers, *args)).lower(*args)
                self._finals[parts] = self._timed(lambda: compile_read(whole, self.staged.numbers))
            out = self._timed(lambda: jax.device_get(self._finals[parts](*args)))
        return {name: np.atleast_1d(value) for name, value in out.items()}

    def pack(self, state: TrainState) -> dict[str, np.ndarray]:
        """The state as named arrays."""
        return pack_state(state)

    def unpack(
        self,
        arrays: Mapping[str, np.ndarray],
        first: TrainState | None = None,
        *,
        new_rules: bool = False,
    ) -> TrainState:
        """The state that ``pack`` gave.

        Raises:  CheckpointError: arrays of another task.
        """
        template = self.init() if first is None else first
        with precision(self.dtype):
            return unpack_state(template, arrays, new_rules=new_rules)

    def replay(self, state: TrainState, records: Mapping[str, np.ndarray]) -> TrainState:
        """The state as its stopping rules would have it, had they seen the records (C, n)."""

        def one(own: Any, common: Any, made: Any, given: Any, first: Any) -> Any:
            member, _ = self._member(own, common, made, given)
            return _member.replayed(member, *first)

        with precision(self.dtype):
            seen = {name: np.asarray(column, self.dtype) for name, column in records.items()}
            args = (*self._hyper(), self._made, self._given, (state, seen))
            return jax.jit(lambda *args: self._mapped(one, *args))(*args)

    # -- what a Result needs --------------------------------------------------------------------

    def member_arrays(self, state: TrainState, k: int) -> tuple[Any, Any, Any]:
        """(params at the best state, frozen arrays, data) of member ``k``, on the host."""
        if self._host is None or self._host[0] is not state:
            best = state.params if state.best is None else state.best
            self._host = (state, *jax.device_get((best, self._made)))
        _, params, arrays = self._host
        params = jax.tree.map(lambda a: a[k], params)
        made = [a[k] if own else a for a, own in zip(arrays, self.staged.owned, strict=True)]
        data, frozen = self.staged.inputs(made, self.staged.given)
        transform = self.staged.transform or data.transform
        if isinstance(transform, Transform):
            data = data.changed(transform=transform.settled())
        elif transform is not None:
            data = data.changed(transform=transform)
        return params, jax.tree.map(np.asarray, frozen), data

    # -- tracing --------------------------------------------------------------------------------

    def _hyper(self) -> tuple[Any, Any]:
        return dict(self.hyper.own), dict(self.hyper.common)

    def _mapped(self, fn: Any, own: Any, common: Any, made: Any, given: Any, *rest: Any) -> Any:
        """``fn`` over the members: own arrays and ``rest[0]`` have a leading axis C."""
        owned = self.staged.owned
        mine = (own, [a for a, o in zip(made, owned, strict=True) if o], rest[0])
        shared = [a for a, o in zip(made, owned, strict=True) if not o]

        def one(mine: Any) -> Any:
            own, some, first = mine
            some, others = iter(some), iter(shared)
            whole = [next(some) if o else next(others) for o in owned]
            return fn(own, common, whole, given, first, *rest[1:])

        if self.size == 1:
            out = one(jax.tree.map(lambda a: a[0], mine))
            return jax.tree.map(lambda a: jnp.asarray(a)[None], out)
        if self.mode == "map":
            return jax.lax.map(one, mine)
        return jax.vmap(one, axis_size=self.size)(mine)

    def _compiled(self) -> Any:
        return compile_loop(self._lowered)

    def _member(self, own: Any, common: Any, made: Any, given: Any) -> tuple[Member, Any]:
        task = self.build({**own, **common})
        data, frozen = self.staged.inputs(made, given)
        return _member.make_member(task, frozen, models.adapt(task.model, task.seed)), data

    def _member_chunk(
        self,
        own: Any,
        common: Any,
        made: Any,
        given: Any,
        state: Any,
        index: Any,
        epoch: Any,
        n: Any,
    ) -> Any:
        """One member's chunk: a loop over epochs that fills fixed buffers."""
        self.traces += 1
        member, data = self._member(own, common, made, given)
        alone = self.size == 1 or self.mode == "map"
        state, buffers = run_chunk(member, data, state, index, epoch, n, alone=alone)
        self._columns = sorted(buffers)
        return state, buffers

    def _timed(self, work: Any) -> Any:
        began = time.perf_counter()
        out = work()
        self.compile_s += time.perf_counter() - began
        return out
