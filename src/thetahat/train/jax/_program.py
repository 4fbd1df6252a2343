"""The compiled program of a cohort: the first state, chunks of epochs, evaluation.

    chunk(hyper, made, given, state, epoch, n) -> state, records (n_max,)

``n`` is data, not shape: one program serves every chunk length. Members are mapped by ``vmap``
("vmap"), or one by one by ``lax.map`` ("exact": bitwise equal to training alone).
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from thetahat import models
from thetahat.core import ConfigError, Mode, Task
from thetahat.data import LaterRows, Transform, content_hash, jax_setting
from thetahat.train._classify import scores_of
from thetahat.train._inputs import inputs_names
from thetahat.train._program import Build, CohortStatus, Hyper, WithData
from thetahat.train._tables import has_tables, is_fixed, table_columns, whole_columns, with_verdicts
from thetahat.train.jax import _member
from thetahat.train.jax._by_trace import NamedProgram, TracedFunction, by_trace, keep, kept
from thetahat.train.jax._compile import compilations, compile_loop, compile_read, read_options
from thetahat.train.jax._compiled import compiled, reused
from thetahat.train.jax._disk import link
from thetahat.train.jax._epoch import MAX_CHUNK, ORDERS, run_chunk
from thetahat.train.jax._fingerprint import Mathematics, unchanged_generators
from thetahat.train.jax._fitted import FittedMember, inputs_like
from thetahat.train.jax._init import Beginning, PaddedState
from thetahat.train.jax._jaxpr_key import NotComparable
from thetahat.train.jax._member import Member
from thetahat.train.jax._memory import device_memory, memory_errors
from thetahat.train.jax._orders import Orders, made_inside, own_seeds
from thetahat.train.jax._padding import padding_of
from thetahat.train.jax._precision import FULL, ON_DISK, asked_products, precision
from thetahat.train.jax._predictor import ModelSource, Predictor, source_of
from thetahat.train.jax._residuals import residuals_of
from thetahat.train.jax._staging import Staged, padded_state, stage
from thetahat.train.jax._state import TrainState, pack_state, stop_members, unpack_state
from thetahat.train.jax._targets import check_made

_log = logging.getLogger("thetahat.train")
_ORDER = object()
"""The key of the columns' order, beside the names of tables."""


