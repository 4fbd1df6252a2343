"""The beginning of a cohort: its data, then its first states, drawn on the host or by programs.

The data have a program of their own, so that nothing of the model can reach a bit of them, and so
that hypothesis classes of other sizes find it compiled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from thetahat.train.jax._compile import Busy, compilations, compile_draw
from thetahat.train.jax._compiled import compiled, reused
from thetahat.train.jax._disk import load, save
from thetahat.train.jax._host_draws import host_draws
from thetahat.train.jax._jaxpr_key import JaxprKey, NotComparable, without_dead_code
from thetahat.train.jax._settings import settings
from thetahat.train.jax._staging import Staged

_COMPARED = 1 << 16
"""Bytes of arrays in a program, up to which it is looked for among those that are compiled."""

_TABLE = 1 << 10
"""Bytes from which an array that an experiment closes over is an argument of the program, so that
other data of its shape find it compiled."""

_Program = Callable[[Any, Any, Any], list[Any]]


@dataclass(frozen=True)
class _Part:
    """Some of what a jaxpr of one member gives, of C members.

    Args:    tables: its first arguments.
             owned: of each output, whether it differs between members.
             numbers: of all outputs of one member.
    """

    closed: ClosedJaxpr
    tables: tuple[Any, ...]
    owned: tuple[bool, ...]
    size: int
    numbers: int

    def draw(self, tables: Any, own: Any, common: Any) -> list[Any]:
        """The outputs at traced parameters, own (C,) and common."""
        one = partial(jaxpr_as_fun(self.closed), *tables)
        return _draw(one, self.owned, self.size, own, common)

    def here(self) -> _Program | None:
        """``draw`` on the host; None where a program draws."""
        found = host_draws(self.closed, self.size)
        if found is None:
            return None

        def draw(tables: Any, own: Any, common: Any) -> list[Any]:
            return jax.device_put(found.members(tables, own, common, self.size, self.owned))

        return draw

    def found(self, own: Any, common: Any) -> _Program | None:
        """``draw``, compiled for another task that draws the same."""
        key = self.key(own, common)
        found = compiled.get(key) if key else None
        if key and found is None:
            kept = load(key, jax.tree.structure(((self.tables, own, common), {})))
            if kept is not None:
                found, _ = kept
                compiled.keep(key, found)
        return found

    def compiled(self, own: Any, common: Any, lowered: Any, *, patient: bool) -> _Program:
        """``draw``, compiled, for this task and others.

        Raises:  Busy: another process is compiling it, and we are not patient.
        """
        before = compilations()
        run = compile_draw(lowered, self.numbers * self.size, patient=patient)
        key = self.key(own, common)
        if key:
            compiled.keep(key, run)
            if compilations() > before:
                save(key, run)
        return run

    def key(self, own: Any, common: Any) -> Any:
        """What makes two programs one; None where they hold what cannot be compared."""
        key = JaxprKey(strict=True)
        try:
            found = key.of(self.closed)
        except NotComparable:
            return None
        if not reused() or key.const_bytes > _COMPARED:
            return None
        arguments = (self.tables, own, common)
        given = tuple((np.shape(a), str(a.dtype)) for a in jax.tree.leaves(arguments))
        tree = jax.tree.structure(arguments)
        return "draw", found, given, tree, self.owned, self.size, settings()


@dataclass(frozen=True)
class PaddedState:
    """The first state of nets with more inputs than are real: one program draws those of any d.

    Args:    trace: gives the jaxpr of one member, as ``padded_state``.   real: how many are real.
    """

    trace: Callable[[], ClosedJaxpr]
    real: int

    def program(self, exact: _Part, own: Any, common: Any) -> _Program | None:
        """What draws the states that ``exact`` draws, with zeros for the other inputs.

        Returns: None where it needs arrays of the experiment's.
        """
        # Such a trace takes milliseconds, which a warm fit need not spend.
        key = exact.key(own, common)
        found = compiled.get(("padded", key)) if key else None
        if found is None:
            closed, n = self.trace(), len(exact.owned)
            part = _part(closed, range(n), exact.owned, exact.size)
            if part.tables:
                return None
            real = np.int32(self.real)
            (run,) = _compile([part], own, (common[0], real))
            found = lambda _, own, common: run((), own, (common[0], real))  # noqa: E731
            if key:
                compiled.keep(("padded", key), found)
        return found


class Beginning:
    """Draws the states and made arrays of C members; compiles once.

    Args:    padded: how states are drawn for more inputs, where they are padded.
    """

    def __init__(self, staged: Staged, size: int, padded: PaddedState | None = None) -> None:
        self._sizes = [math.prod(aval.shape) for aval in staged.closed.out_avals]
        leaves = len(self._sizes)
        n_state = leaves - len(staged.owned)
        # A state is every member's own; of the made arrays it is known.
        self.owned = (*(True,) * n_state, *staged.owned)
        self.tree, self.size = staged.out_tree, size
        first = n_state + staged.made_data
        model = [k for k in range(leaves) if not n_state <= k < first]
        self._parts = [
            (keep, _part(staged.closed, keep, [self.owned[k] for k in keep], size))
            for keep in (list(range(n_state, first)), model)
            if keep
        ]
        self._runs: list[Any] | None = None
        self._padded = padded if model == list(range(n_state)) else None

    def shapes(self, own: Any, common: Any) -> Any:
        """(states, made arrays) as shapes: nothing is compiled."""
        return self._whole(
            [jax.eval_shape(part.draw, part.tables, own, common) for _, part in self._parts]
        )

    def draw(self, own: Any, common: Any) -> Any:
        """States with their leading axis C; made arrays with one where they differ."""
        if self._runs is None:
            parts = [part for _, part in self._parts]
            runs = [part.here() for part in parts]
            if runs[-1] is None and self._padded is not None:
                runs[-1] = self._padded.program(parts[-1], own, common)
            others = [part for part, run in zip(parts, runs, strict=True) if run is None]
            made = iter(_compile(others, own, common))
            self._runs = [next(made) if run is None else run for run in runs]
        runs = zip(self._runs, self._parts, strict=True)
        drawn = [run(part.tables, own, common) for run, (_, part) in runs]
        return self._whole(jax.block_until_ready(drawn))

    def _whole(self, parts: Sequence[Sequence[Any]]) -> Any:
        leaves: list[Any] = [None] * len(self.owned)
        for (keep, _), drawn in zip(self._parts, parts, strict=True):
            for k, leaf in zip(keep, drawn, strict=True):
                leaves[k] = leaf
        return jax.tree.unflatten(self.tree, leaves)


def _compile(parts: Sequence[_Part], own: Any, common: Any) -> list[_Program]:
    """The programs of parts. What another process is compiling comes last: from the cache then."""
    runs = [part.found(own, common) for part in parts]
    lowered = [
        None if run else jax.jit(part.draw).lower(part.tables, own, common)
        for part, run in zip(parts, runs, strict=True)
    ]
    for patient in (False, True):
        for k, part in enumerate(parts):
            if runs[k] is None:
                with suppress(Busy):
                    runs[k] = part.compiled(own, common, lowered[k], patient=patient)
    return [run for run in runs if run is not None]


def _part(closed: ClosedJaxpr, keep: Sequence[int], owned: Sequence[bool], size: int) -> _Part:
    """The outputs ``keep`` of a jaxpr of one member."""
    wanted = [k in set(keep) for k in range(len(closed.jaxpr.outvars))]
    jaxpr, _ = without_dead_code(closed.jaxpr, wanted, instantiate=True)
    numbers = sum(math.prod(closed.out_avals[k].shape) for k in keep)
    read = {v for e in jaxpr.eqns for v in e.invars if not isinstance(v, Literal)}
    read |= {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    held = [(v, c) for v, c in zip(jaxpr.constvars, closed.consts, strict=True) if v in read]
    tables = [(v, c) for v, c in held if _is_table(c)]
    others = [(v, c) for v, c in held if not _is_table(c)]
    jaxpr = jaxpr.replace(
        constvars=[v for v, _ in others], invars=[*(v for v, _ in tables), *jaxpr.invars]
    )
    closed = ClosedJaxpr(jaxpr, [c for _, c in others])
    return _Part(closed, tuple(c for _, c in tables), tuple(owned), size, numbers)


def _is_table(const: Any) -> bool:
    plain = isinstance(const, (np.ndarray, jax.Array))
    return plain and not jnp.issubdtype(const.dtype, jax.dtypes.extended) and const.nbytes >= _TABLE


def _draw(
    one: Callable[..., list[Any]], owned: Sequence[bool], size: int, own: Any, common: Any
) -> list[Any]:
    """The outputs of ``one`` member's function, for all members."""

    def run(own: Any, common: Any) -> list[Any]:
        return one(*jax.tree.leaves((own, common)))

    first = jax.tree.map(lambda a: a[0], own)
    if size == 1:
        drawn = run(first, common)
        return [jnp.asarray(a)[None] if o else a for a, o in zip(drawn, owned, strict=True)]
    # One by one, also where members are mapped by vmap: it happens once, and random draws compile
    # three times faster unbatched; so members start from the bits they have alone.
    mine = jax.lax.map(
        lambda i: _those(run(jax.tree.map(lambda a: a[i], own), common), owned, True),
        jnp.arange(size),
    )
    shared = [] if all(owned) else _those(run(first, common), owned, False)
    mine, shared = iter(mine), iter(shared)
    return [next(mine) if o else next(shared) for o in owned]


def _those(leaves: Sequence[Any], owned: Sequence[bool], mine: bool) -> list[Any]:
    return [leaf for leaf, o in zip(leaves, owned, strict=True) if o is mine]
