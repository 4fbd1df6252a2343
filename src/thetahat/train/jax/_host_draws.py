"""First states on the host: NumPy computes what a jaxpr draws, bit for bit, and little is compiled.

A program that draws the parameters of one net takes half a second to compile, and no other net can
use it. What the nets have in common are random words, which NumPy makes as JAX does, and the
function from words to normal numbers, which is compiled once, for blocks of one length; uniform
numbers whose bounds round nothing need none. All else in a first state moves numbers, counts, or
rounds once, and is the same on the host.

Of all members at once: what differs between them has a leading axis C, and what does not has none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from thetahat.data import is_default_generator
from thetahat.train.jax._host_operations import (
    COMPUTES,
    MOVES,
    NotOnHost,
    gathered,
    is_literal,
    kind_of,
    raised,
    wrapped,
)
from thetahat.train.jax._random_draws import CALLS, RandomDraw, draw_of

MOST = 1 << 20
"""Random numbers of a cohort up to which they are drawn here: more take longer than compiling."""
_HERE = {**MOVES, **COMPUTES}
_TO_EVEN = jax.lax.RoundingMethod.TO_NEAREST_EVEN
_EXACT = ("add", "div", "max", "min", "mul", "sqrt", "sub")
"""What NumPy rounds as IEEE 754 says."""


@dataclass(frozen=True)
class HostDraws:
    """What draws the outputs of a jaxpr of one member, on the host.

    Args:    closed: from ``tables``, then the leaves of ``own`` (C,) and of ``common``, of one
             member.   draws: what its calls draw, by the identity of the equation.
             reciprocals: the equations that divide as they multiply.
    """

    closed: ClosedJaxpr
    draws: Mapping[int, RandomDraw]
    reciprocals: Collection[int]

    def members(
        self, tables: Any, own: Any, common: Any, size: int, owned: Sequence[bool]
    ) -> list[np.ndarray]:
        """The outputs of C members at once: with a leading axis C those that are ``owned``."""
        fixed, mine, shared = (list(map(_plain, jax.tree.leaves(a))) for a in (tables, own, common))
        if size == 1:
            mine = [leaf[0] for leaf in mine]
        # Numbers of Python's precision become those of the program first.
        types = [var.aval.dtype for var in self.closed.jaxpr.invars]
        whole = zip((*fixed, *mine, *shared), types, strict=True)
        given = [a.astype(t, copy=False) if a.dtype.kind == "f" else a for a, t in whole]
        each = [size > 1 and len(fixed) <= k < len(fixed) + len(mine) for k in range(len(given))]
        with np.errstate(all="ignore"):  # integers wrap around, as on a device
            found, wide = self._evaluated(self.closed.jaxpr, self.closed.consts, given, each)
        return [
            np.broadcast_to(a, (size, *a.shape)) if its_own and not there else a
            for a, there, its_own in zip(found, wide, owned, strict=True)
        ]

    def _evaluated(
        self, jaxpr: Jaxpr, consts: Sequence[Any], given: Sequence[Any], each: Sequence[bool]
    ) -> tuple[list[np.ndarray], list[bool]]:
        """The outputs, and of each whether it has the axis of members.

        Args:    each: of the inputs, whether they have that axis.
        """
        values = dict(zip(jaxpr.constvars, map(_plain, consts), strict=True))
        values.update(zip(jaxpr.invars, given, strict=True))
        wide = {var for var, one in zip(jaxpr.invars, each, strict=True) if one}

        def read(atom: Any) -> Any:
            return np.asarray(atom.val, atom.aval.dtype) if is_literal(atom) else values[atom]

        def is_wide(atom: Any) -> bool:
            return not is_literal(atom) and atom in wide

        for equation in jaxpr.eqns:
            given = [read(atom) for atom in equation.invars]
            each = [is_wide(atom) for atom in equation.invars]
            out, owned = self._of(equation, given, each)
            values.update(zip(equation.outvars, out, strict=True))
            wide.update(var for var, one in zip(equation.outvars, owned, strict=True) if one)
        return [read(a) for a in jaxpr.outvars], [is_wide(a) for a in jaxpr.outvars]

    def _of(
        self, equation: Any, given: list[Any], each: list[bool]
    ) -> tuple[list[np.ndarray], list[bool]]:
        """What an equation gives."""
        aval, name = equation.outvars[0].aval, equation.primitive.name
        draw = self.draws.get(id(equation))
        if draw is not None:
            return [draw.of(given[0])], each[:1]
        if name in CALLS:
            inner = equation.params["jaxpr"]
            return self._evaluated(inner.jaxpr, inner.consts, given, each)
        if id(equation) in self.reciprocals:
            name, given = "mul", [given[0], aval.dtype.type(1) / given[1]]
        compute, lead = _HERE[name], int(any(each))
        if name == "dynamic_slice" and lead:
            size = next(a.shape[0] for a, one in zip(given, each, strict=True) if one)
            pairs = list(zip(given, each, strict=True))
            members = [[a[k] if one else a for a, one in pairs] for k in range(size)]
            out = np.stack([compute(equation.params, 0, *one) for one in members])
        elif name == "gather":
            out = gathered(*given, *each)
        else:
            if lead and len(given) > 1:  # a number of each member meets all of an array
                given = [
                    raised(a, aval.ndim + 1) if e else a for a, e in zip(given, each, strict=True)
                ]
            out = np.asarray(compute(equation.params, lead, *given))
        dtype = np.uint64 if kind_of(aval.dtype) == "k" else aval.dtype
        return [out.astype(dtype, copy=False)], [bool(lead)]


def host_draws(closed: ClosedJaxpr, size: int) -> HostDraws | None:
    """Return what draws the outputs of a jaxpr on the host, for ``size`` members.

    Returns: None where only a compiled program gives these bits, or is faster.
    """
    if jax.default_backend() != "cpu" or not is_default_generator():
        return None
    check = _Check({}, set())
    try:
        check.facts(closed.jaxpr, [_Fact(False, False)] * len(closed.jaxpr.invars))
    except NotOnHost:
        return None
    if size * sum(draw.numbers for draw in check.draws.values()) > MOST:
        return None
    return HostDraws(closed, check.draws, check.reciprocals)


def _plain(array: Any) -> np.ndarray:
    """Return an array of NumPy; of random keys, their numbers."""
    if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return wrapped(None, 0, np.asarray(jax.random.key_data(array)))
    return np.asarray(array)


# -- what is computed here -------------------------------------------------------------------------


class _Fact(NamedTuple):
    """What is known of a value.

    Args:    constant: whether it depends on no input.   rounded: whether it is a product.
             whole: whether it was rounded to whole numbers.
    """

    constant: bool
    rounded: bool
    whole: bool = False


@dataclass
class _Check:
    """Find out whether a jaxpr is computed here, and what it draws."""

    draws: dict[int, RandomDraw]
    reciprocals: set[int]

    def facts(self, jaxpr: Jaxpr, inputs: Sequence[_Fact]) -> list[_Fact]:
        """The facts of the outputs. Raises NotOnHost: an equation that is not computed here."""
        known = dict.fromkeys(jaxpr.constvars, _Fact(True, False))
        known.update(zip(jaxpr.invars, inputs, strict=True))

        def fact(atom: Any) -> _Fact:
            return _Fact(True, False) if is_literal(atom) else known[atom]

        for equation in jaxpr.eqns:
            given = [fact(atom) for atom in equation.invars]
            known.update(zip(equation.outvars, self._of(equation, given), strict=True))
        return [fact(atom) for atom in jaxpr.outvars]

    def _of(self, equation: Any, given: Sequence[_Fact]) -> list[_Fact]:
        name, constant = equation.primitive.name, all(fact.constant for fact in given)
        if name in CALLS:
            draw = draw_of(equation)
            if draw is None:
                return self.facts(equation.params["jaxpr"].jaxpr, given)
            self.draws[id(equation)] = draw
            # Random words come from a loop, which XLA does not compute in advance.
            return [_Fact(False, draw.name == "_normal")]
        rounded = any(fact.rounded for fact in given)
        if name not in _HERE or (name == "gather" and not _takes_numbers(equation)):
            raise NotOnHost(name)
        moved = name in MOVES or not _computes_floats(equation)
        if moved or (name == "convert_element_type" and _saturates(equation, given[0])):
            return [_Fact(constant, rounded)]
        if constant and (
            name in _EXACT or name == "iota"
        ):  # XLA computes it in advance, as written
            return [_Fact(True, False)]
        return [self._rounded(equation, given)]

    def _rounded(self, equation: Any, given: Sequence[_Fact]) -> _Fact:
        """The fact of a float that is rounded once. Raises NotOnHost: XLA may round otherwise."""
        name, rounded = equation.primitive.name, any(fact.rounded for fact in given)
        if name == "round" and not rounded and equation.params["rounding_method"] == _TO_EVEN:
            return _Fact(False, False, whole=True)
        # A product that XLA could join with nothing: with no other one and no sum. A quotient by
        # what is no constant may be a product by another function, such as the root's reciprocal.
        if rounded or not (name == "mul" or (name == "div" and given[1].constant)):
            raise NotOnHost(f"{name} of floats")
        if name == "div":  # XLA multiplies by the reciprocal
            self.reciprocals.add(id(equation))
        return _Fact(False, True)


def _saturates(equation: Any, given: _Fact) -> bool:
    """Return whether it converts whole floats to integers: nothing is cut off."""
    kind = kind_of(equation.outvars[0].aval.dtype)
    return given.whole and not given.rounded and kind in "iu"


def _takes_numbers(equation: Any) -> bool:
    """Return whether a gather takes single numbers of a vector, without a value for the others."""
    params = equation.params
    numbers = params["dimension_numbers"]
    moved = (numbers.offset_dims, numbers.collapsed_slice_dims, numbers.start_index_map)
    batched = numbers.operand_batching_dims or numbers.start_indices_batching_dims
    inside = params["mode"] in (
        jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS,
        jax.lax.GatherScatterMode.CLIP,
    )
    return inside and moved == ((), (0,), (0,)) and not batched and params["slice_sizes"] == (1,)


def _computes_floats(equation: Any) -> bool:
    """Return whether it computes floats, or depends on them; a type may change to a float."""
    before = [atom.aval.dtype for atom in equation.invars]
    after = [var.aval.dtype for var in equation.outvars]
    if equation.primitive.name == "convert_element_type":
        return kind_of(before[0]) == "f" and before != after
    return "f" in map(kind_of, (*before, *after))