class CohortProgram:
    """C members as one program. See ``train._program.Program``."""

    def __init__(self, build: Build, hyper: Hyper, staged: Staged, size: int, mode: str) -> None:
        self.build, self.hyper, self.staged = build, hyper, staged
        self.size, self.mode = size, "exact" if size == 1 else mode
        self.task: Task = staged.task
        self.dtype, self.n_params = staged.task.dtype, staged.n_params
        self.best_mode: Mode | None = staged.best_mode
        self.traces = 0
        self.compile_s = 0.0
        self._made: Any = None
        self._host: Any = None
        self._chunk: Any = None
        self._finals: dict[tuple[str, ...], Any] = {}
        self._tabulated: Any = None
        self._sources: list[ModelSource] = []
        self._read: tuple[Any, dict[str, Any]] | None = None
        self._lowered: Any = None
        self._columns: list[str] = []
        self._padding = padding_of(staged)
        self._beginning = Beginning(staged, size, self._padded_state())
        self._given = staged.given if self._padding is None else self._padding.given()
        plan = staged.plan if self._padding is None else self._padding.plan
        self._own_order = staged.order is not None and not made_inside(
            size * plan.n * self.task.epochs
        )
        self._ordered, self._places = plan.shared_order or self._own_order, plan.n
        most = ORDERS // (plan.n * (size if self._own_order else 1))
        self.max_chunk = min(MAX_CHUNK, max(1, most)) if self._ordered else MAX_CHUNK
        own = staged.plan
        self._orders = Orders(
            own.order_seed, own.n, own.sampling, self.max_chunk, plan.n, drawn=own.random
        )

    def trace(self) -> None:
        """Trace and lower the chunk, abstractly: nothing runs, nothing is compiled.

        A chunk that this process has compiled for the same mathematics is taken as it is.

        Raises:  JAX's concretization errors: Python needs a traced value.
        """
        if self._lowered is not None or self._chunk is not None:
            return
        if has_tables(self.task):
            self._tabulated = self._tabulate()
        kept = self._timed(lambda: self._kept(self._chunk_name))
        if kept is not None:
            self._chunk, self._columns = kept
            return
        own, common = self._hyper
        with precision(self.dtype):
            state, made = self._beginning.shapes(own, self._shared)
            if self._padding is not None:
                state, made = self._padding.state(state), self._padding.made(made)
            index = None
            if self._ordered:
                shape = (self.max_chunk, self._places)
                each = (self.size,) if self._own_order else ()
                index = jax.ShapeDtypeStruct((*each, *shape), np.int32)
            first = ((state, index), None) if self._own_order else (state, index)
            args = (own, common, made, self._given, *first, np.int32(0), np.int32(1))
            self._lowered = self._timed(lambda: self._traced(self._member_chunk, args).lower())

    # -- the Protocol ---------------------------------------------------------------------------

    @property
    def batch_order(self) -> Literal["", "own", "shared"]:
        """Whether members share the order of their batches."""
        if not self.staged.plan.random:
            return ""
        return "shared" if self.staged.plan.shared_order else "own"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the recorded columns, known once traced."""
        return tuple(self._columns)

    def compile(self) -> None:
        """Trace and compile, unless it was done before."""
        self.trace()
        if self._chunk is not None:  # from before, or a chunk that this process keeps
            return
        with precision(self.dtype):
            before = compilations()
            self._chunk = self._timed(self._compiled)
            fresh = compilations() > before
            self._check_fingerprint()
            self._keep(self._chunk_name, self._chunk, self._columns, fresh)

    def needs(self) -> int:
        """Bytes of memory that training takes by the compiler's count; 0 if it has none."""
        self.compile()
        chunks = self._chunk if isinstance(self._chunk, tuple) else (self._chunk,)
        return max(map(_bytes_of, chunks))

    @memory_errors()
    def fits(self, share: float) -> int:
        """How many members fit. One alone is always tried: its needs cannot be divided."""
        if self.size == 1:
            return 1
        room = device_memory()[0] * share
        # What the members hold is known before anything is compiled, and is held twice.
        least = 2 * self.size * self.staged.member_bytes
        needs = least if least > room else max(least, self.needs())
        if needs <= room:
            return self.size
        return max(1, min(self.size - 1, int(self.size * room / needs)))

    @memory_errors()
    def init(self) -> TrainState:
        """The state before the first epoch, and the arrays that traced parameters make."""
        self.compile()
        with precision(self.dtype):
            if self._own_order:
                assert self.staged.order is not None
                seeds = own_seeds(self.staged.order, dict(self.hyper.own), self._shared, self.size)
                self._orders = copy.copy(self._orders)
                self._orders.seed = seeds
            if self._ordered:
                self._timed(lambda: self._orders.begin(self.task.epochs))
            put = iter(jax.device_put([a for a in self._given if not isinstance(a, ON_DISK)]))
            self._given = tuple(a if isinstance(a, ON_DISK) else next(put) for a in self._given)
            state, self._made = self._timed(
                lambda: self._beginning.draw(dict(self.hyper.own), self._shared)
            )
            if self._padding is not None:
                state, self._made = self._padding.state(state), self._padding.made(self._made)
        return state

    @memory_errors()
    def advance(
        self, state: TrainState, epoch: int, n: int
    ) -> tuple[TrainState, Mapping[str, np.ndarray]]:
        """Train ``n`` epochs more."""
        with precision(self.dtype):
            index = self._orders(epoch, n) if self._ordered else None
            epoch, n = np.int32(epoch), np.int32(n)  # pyright: ignore[reportAssignmentType]
            leaves, tree = jax.tree.flatten(state)
            out = self._chunk(*jax.tree.leaves((*self._fixed, leaves, index, epoch, n)))
            records = jax.device_get(out[len(leaves) :])
        state = jax.tree.unflatten(tree, out[: len(leaves)])
        return state, {k: v[:, :n] for k, v in zip(self._columns, records, strict=True)}

    def status(self, state: TrainState) -> CohortStatus:
        """The state of the members."""
        names = ("active", "outcome", "epochs", "best_epoch", "best_value", "moved")
        host = jax.device_get([getattr(state, name) for name in names])
        return CohortStatus(*(np.atleast_1d(a) for a in host))

    def stop(self, state: TrainState, which: np.ndarray) -> TrainState:
        """End members."""
        return stop_members(state, which)

    def again(self, hyper: Hyper, data: Any = None) -> CohortProgram:
        """The same program for other values of the same traced parameters, or other data.

        Raises:  ConfigError: data of other shapes.
        """
        if data is not None:
            return self._with_data(hyper, data)
        other = copy.copy(self)
        other.hyper, other.traces, other.compile_s = hyper, 0, 0.0
        other._made = other._host = None
        return other

    def _with_data(self, hyper: Hyper, data: Any) -> CohortProgram:
        build = WithData(self.build, data)
        other = type(self)(build, hyper, stage(build, hyper), self.size, self.mode)
        if self.staged.streamed or other.staged.streamed:
            other.trace()
            return other
        mine, others = (p._mathematics.facts(p._padding) for p in (self, other))
        if mine != others:
            rows = str(self.staged.plan.n)
            if self._padding is not None:
                rows = f"at most {self._padding.rows['train']}"
            raise ConfigError(
                "again() takes data of the shapes and types that the program was made for; give"
                f" {rows} training observations like those, or fit a new Task"
            )
        other._chunk, other._columns, other._finals = self._chunk, self._columns, self._finals
        other._lowered = self._lowered
        other._fingerprint = None  # its mathematics is taken as known, and not compared
        return other

    def moved(self, device: Any, chunk: Any = None) -> CohortProgram:
        """The same members on another device, after ``init``; one that can only ``advance``.

        Args:    chunk: what another call has compiled for that device: its ``chunk``.
        """
        other = copy.copy(self)
        other._made, other._given = jax.device_put((self._made, self._given), device)
        other._chunk, other._host, other.traces, other.compile_s = chunk, None, 0, 0.0
        if chunk is None:
            other._lowered = None
            other.__dict__.pop("_fingerprint", None)  # it names the device too
            with jax.default_device(device):
                other.compile()
        return other

    @property
    def chunk(self) -> Any:
        """The compiled chunk."""
        return self._chunk

    def remapped(self, mode: str) -> CohortProgram:
        """The same members in the other mode."""
        return type(self)(self.build, self.hyper, self.staged, self.size, mode)

    @memory_errors()
    def evaluate(self, state: TrainState, parts: tuple[str, ...]) -> Mapping[str, np.ndarray]:
        """The risk and the metrics of each part at the best state.

        Their program is found by the fit's own key, or by its trace (``_by_trace``): other
        optimizers, batches and rules evaluate by the same.
        """
        names: list[str] = []

        def numbers(member: Member, data: Any, at: Any) -> Any:
            params, points = at
            data = data if points is None else data.changed(train=points)
            there = _member.parts_of(data)
            found = member.final(params, {name: there[name] for name in parts if name in there})
            names[:] = sorted(found)
            return found

        def program() -> NamedProgram:
            found = self._kept(parts)
            if found is not None:
                return found
            options, leaves = read_options(numbered), jax.tree.leaves(args)
            traced = self._traced(numbers, args, self._evaluated_at_once)
            found, key = by_trace(
                traced,
                leaves,
                lambda lowered: compile_read(lowered, numbered),
                ("read", *sorted(options.items())),
                names,
                on_disk=True,
            )
            self._also_named(parts, key, found)
            return found

        with precision(self.dtype):
            args = (*self._fixed, (best_params(state), state.points))
            numbered = self.staged.numbers * self._together
            if parts not in self._finals:
                self._finals[parts] = self._timed(program)
            read, columns = self._finals[parts]
            out = self._timed(lambda: jax.device_get(read(*jax.tree.leaves(args))))
        return {k: np.atleast_1d(v) for k, v in zip(columns, out, strict=True)}

    @memory_errors()
    def tables(self, state: TrainState) -> list[dict[str, dict[str, np.ndarray]]]:
        """The tables of every member, evaluated together at the best state."""
        with precision(self.dtype):
            self._tabulated = self._tabulated or self._tabulate()
            run, fixed = self._tabulated
            out = self._timed(lambda: jax.device_get(run(*self._fixed, best_params(state))))
        return [
            with_verdicts(
                {
                    name: whole_columns({c: fixed[name].get(c, drawn.get(c)) for c in columns})
                    for name, columns in fixed[_ORDER].items()
                    for drawn in [{c: v[k] for c, v in out[name].items()}]
                }
            )
            for k in range(self.size)
        ]

    def _tabulate(self) -> tuple[Any, Any]:
        """The function of all members that makes the traced columns of their tables, and the fixed
        columns; traced abstractly, so that a wrong table fails before training."""
        fixed: dict[Any, Any] = {}

        def drawn(member: Member, data: Any, params: Any) -> Any:
            h = member.adapted.bind(params, member.frozen)
            transform = self.staged.transform or data.transform
            if isinstance(transform, Transform):
                h = models.InUnits(None, transform, self.dtype, h)
            found = table_columns(member.task, h, residuals_of(member.task, h))
            fixed[_ORDER] = {name: list(columns) for name, columns in found.items()}
            for name, columns in found.items():
                fixed[name] = {c: v for c, v in columns.items() if is_fixed(v)}
            return {
                name: {c: jnp.asarray(v) for c, v in columns.items() if not is_fixed(v)}
                for name, columns in found.items()
            }

        with precision(self.dtype):
            own, common = self._hyper
            state, made = self._beginning.shapes(own, self._shared)
            if self._padding is not None:
                state, made = self._padding.state(state), self._padding.made(made)
            args = (own, common, made, self._given, best_params(state))
            out = jax.eval_shape(partial(self._mapped, drawn), *args)
        numbers = sum(leaf.size for leaf in jax.tree.leaves(out)) // self.size
        numbers += sum(getattr(check, "numbers", 0) for check in self.task.accept)
        most = max(1, _member.EVAL_AT_ONCE * 8 // max(1, numbers))
        return TracedFunction(partial(self._mapped, drawn, most=most)), fixed

    def pack(self, state: TrainState) -> dict[str, np.ndarray]:
        """The state as named arrays."""
        return pack_state(state if self._padding is None else self._padding.cut_state(state))

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
            if self._padding is None:
                return unpack_state(template, arrays, new_rules=new_rules)
            template = self._padding.cut_state(template)
            return self._padding.state(unpack_state(template, arrays, new_rules=new_rules))

    def replay(self, state: TrainState, records: Mapping[str, np.ndarray]) -> TrainState:
        """The state after the stopping rules have seen the records (C, n) from the start."""
        with precision(self.dtype):
            seen = {name: np.asarray(column, self.dtype) for name, column in records.items()}
            replayed = self._each(lambda member, _, first: _member.replayed(member, *first))
            return replayed(*self._fixed, (state, seen))

    # -- what a Result needs --------------------------------------------------------------------

    def fitted(self, state: TrainState, k: int, config: Mapping[str, Any]) -> FittedMember:
        """The function that member ``k`` has estimated."""
        traced = self.hyper.member(k)
        values, build = {name: config.get(name, v) for name, v in traced.items()}, self.build
        params, frozen, data = self._arrays(state, k)
        if not self._sources:
            layers = len(jax.tree.leaves((params, frozen)))
            name = self.staged.adapted.name
            self._sources.append(source_of(build, self.task, layers, bool(traced), name))
        if self._read is None or self._read[0] is not data:  # members may share their data
            shape, whole = inputs_like(data.train)
            scores, columns = scores_of(self.task, data), inputs_names(data)
            of_data = {"transform": data.transform, "shape": shape, "whole": whole}
            self._read = data, of_data | {"scores": scores, "columns": columns}
        predictor = Predictor(
            source=self._sources[0],
            values={} if self._sources[0].description else traced,
            trained=params,
            frozen=frozen,
            dtype=self.dtype,
            **self._read[1],
        )
        member = FittedMember(lambda: build(values), predictor, data)
        if data.rows == {}:
            # A traced seed chose them: the Task is built anew if they are asked for.
            rows = LaterRows(lambda: member.task.data.rows)
            member = replace(member, data=data.changed(rows=rows))
        return member

    def facts(self, state: TrainState) -> list[dict[str, Any]]:
        """The provenance of every member at the first state."""
        device, known = jax.devices()[0], dict[tuple[int, ...], str]()
        shared = {
            "prng_impl": str(jax_setting("jax_default_prng_impl")),
            "threefry_partitionable": bool(jax_setting("jax_threefry_partitionable")),
            "dtype": self.dtype,
            "device": f"{device.platform}: {device.device_kind}",
            "n_devices": jax.device_count(),
        }
        if device.platform != "cpu":
            shared["matrix_products"] = asked_products() or FULL
        if self.task.start is not None:
            shared["start"] = str(self.task.start)
        if name := self.staged.adapted.name:
            shared |= {"backend": "jax", "backend_why": f"the PyTorch module {name} is converted"}
        found, drawn, hashes = [], {}, {}
        for k in range(self.size):
            params, _, drawn[k] = self._arrays(state, k)
            if k == 0 or drawn[k] is not drawn[k - 1]:
                for name, part in _member.parts_of(drawn[k]).items():
                    place = tuple(map(id, jax.tree.leaves(part)))  # members share arrays
                    if place not in known:
                        known[place] = content_hash(part)
                    hashes[f"data_{name}"] = known[place]
            found.append({**shared, **hashes, "init": content_hash(params)})
        check_made(self.staged, drawn)
        return found

    def mathematics(self) -> Mapping[str, str]:
        """Keys of what is computed; also for other values of the traced parameters."""
        return self._mathematics.keys()

    @cached_property
    def _mathematics(self) -> Mathematics:
        return Mathematics(self.build, self.hyper, self.staged)

    def used(self) -> frozenset[str]:
        """The traced parameters that a number depends on."""
        return self._mathematics.used()

    # -- programs of this process ----------------------------------------------------------------

    @cached_property
    def _fingerprint(self) -> str | None:
        """The key under which programs are reused; None where none are."""
        if not reused():
            return None
        try:
            with unchanged_generators():
                return self._mathematics.fingerprint(self.size, self.mode, self._padding)
        except NotComparable as error:
            _log.debug("the program is not reused: %s", error)
        except Exception as error:  # noqa: BLE001 - the trace of the program raises it in its place
            _log.debug("the program is not reused: %r", error)
        return None

    def _kept(self, what: Any) -> Any:
        """A compiled program of the same mathematics, and its columns; None where there is none."""
        return None if self._fingerprint is None else kept((what, self._fingerprint))

    def _keep(self, what: Any, program: Any, columns: Sequence[str], fresh: bool) -> None:
        """Keep a compiled program for others of the same mathematics.

        Args:    fresh: whether it was compiled, and not read from JAX's cache.
        """
        if self._fingerprint is not None:
            keep((what, self._fingerprint), (program, tuple(columns)), fresh=fresh)

    def _also_named(self, what: Any, key: Any, program: NamedProgram) -> None:
        """Let fits of the same mathematics find the program of a trace before they trace."""
        if key is not None and self._fingerprint is not None:
            compiled.keep((what, self._fingerprint), program)
            link((what, self._fingerprint), key)

    def _check_fingerprint(self) -> None:
        """Trace once more: functions that differ between two traces have no fingerprint."""
        before, again = self._fingerprint, None
        if before is None:
            return
        second = Mathematics(self.build, self.hyper, self.staged)
        with suppress(NotComparable):
            again = second.fingerprint(self.size, self.mode, self._padding)
        if again != before:
            _log.debug("the program is not reused: another trace gives other mathematics")
            self._fingerprint = None

    def _arrays(self, state: TrainState, k: int) -> tuple[Any, Any, Any]:
        """(params at the best state, frozen arrays, data) of member ``k``, on the host."""
        if self._host is None or self._host[0] is not state:
            best = jax.device_get((best_params(state), state.points, self._made))
            # Without an array of its own, every member has the same data, made and hashed once.
            common = None if any(self.staged.owned) else self._inputs(best[2])
            leaves, tree = jax.tree.flatten(best[:2])
            self._host = (state, leaves, tree, best[2], common)
        _, leaves, tree, arrays, common = self._host
        params, points = tree.unflatten([a[k] for a in leaves])
        if self._padding is not None:
            params = self._padding.cut_state(params, lead=0)
        if common is None:
            pairs = zip(arrays, self.staged.owned, strict=True)
            common = self._inputs([a[k] if own else a for a, own in pairs])
        frozen, data = common
        return params, frozen, data if points is None else data.changed(train=points)

    def _inputs(self, made: Sequence[Any]) -> tuple[Any, Any]:
        """(frozen arrays, data) of a member whose arrays are ``made``."""
        data, frozen = self.staged.inputs(list(made), self.staged.given)
        if self._padding is not None:
            data = self._padding.cut(data)
        data = data.changed(rows=self.staged.rows)
        transform = self.staged.transform or data.transform
        if isinstance(transform, Transform):
            data = data.changed(transform=transform.settled())
        elif transform is not None:
            data = data.changed(transform=transform)
        return jax.tree.map(np.asarray, frozen), data

    # -- tracing --------------------------------------------------------------------------------

    def _padded_state(self) -> PaddedState | None:
        """How states are drawn for the inputs of the program; None where for their own."""
        columns = None if self._padding is None else self._padding.columns
        drawn = models.draws_padded(self.task.model) and self.task.start is None
        if columns is None or columns[0] == columns[1] or not drawn:
            return None
        if not jax_setting("jax_threefry_partitionable"):  # more numbers would be other numbers
            return None
        real, d = columns
        trace = partial(padded_state, self.build, self.hyper, self.dtype, d, real)
        return PaddedState(trace, real)

    @property
    def _hyper(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return dict(self.hyper.own), dict(self.hyper.common)

    @property
    def _shared(self) -> tuple[dict[str, Any], Any]:
        """What all members begin with: common traced parameters, and a start's arrays."""
        start = self.staged.start
        return dict(self.hyper.common), None if start is None else dict(start)

    @property
    def _fixed(self) -> tuple[Any, ...]:
        """The arguments that are the same for every call of a compiled function."""
        return (*self._hyper, self._made, self._given)

    @property
    def _together(self) -> int:
        """Members that are computed at once. One by one, all is as it is for one alone."""
        return self.size if self.mode == "vmap" else 1

    @property
    def _evaluated_at_once(self) -> int:
        """Members whose risk is evaluated at once: bounds the memory of wide cohorts."""
        return max(1, _member.EVAL_AT_ONCE // min(self.staged.plan.n, _member.EVAL_BLOCK))

    def _traced(self, fn: Callable[..., Any], args: Any, most: int | None = None) -> Any:
        """``fn`` of every member as ``_each``, from leaves to leaves, traced: no structure of the
        user's is part of the program.

        Args:    most: members at once; None is all.
        """
        leaves, tree = jax.tree.flatten(args)

        def run(*leaves: Any) -> Any:
            mapped = self._mapped(fn, *jax.tree.unflatten(tree, leaves), most=most)
            return jax.tree.leaves(mapped)

        return jax.jit(run).trace(*leaves)

    def _each(self, fn: Callable[..., Any]) -> Any:
        """``fn(member, data, first, *rest)`` of every member, to be compiled.

        Its arguments are ``_fixed``, ``first`` with a leading axis C, and ``rest``.
        """
        return jax.jit(partial(self._mapped, fn))

    def _mapped(
        self,
        fn: Any,
        own: Any,
        common: Any,
        made: Any,
        given: Any,
        first: Any,
        *rest: Any,
        most: int | None = None,
    ) -> Any:
        owned = self.staged.owned
        mine = (own, [a for a, o in zip(made, owned, strict=True) if o], first)
        shared = [a for a, o in zip(made, owned, strict=True) if not o]

        def one(mine: Any) -> Any:
            own, some, first = mine
            some, others = iter(some), iter(shared)
            whole = [next(some) if o else next(others) for o in owned]
            task = self.build({**own, **common})
            data, frozen = self.staged.inputs(whole, given)
            real = adapted = None
            if self._padding is not None:
                real = self._padding.real(given)
                adapted = self._padding.adapted(task.model, real.inputs)
            if adapted is None:
                adapted = models.adapt(task.model, task.seed)
            member = _member.make_member(task, frozen, adapted, data.transform, real)
            return fn(member, data, first, *rest)

        if self.size == 1:
            out = one(jax.tree.map(lambda a: a[0], mine))
            return jax.tree.map(lambda a: jnp.asarray(a)[None], out)
        if self.mode == "exact":
            return jax.lax.map(one, mine)
        return in_blocks(one, mine, self.size, self.size if most is None else most)

    @property
    def _chunk_name(self) -> str:
        """Of two programs of one mathematics: with the orders, or without."""
        inside = self.staged.order is not None and not self._own_order
        return "chunk with orders" if inside else "chunk"

    def _compiled(self) -> Any:
        return compile_loop(self._lowered)

    def _member_chunk(
        self, member: Member, data: Any, state: Any, index: Any, epoch: Any, n: Any
    ) -> Any:
        """One member's chunk: a loop over epochs that fills fixed buffers."""
        self.traces += 1
        if self._own_order:
            state, index = state
        alone = self.mode == "exact"
        state, buffers = run_chunk(member, data, state, index, epoch, n, alone=alone)
        self._columns = sorted(buffers)
        return state, buffers

    def _timed(self, work: Any) -> Any:
        began = time.perf_counter()
        out = work()
        self.compile_s += time.perf_counter() - began
        return out


@lru_cache(maxsize=8)
def _bytes_of(chunk: Any) -> int:
    """Bytes of memory that a compiled program takes; 0 if the compiler has no count.

    The count takes longer than many a fit of a kept program."""
    counted = chunk.memory_analysis()
    parts = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
    return 0 if counted is None else sum(getattr(counted, part) for part in parts)


def in_blocks(one: Callable[[Any], Any], mine: Any, size: int, most: int) -> Any:
    """``one`` of every member by ``vmap``, at most so many members at once."""
    blocks = -(-size // most)
    if blocks == 1:
        return jax.vmap(one, axis_size=size)(mine)
    width = -(-size // blocks)  # the last block repeats the last member: one program for all
    index = np.minimum(np.arange(blocks * width, dtype=np.int32), size - 1).reshape(blocks, width)
    out = jax.lax.map(lambda rows: jax.vmap(one)(jax.tree.map(lambda a: a[rows], mine)), index)
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:size], out)


def best_params(state: TrainState) -> Any:
    """The parameters that count."""
    return state.params if state.best is None else state.best
