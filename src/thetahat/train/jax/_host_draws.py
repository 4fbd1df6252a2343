"""First states on the host: NumPy computes what a jaxpr draws, bit for bit, and little is compiled.

A program that draws the parameters of one net takes half a second to compile, and no other net can
use it. What the nets have in common are random words, which NumPy makes as JAX does, and the
function from words to normal numbers, which is compiled once, for blocks of one length; uniform
numbers whose bounds round nothing need none. All else in a first state moves numbers, counts, or
rounds once, and is the same on the host.

Of all members at once: what differs between them has a leading axis C, and what does not has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from thetahat.data import folded_in, is_default_generator, random_words
from thetahat.train.jax._compile import compilations, compile_draw
from thetahat.train.jax._compiled import compiled
from thetahat.train.jax._disk import load, save
from thetahat.train.jax._jaxpr_key import JaxprKey, NotComparable
from thetahat.train.jax._settings import settings

BLOCK = 1 << 11
"""Normal numbers that one call draws."""
MOST = 1 << 20
"""Random numbers of a cohort up to which they are drawn here: more take longer than compiling."""

_DRAWS: Mapping[str, Callable[..., Any]] = {
    "_truncated_normal": jax.random.truncated_normal,
    "_normal": jax.random.normal,
    "_uniform": lambda key, low, high, shape, dtype: jax.random.uniform(
        key, shape, dtype, low, high
    ),
}
"""Functions of a key and constants, by the names of their jaxprs."""
_CALLS = ("jit", "pjit")


class _Elsewhere(Exception):
    """Something that the host may compute to other bits."""


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
            return np.asarray(atom.val, atom.aval.dtype) if _is_literal(atom) else values[atom]

        def is_wide(atom: Any) -> bool:
            return not _is_literal(atom) and atom in wide

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
        if name in _CALLS:
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
            out = _gathered(*given, *each)
        else:
            if lead and len(given) > 1:  # a number of each member meets all of an array
                given = [
                    _raised(a, aval.ndim + 1) if e else a for a, e in zip(given, each, strict=True)
                ]
            out = np.asarray(compute(equation.params, lead, *given))
        dtype = np.uint64 if _kind(aval.dtype) == "k" else aval.dtype
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
    except _Elsewhere:
        return None
    if size * sum(draw.numbers for draw in check.draws.values()) > MOST:
        return None
    return HostDraws(closed, check.draws, check.reciprocals)


def _is_literal(atom: Any) -> bool:
    return isinstance(atom, Literal)


def _plain(array: Any) -> np.ndarray:
    """Return an array of NumPy; of random keys, their numbers."""
    if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return _wrapped(None, 0, np.asarray(jax.random.key_data(array)))
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
        """The facts of the outputs. Raises _Elsewhere: an equation that is not computed here."""
        known = dict.fromkeys(jaxpr.constvars, _Fact(True, False))
        known.update(zip(jaxpr.invars, inputs, strict=True))

        def fact(atom: Any) -> _Fact:
            return _Fact(True, False) if _is_literal(atom) else known[atom]

        for equation in jaxpr.eqns:
            given = [fact(atom) for atom in equation.invars]
            known.update(zip(equation.outvars, self._of(equation, given), strict=True))
        return [fact(atom) for atom in jaxpr.outvars]

    def _of(self, equation: Any, given: Sequence[_Fact]) -> list[_Fact]:
        name, constant = equation.primitive.name, all(fact.constant for fact in given)
        if name in _CALLS:
            draw = draw_of(equation)
            if draw is None:
                return self.facts(equation.params["jaxpr"].jaxpr, given)
            self.draws[id(equation)] = draw
            # Random words come from a loop, which XLA does not compute in advance.
            return [_Fact(False, draw.name == "_normal")]
        rounded = any(fact.rounded for fact in given)
        if name not in _HERE or (name == "gather" and not _takes_numbers(equation)):
            raise _Elsewhere(name)
        moved = name in _MOVES or not _computes_floats(equation)
        if moved or (name == "convert_element_type" and _saturates(equation, given[0])):
            return [_Fact(constant, rounded)]
        if constant and (
            name in _EXACT or name == "iota"
        ):  # XLA computes it in advance, as written
            return [_Fact(True, False)]
        return [self._rounded(equation, given)]

    def _rounded(self, equation: Any, given: Sequence[_Fact]) -> _Fact:
        """The fact of a float that is rounded once. Raises _Elsewhere: XLA may round otherwise."""
        name, rounded = equation.primitive.name, any(fact.rounded for fact in given)
        if name == "round" and not rounded and equation.params["rounding_method"] == _TO_EVEN:
            return _Fact(False, False, whole=True)
        # A product that XLA could join with nothing: with no other one and no sum. A quotient by
        # what is no constant may be a product by another function, such as the root's reciprocal.
        if rounded or not (name == "mul" or (name == "div" and given[1].constant)):
            raise _Elsewhere(f"{name} of floats")
        if name == "div":  # XLA multiplies by the reciprocal
            self.reciprocals.add(id(equation))
        return _Fact(False, True)


def _saturates(equation: Any, given: _Fact) -> bool:
    """Return whether it converts whole floats to integers: nothing is cut off."""
    kind = _kind(equation.outvars[0].aval.dtype)
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
        return _kind(before[0]) == "f" and before != after
    return "f" in map(_kind, (*before, *after))


def _kind(dtype: Any) -> str:
    """Return the kind of a type: "f" of floats, "k" of random keys, else as NumPy has it."""
    if jnp.issubdtype(dtype, jax.dtypes.extended):
        if dtype != _key_type():
            raise _Elsewhere(str(dtype))
        return "k"
    kind = np.dtype(dtype)
    if jnp.issubdtype(kind, np.inexact) and kind not in (np.float32, np.float64):
        raise _Elsewhere(str(kind))
    return kind.kind


@cache
def _key_type() -> Any:
    """Return the type of keys of Threefry, as ``is_default_generator`` asks for."""
    return jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32")).dtype


# -- its values ------------------------------------------------------------------------------------


def _words(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (keys >> np.uint64(32)).astype(np.uint32), keys.astype(np.uint32)


def _keys(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first.astype(np.uint64) << np.uint64(32)) | second


def _seeded(_: Any, lead: int, seeds: np.ndarray) -> np.ndarray:
    if seeds.dtype.itemsize == 8:
        return seeds.astype(np.uint64)
    return seeds.astype(np.uint32).astype(np.uint64)


def _unwrapped(_: Any, lead: int, keys: np.ndarray) -> np.ndarray:
    return np.stack(_words(keys), -1)


def _wrapped(_: Any, lead: int, words: np.ndarray) -> np.ndarray:
    return _keys(words[..., 0], words[..., 1])


def _folded(_: Any, lead: int, keys: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return _keys(*folded_in(_words(keys), numbers.astype(np.uint32)))


def _divided(params: Any, lead: int, keys: np.ndarray) -> np.ndarray:
    return _keys(*random_words(_words(keys), params["shape"]))


def _bits(params: Any, lead: int, keys: np.ndarray) -> np.ndarray:
    first, second = random_words(_words(keys), params["shape"])
    return _keys(first, second) if params["bit_width"] == 64 else first ^ second


def _broadcast(params: Any, lead: int, a: np.ndarray) -> np.ndarray:
    shape = params["shape"]
    wide = [*a.shape[:lead], *[1] * len(shape)]
    for axis, n in zip(params["broadcast_dimensions"], a.shape[lead:], strict=True):
        wide[lead + axis] = n
    return np.broadcast_to(a.reshape(wide), (*a.shape[:lead], *shape))


def _raised(a: np.ndarray, ndim: int) -> np.ndarray:
    """Give an array of members more axes, after that of the members."""
    return a.reshape(a.shape[0], *[1] * (ndim - a.ndim), *a.shape[1:])


def _slice(params: Any, lead: int, a: np.ndarray) -> np.ndarray:
    steps = params["strides"] or [None] * (a.ndim - lead)
    cut = map(slice, params["start_indices"], params["limit_indices"], steps)
    return a[(*(slice(None),) * lead, *cut)]


def _slice_at(params: Any, lead: int, a: np.ndarray, *starts: np.ndarray) -> np.ndarray:
    sizes = params["slice_sizes"]
    firsts = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, a.shape, sizes, strict=True)]
    return a[tuple(slice(s, s + k) for s, k in zip(firsts, sizes, strict=True))]


def _selected(_: Any, lead: int, which: np.ndarray, *cases: np.ndarray) -> np.ndarray:
    return np.choose(which.astype(np.intp), cases)


def _iota(params: Any, lead: int) -> np.ndarray:
    shape, axis = params["shape"], params["dimension"]
    wide = [1] * len(shape)
    wide[axis] = shape[axis]
    return np.broadcast_to(np.arange(shape[axis]).reshape(wide), shape)


def _quotient(_: Any, lead: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Divide; integers towards zero, and by zero as XLA says."""
    if a.dtype.kind == "f":
        return a / b
    return np.where(b == 0, -1, (a - np.fmod(a, b)) // b)


def _remainder(_: Any, lead: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(b == 0, a, np.fmod(a, b))


def _gathered(table: np.ndarray, index: np.ndarray, own_table: bool, own: bool) -> np.ndarray:
    """Take numbers of a vector, or of each member's, at an index outside of which is its end."""
    at = np.clip(index[..., 0], 0, table.shape[-1] - 1)
    if own_table and own:
        return np.take_along_axis(table, at.reshape(len(at), -1), 1).reshape(at.shape)
    return table[..., at]


def _converted(params: Any, lead: int, a: np.ndarray) -> np.ndarray:
    """Convert; floats to the nearest integer that the type has, and NaN to 0, as XLA says."""
    dtype = params["new_dtype"]
    if a.dtype.kind == "f" and np.dtype(dtype).kind in "iu":
        ends = np.iinfo(dtype)
        there = np.nan_to_num(a.astype(np.float64), nan=0.0)
        low, high = there <= ends.min, there >= ends.max
        inside = np.where(low | high, 0, there).astype(dtype)
        return np.where(low, ends.min, np.where(high, ends.max, inside)).astype(dtype)
    return a.astype(dtype)


_MOVES: Mapping[str, Callable[..., Any]] = {
    "broadcast_in_dim": _broadcast,
    "copy": lambda _, lead, a: a,
    "dynamic_slice": _slice_at,
    "gather": lambda _, lead, table, index: _gathered(table, index, False, False),
    "reshape": lambda params, lead, a: a.reshape((*a.shape[:lead], *params["new_sizes"])),
    "select_n": _selected,
    "slice": _slice,
    "squeeze": lambda params, lead, a: np.squeeze(a, tuple(n + lead for n in params["dimensions"])),
    "stop_gradient": lambda _, lead, a: a,
}
"""What moves numbers of any type."""
_COMPUTES: Mapping[str, Callable[..., Any]] = {
    "add": lambda _, lead, a, b: a + b,
    "and": lambda _, lead, a, b: a & b,
    "convert_element_type": _converted,
    "div": _quotient,
    "eq": lambda _, lead, a, b: a == b,
    "ge": lambda _, lead, a, b: a >= b,
    "gt": lambda _, lead, a, b: a > b,
    "iota": _iota,
    "le": lambda _, lead, a, b: a <= b,
    "lt": lambda _, lead, a, b: a < b,
    "max": lambda _, lead, a, b: np.maximum(a, b),
    "min": lambda _, lead, a, b: np.minimum(a, b),
    "mul": lambda _, lead, a, b: a * b,
    "ne": lambda _, lead, a, b: a != b,
    "or": lambda _, lead, a, b: a | b,
    "random_bits": _bits,
    "random_fold_in": _folded,
    "random_seed": _seeded,
    "random_split": _divided,
    "random_unwrap": _unwrapped,
    "random_wrap": _wrapped,
    "rem": _remainder,
    "round": lambda _, lead, a: np.rint(a),
    "sign": lambda _, lead, a: np.sign(a),
    "sqrt": lambda _, lead, a: np.sqrt(a),
    "sub": lambda _, lead, a, b: a - b,
}
"""What computes integers, truth values and random keys; and floats, as ``_Check`` allows."""
_HERE = {**_MOVES, **_COMPUTES}
_TO_EVEN = jax.lax.RoundingMethod.TO_NEAREST_EVEN
_EXACT = ("add", "div", "max", "min", "mul", "sqrt", "sub")
"""What NumPy rounds as IEEE 754 says."""


# -- random numbers --------------------------------------------------------------------------------


class RandomDraw(NamedTuple):
    """A function of ``_DRAWS``, as an equation calls it.

    Args:    bounds: its arguments after the key.   shape: of one key's numbers.
             keys: how many keys it is called with.
    """

    name: str
    bounds: tuple[Any, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    keys: int

    @property
    def numbers(self) -> int:
        """How many it draws."""
        return self.keys * math.prod(self.shape)

    def of(self, keys: np.ndarray) -> np.ndarray:
        """Draw for keys (*K): shape (*K, *shape)."""
        bits = _bits({"shape": self.shape, "bit_width": 8 * self.dtype.itemsize}, 0, keys)
        if self.name == "_uniform":
            low, high = map(float, self.bounds)
            return _uniform(bits, low, high, self.dtype)
        flat, block = bits.reshape(-1), _block(self.name, self.bounds, self.dtype)
        out = np.empty(flat.shape, self.dtype)
        for start in range(0, len(flat), BLOCK):
            some = flat[start : start + BLOCK]
            words = np.zeros(BLOCK, flat.dtype)
            words[: len(some)] = some
            out[start : start + BLOCK] = np.asarray(block(words)[0])[: len(some)]
        return out.reshape(bits.shape)


def draw_of(equation: Any) -> RandomDraw | None:
    """Return what a call draws: one of ``_DRAWS``, in all that it computes."""
    name, inner = equation.params.get("name"), equation.params["jaxpr"]
    if name not in _DRAWS or not all(map(_is_literal, equation.invars[1:])):
        return None
    keys, out = equation.invars[0].aval, equation.outvars[0].aval
    if (_kind(keys.dtype), _kind(out.dtype)) != ("k", "f"):
        return None
    bounds = tuple(atom.val for atom in equation.invars[1:])
    if name == "_uniform" and not _rounds_nothing(*map(float, bounds)):
        return None
    draw = RandomDraw(name, bounds, out.shape[keys.ndim :], np.dtype(out.dtype), keys.size)
    known = _traced(draw, keys.shape)
    if known.jaxpr is inner.jaxpr and not inner.consts:  # JAX keeps its traces
        return draw
    try:
        same = JaxprKey(strict=True).of(inner) == JaxprKey(strict=True).of(known)
    except NotComparable:
        return None
    return draw if same else None


def _rounds_nothing(low: float, high: float) -> bool:
    """Return whether uniform numbers of these bounds are random bits that are only moved.

    They are k / 2**23 of a range, which begins at zero or half of it below, and is a power of two.
    """
    span = high - low
    power = 2.0**-60 <= span <= 2.0**60 and math.frexp(span)[0] == 0.5
    return power and low in (0.0, -span / 2)


def _uniform(bits: np.ndarray, low: float, high: float, dtype: np.dtype) -> np.ndarray:
    """Return uniform numbers of random words: the bits of a float in [1, 2), moved."""
    kept, word = np.finfo(dtype).nmant, bits.dtype.type
    one = np.ones((), dtype).view(word)
    unit = ((bits >> word(8 * dtype.itemsize - kept)) | one).view(dtype) - dtype.type(1)
    return np.maximum(dtype.type(low), unit * dtype.type(high - low) + dtype.type(low))


@lru_cache(maxsize=256)
def _traced(draw: RandomDraw, keys: tuple[int, ...]) -> ClosedJaxpr:
    """Return the jaxpr of a draw for keys of a shape, as ``vmap`` gives it."""

    def one(key: Any) -> Any:
        return _DRAWS[draw.name](key, *draw.bounds, draw.shape, draw.dtype)

    for _ in keys:
        one = jax.vmap(one)
    closed = jax.make_jaxpr(one)(jax.ShapeDtypeStruct(keys, _key_type()))
    return closed.jaxpr.eqns[-1].params["jaxpr"]


def _block(name: str, bounds: tuple[Any, ...], dtype: np.dtype) -> Any:
    """Return the compiled function from random words, shape (BLOCK,), to numbers."""
    key = ("normal numbers", name, bounds, str(dtype), BLOCK, settings())
    found = compiled.get(key)
    if found is None:
        kept = load(key)
        found = _compiled_block(key, name, bounds, dtype) if kept is None else kept[0]
        compiled.keep(key, found)
    return found


def _compiled_block(key: Any, name: str, bounds: tuple[Any, ...], dtype: np.dtype) -> Any:
    one = _traced(RandomDraw(name, bounds, (BLOCK,), dtype, 1), ())

    def run(words: Any) -> list[Any]:
        return _with_words(one.jaxpr, one.consts, [None, *bounds], words)

    words = jax.ShapeDtypeStruct((BLOCK,), f"uint{8 * dtype.itemsize}")
    before = compilations()
    program = compile_draw(jax.jit(run).lower(words), BLOCK)
    if compilations() > before:
        save(key, program)
    return program


def _with_words(jaxpr: Jaxpr, consts: Sequence[Any], given: Sequence[Any], words: Any) -> list[Any]:
    """Evaluate a jaxpr whose random words are given, whatever its key."""
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *given), strict=True))

    def read(atom: Any) -> Any:
        return atom.val if _is_literal(atom) else values[atom]

    for equation in jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        if equation.primitive.name == "random_bits":
            out = [words]
        elif equation.primitive.name in _CALLS:
            inner = equation.params["jaxpr"]
            out = _with_words(inner.jaxpr, inner.consts, inputs, words)
        else:
            out = equation.primitive.bind(*inputs, **equation.params)
            out = out if equation.primitive.multiple_results else [out]
        values.update(zip(equation.outvars, out, strict=True))
    return [read(atom) for atom in jaxpr.outvars]
