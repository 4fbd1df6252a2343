"""Random numbers of a first state: as JAX draws them, from words that NumPy makes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from thetahat.train.jax._compile import compilations, compile_draw
from thetahat.train.jax._compiled import compiled
from thetahat.train.jax._disk import load, save
from thetahat.train.jax._host_operations import is_literal, key_type, kind_of, random_bits
from thetahat.train.jax._jaxpr_key import JaxprKey, NotComparable
from thetahat.train.jax._settings import settings

BLOCK = 1 << 11
"""Normal numbers that one call draws."""

_DRAWS: Mapping[str, Callable[..., Any]] = {
    "_truncated_normal": jax.random.truncated_normal,
    "_normal": jax.random.normal,
    "_uniform": lambda key, low, high, shape, dtype: jax.random.uniform(
        key, shape, dtype, low, high
    ),
}
"""Functions of a key and constants, by the names of their jaxprs."""
CALLS = ("jit", "pjit")


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
        asked = {"shape": self.shape, "bit_width": 8 * self.dtype.itemsize}
        bits = random_bits(asked, 0, keys)
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
    if name not in _DRAWS or not all(map(is_literal, equation.invars[1:])):
        return None
    keys, out = equation.invars[0].aval, equation.outvars[0].aval
    if (kind_of(keys.dtype), kind_of(out.dtype)) != ("k", "f"):
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
    closed = jax.make_jaxpr(one)(jax.ShapeDtypeStruct(keys, key_type()))
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
        return atom.val if is_literal(atom) else values[atom]

    for equation in jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        if equation.primitive.name == "random_bits":
            out = [words]
        elif equation.primitive.name in CALLS:
            inner = equation.params["jaxpr"]
            out = _with_words(inner.jaxpr, inner.consts, inputs, words)
        else:
            out = equation.primitive.bind(*inputs, **equation.params)
            out = out if equation.primitive.multiple_results else [out]
        values.update(zip(equation.outvars, out, strict=True))
    return [read(atom) for atom in jaxpr.outvars]
