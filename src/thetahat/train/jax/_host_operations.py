"""What NumPy computes as a device does, bit for bit: the primitives of a jaxpr on the host.

Each takes an equation's parameters, ``lead`` (1 where arrays have a leading axis of members, else
0) and arrays. Random keys are one number each, their two words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from thetahat.data import folded_in, random_words


class NotOnHost(Exception):
    """Something that the host may compute to other bits."""


def is_literal(atom: Any) -> bool:
    return isinstance(atom, Literal)


def kind_of(dtype: Any) -> str:
    """Return the kind of a type: "f" of floats, "k" of random keys, else as NumPy has it."""
    if jnp.issubdtype(dtype, jax.dtypes.extended):
        if dtype != key_type():
            raise NotOnHost(str(dtype))
        return "k"
    kind = np.dtype(dtype)
    if jnp.issubdtype(kind, np.inexact) and kind not in (np.float32, np.float64):
        raise NotOnHost(str(kind))
    return kind.kind


@cache
def key_type() -> Any:
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


def wrapped(_: Any, lead: int, words: np.ndarray) -> np.ndarray:
    return _keys(words[..., 0], words[..., 1])


def _folded(_: Any, lead: int, keys: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return _keys(*folded_in(_words(keys), numbers.astype(np.uint32)))


def _divided(params: Any, lead: int, keys: np.ndarray) -> np.ndarray:
    return _keys(*random_words(_words(keys), params["shape"]))


def random_bits(params: Any, lead: int, keys: np.ndarray) -> np.ndarray:
    first, second = random_words(_words(keys), params["shape"])
    return _keys(first, second) if params["bit_width"] == 64 else first ^ second


def _broadcast(params: Any, lead: int, a: np.ndarray) -> np.ndarray:
    shape = params["shape"]
    wide = [*a.shape[:lead], *[1] * len(shape)]
    for axis, n in zip(params["broadcast_dimensions"], a.shape[lead:], strict=True):
        wide[lead + axis] = n
    return np.broadcast_to(a.reshape(wide), (*a.shape[:lead], *shape))


def raised(a: np.ndarray, ndim: int) -> np.ndarray:
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


def gathered(table: np.ndarray, index: np.ndarray, own_table: bool, own: bool) -> np.ndarray:
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


MOVES: Mapping[str, Callable[..., Any]] = {
    "broadcast_in_dim": _broadcast,
    "copy": lambda _, lead, a: a,
    "dynamic_slice": _slice_at,
    "gather": lambda _, lead, table, index: gathered(table, index, False, False),
    "reshape": lambda params, lead, a: a.reshape((*a.shape[:lead], *params["new_sizes"])),
    "select_n": _selected,
    "slice": _slice,
    "squeeze": lambda params, lead, a: np.squeeze(a, tuple(n + lead for n in params["dimensions"])),
    "stop_gradient": lambda _, lead, a: a,
}
"""What moves numbers of any type."""
COMPUTES: Mapping[str, Callable[..., Any]] = {
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
    "random_bits": random_bits,
    "random_fold_in": _folded,
    "random_seed": _seeded,
    "random_split": _divided,
    "random_unwrap": _unwrapped,
    "random_wrap": wrapped,
    "rem": _remainder,
    "round": lambda _, lead, a: np.rint(a),
    "sign": lambda _, lead, a: np.sign(a),
    "sqrt": lambda _, lead, a: np.sqrt(a),
    "sub": lambda _, lead, a, b: a - b,
}
"""What computes integers, truth values and random keys; and floats, as ``host_draws`` allows."""
