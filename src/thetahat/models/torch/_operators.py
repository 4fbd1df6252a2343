"""ATen operators on JAX arrays: elementwise functions, reductions, shapes and indices.

A function has the arguments of the operator of its name. Its derivative is PyTorch's, also where
two formulas meet (``clamp`` at its bounds, ``max`` at ties).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

JaxFunction = Callable[..., Any]

# -- elementwise ----------------------------------------------------------------------------------


def _add(a: Any, b: Any, *, alpha: Any = 1) -> Any:
    return jnp.logical_or(a, b) if _bools(a, b) else a + (b if alpha == 1 else alpha * b)


def _sub(a: Any, b: Any, alpha: Any = 1) -> Any:
    return a - (b if alpha == 1 else alpha * b)


def _mul(a: Any, b: Any) -> Any:
    return jnp.logical_and(a, b) if _bools(a, b) else a * b


def _bools(*values: Any) -> bool:
    return all(str(getattr(v, "dtype", "")) == "bool" for v in values)


def _div(a: Any, b: Any, *, rounding_mode: str | None = None) -> Any:
    if rounding_mode == "floor":
        return jnp.floor_divide(a, b)
    if rounding_mode == "trunc":
        return jnp.trunc(jnp.true_divide(a, b)).astype(jnp.result_type(a, b))
    return jnp.true_divide(a, b)


def _pow(a: Any, b: Any) -> Any:
    if isinstance(b, float) and b.is_integer() and _is_float(a):
        return a ** int(b)
    if isinstance(b, (int, float)):
        return a**b
    return jnp.power(a, b)


def _is_float(x: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(x), jnp.floating)


def _clamp(x: Any, low: Any = None, high: Any = None) -> Any:
    if low is not None:
        x = jnp.where(x < low, low, x)
    return x if high is None else jnp.where(x > high, high, x)


def _elu(x: Any, alpha: float = 1.0, scale: float = 1.0, inner: float = 1.0) -> Any:
    negative = scale * alpha * jnp.expm1(inner * jnp.minimum(x, 0))
    return jnp.where(x > 0, scale * x, negative)


def _softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    small = jnp.where(beta * x > threshold, 0, x)
    return jnp.where(beta * x > threshold, x, jax.nn.softplus(beta * small) / beta)


def _gelu(x: Any, *, approximate: str = "none") -> Any:
    return jax.nn.gelu(x, approximate=approximate == "tanh")


def _hardtanh(x: Any, low: float = -1.0, high: float = 1.0) -> Any:
    return jnp.where(x <= low, low, jnp.where(x >= high, high, x))


def _hardsigmoid(x: Any) -> Any:
    return jnp.where(x <= -3, 0, jnp.where(x >= 3, 1, jnp.clip(x, -3, 3) / 6 + 0.5))


def _hardswish(x: Any) -> Any:
    return jnp.where(x <= -3, 0, jnp.where(x >= 3, x, x * (x + 3) / 6))


def _softshrink(x: Any, at: float = 0.5) -> Any:
    return jnp.where(x > at, x - at, jnp.where(x < -at, x + at, 0 * x))


def _logit(x: Any, eps: float | None = None) -> Any:
    return jax.scipy.special.logit(x if eps is None else _clamp(x, eps, 1 - eps))


def _log_sigmoid(x: Any) -> Any:
    return jax.nn.log_sigmoid(x), x


def _nan_to_num(x: Any, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    return jnp.nan_to_num(x, nan=nan or 0.0, posinf=posinf, neginf=neginf)


def _addcmul(x: Any, a: Any, b: Any, *, value: Any = 1) -> Any:
    return x + value * a * b


def _addcdiv(x: Any, a: Any, b: Any, *, value: Any = 1) -> Any:
    return x + value * a / b


def _glu(x: Any, dim: int = -1) -> Any:
    a, b = jnp.split(x, 2, axis=dim)
    return a * jax.nn.sigmoid(b)


def _round(x: Any, *, decimals: int = 0) -> Any:
    return jnp.round(x, decimals)


def _prelu(x: Any, weight: Any) -> Any:
    return jnp.where(x > 0, x, weight * x)


ELEMENTWISE: dict[str, JaxFunction] = {
    **{n: getattr(jnp, n) for n in ("exp", "exp2", "expm1", "log", "log1p", "log2", "log10")},
    **{n: getattr(jnp, n) for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{n: getattr(jnp, f"arc{n[1:]}") for n in ("asin", "acos", "atan", "asinh", "acosh", "atanh")},
    **{n: getattr(jnp, n) for n in ("sqrt", "abs", "sign", "floor", "ceil", "trunc", "sinc")},
    **{n: getattr(jnp, n) for n in ("square", "isnan", "isinf", "isfinite", "signbit")},
    **{n: getattr(jnp, n) for n in ("maximum", "minimum", "fmax", "fmin", "fmod", "hypot")},
    **{n: getattr(jnp, n) for n in ("remainder", "floor_divide", "copysign", "logaddexp")},
    **{n: getattr(jnp, n) for n in ("logaddexp2", "heaviside")},
    **{n: getattr(jnp, n) for n in ("logical_not", "logical_and", "logical_or", "logical_xor")},
    **{n: getattr(jnp, n) for n in ("bitwise_not", "bitwise_and", "bitwise_or", "bitwise_xor")},
    **{n: getattr(operator, n) for n in ("eq", "ne", "lt", "le", "gt", "ge")},
    **{n: getattr(jax.scipy.special, n) for n in ("erf", "erfc", "xlogy", "digamma")},
    "erfinv": jax.scipy.special.erfinv,
    "lgamma": jax.scipy.special.gammaln,
    "sgn": jnp.sign,
    "rsqrt": jax.lax.rsqrt,
    "neg": jnp.negative,
    "reciprocal": jnp.reciprocal,
    "frac": lambda x: x - jnp.trunc(x),
    "round": _round,
    "logit": _logit,
    "nan_to_num": _nan_to_num,
    "add": _add,
    "sub": _sub,
    "rsub": lambda a, b, alpha=1: _sub(b, a, alpha),
    "mul": _mul,
    "div": _div,
    "pow": _pow,
    "atan2": jnp.arctan2,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clamp_max": lambda x, high: _clamp(x, None, high),
    "lerp": lambda a, b, weight: a + weight * (b - a),
    "addcmul": _addcmul,
    "addcdiv": _addcdiv,
    "where": jnp.where,
    "masked_fill": lambda x, mask, value: jnp.where(mask, jnp.asarray(value, x.dtype), x),
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "mish": jax.nn.mish,
    "gelu": _gelu,
    "elu": _elu,
    "celu": lambda x, alpha=1.0: _elu(x, alpha, 1.0, 1 / alpha),
    "selu": lambda x: _elu(x, 1.6732632423543772, 1.0507009873554805),
    "softplus": _softplus,
    "leaky_relu": lambda x, slope=0.01: jnp.where(x > 0, x, slope * x),
    "_prelu_kernel": _prelu,
    "hardtanh": _hardtanh,
    "hardsigmoid": _hardsigmoid,
    "hardswish": _hardswish,
    "softshrink": _softshrink,
    "hardshrink": lambda x, at=0.5: jnp.where(jnp.abs(x) <= at, 0, x),
    "threshold": lambda x, at, value: jnp.where(x <= at, value, x),
    "log_sigmoid_forward": _log_sigmoid,
    "glu": _glu,
}  # fmt: skip

# -- reductions -----------------------------------------------------------------------------------


def _axes(x: Any, dim: Any) -> tuple[int, ...]:
    if dim is None or (isinstance(dim, (list, tuple)) and not dim):
        return tuple(range(x.ndim))
    return (dim,) if isinstance(dim, int) else tuple(dim)


def _reduce(function: JaxFunction) -> JaxFunction:
    def reduced(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        if x.dtype == bool and function in (jnp.sum, jnp.prod):
            x = x.astype(jnp.result_type(int))
        return function(x, _axes(x, dim), keepdims=keepdim, dtype=dtype)

    return reduced


def _test(function: JaxFunction) -> JaxFunction:
    return lambda x, dim=None, keepdim=False: function(x, _axes(x, dim), keepdims=keepdim)


def _picked(choose: JaxFunction, reduce: JaxFunction) -> JaxFunction:
    """``max`` and ``min``: of all, or along an axis with the indices, which get the gradient."""

    def found(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        if dim is None:
            return reduce(x)
        at = choose(x, axis=dim, keepdims=True)
        value = jnp.take_along_axis(x, at, axis=dim)
        return (value, at) if keepdim else (jnp.squeeze(value, dim), jnp.squeeze(at, dim))

    return found


def _variance(x: Any, dim: Any = None, *, correction: Any = 1, keepdim: bool = False) -> Any:
    axes, by = _axes(x, dim), 1 if correction is None else correction
    return jnp.var(x, axes, ddof=by, keepdims=keepdim)


def _root(x: Any) -> Any:
    """A square root whose derivative at zero is zero, as that of PyTorch's deviations and norms."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), jnp.where(x == 0, 0, x))


def _with_mean(spread: JaxFunction) -> JaxFunction:
    def both(x: Any, dim: Any = None, *, correction: Any = 1, keepdim: bool = False) -> Any:
        mean = jnp.mean(x, _axes(x, dim), keepdims=keepdim)
        return spread(x, dim, correction=correction, keepdim=keepdim), mean

    return both


def _deviation(x: Any, dim: Any = None, *, correction: Any = 1, keepdim: bool = False) -> Any:
    return _root(_variance(x, dim, correction=correction, keepdim=keepdim))


def _norm(
    x: Any, order: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    x, axes = x if dtype is None else x.astype(dtype), _axes(x, dim)
    order = 2 if order is None else order
    size = jnp.abs(x)
    if order == 2:
        return _root(jnp.sum(jnp.square(x), axes, keepdims=keepdim))
    if order == 1:
        return jnp.sum(size, axes, keepdims=keepdim)
    if order == 0:
        return jnp.sum(x != 0, axes, keepdims=keepdim).astype(x.dtype)
    if math.isinf(order):
        return (jnp.max if order > 0 else jnp.min)(size, axes, keepdims=keepdim)
    total = jnp.sum(size**order, axes, keepdims=keepdim)
    return jnp.where(total == 0, 0, jnp.where(total == 0, 1, total) ** (1 / order))


def _argument(choose: JaxFunction) -> JaxFunction:
    return lambda x, dim=None, keepdim=False: choose(x, axis=dim, keepdims=keepdim)


def _sort(x: Any, dim: int = -1, descending: bool = False, **_: Any) -> Any:
    at = jnp.argsort(x, axis=dim, descending=descending)
    return jnp.take_along_axis(x, at, axis=dim), at


def _topk(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    del sorted
    values, at = _sort(x, dim, largest)
    first = [slice(None)] * x.ndim
    first[dim] = slice(k)
    return values[tuple(first)], at[tuple(first)]


def _cumulated(function: JaxFunction) -> JaxFunction:
    def run(x: Any, dim: int, *, dtype: Any = None) -> Any:
        x = x.astype(jnp.result_type(int)) if x.dtype == bool else x
        return function(x, dim, dtype=dtype)

    return run


REDUCTIONS: dict[str, JaxFunction] = {
    "sum": _reduce(jnp.sum),
    "mean": _reduce(jnp.mean),
    "prod": _reduce(jnp.prod),
    "amax": _test(jnp.max),
    "amin": _test(jnp.min),
    "any": _test(jnp.any),
    "all": _test(jnp.all),
    "max": _picked(jnp.argmax, jnp.max),
    "min": _picked(jnp.argmin, jnp.min),
    "argmax": _argument(jnp.argmax),
    "argmin": _argument(jnp.argmin),
    "var": _variance,
    "std": _deviation,
    "var_mean": _with_mean(_variance),
    "std_mean": _with_mean(_deviation),
    "logsumexp": lambda x, dim, keepdim=False: jax.nn.logsumexp(x, _axes(x, dim), keepdims=keepdim),
    "linalg_vector_norm": _norm,
    "norm": _norm,
    "cumsum": _cumulated(jnp.cumsum),
    "cumprod": _cumulated(jnp.cumprod),
    "count_nonzero": lambda x, dim=None: jnp.sum(x != 0, _axes(x, dim)),
    "sort": _sort,
    "topk": _topk,
    "_softmax": lambda x, dim, half: jax.nn.softmax(x, dim),
    "_log_softmax": lambda x, dim, half: jax.nn.log_softmax(x, dim),
}

# -- views: functions of one array ----------------------------------------------------------------


def _squeeze(x: Any, dim: Any = None) -> Any:
    axes = range(x.ndim) if dim is None else _axes(x, dim)
    return jnp.squeeze(x, tuple(n for n in axes if x.ndim and x.shape[n] == 1))


def _slice(x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    found = [slice(None)] * x.ndim
    found[dim] = slice(start, None if end is None or end >= x.shape[dim] else end, step)
    return x[tuple(found)]


def _select(x: Any, dim: int, index: int) -> Any:
    found: list[Any] = [slice(None)] * x.ndim
    found[dim] = index
    return x[tuple(found)]


def _split(x: Any, sizes: Any, dim: int = 0) -> Any:
    n = x.shape[dim]
    if isinstance(sizes, int):
        sizes = [min(sizes, n - at) for at in range(0, n, sizes)]
    return jnp.split(x, np.cumsum(sizes)[:-1].tolist(), axis=dim)


def _expand(x: Any, shape: Any, *, implicit: bool = False) -> Any:
    del implicit
    new = len(shape) - x.ndim
    sizes = [x.shape[n - new] if size == -1 else size for n, size in enumerate(shape)]
    return jnp.broadcast_to(x, sizes)


def _unfold(x: Any, dim: int, size: int, step: int) -> Any:
    starts = np.arange(0, x.shape[dim] - size + 1, step)
    windows = jnp.take(jnp.asarray(x), starts[:, None] + np.arange(size), axis=dim)
    return jnp.moveaxis(windows, dim % x.ndim + 1, -1)


def _same(x: Any, *_: Any, **__: Any) -> Any:
    return x


VIEWS: dict[str, JaxFunction] = {
    "view": jnp.reshape,
    "_unsafe_view": jnp.reshape,
    "_reshape_alias": lambda x, shape, stride: jnp.reshape(x, shape),
    "permute": jnp.transpose,
    "transpose": lambda x, a, b: jnp.swapaxes(x, a, b) if x.ndim else x,
    "t": jnp.transpose,
    "numpy_T": jnp.transpose,
    "squeeze": _squeeze,
    "unsqueeze": jnp.expand_dims,
    "expand": _expand,
    "slice": _slice,
    "select": _select,
    "split": _split,
    "split_with_sizes": _split,
    "unbind": lambda x, dim=0: [_select(x, dim, n) for n in range(x.shape[dim])],
    "diagonal": lambda x, offset=0, dim1=0, dim2=1: jnp.diagonal(x, offset, dim1, dim2),
    "unfold": _unfold,
    "alias": _same,
    "detach": _same,
}

# -- shapes, indices, new tensors -----------------------------------------------------------------


def _index(x: Any, indices: Any) -> Any:
    return x[tuple(slice(None) if at is None else at for at in indices)]


def _index_put(x: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    at = jnp.asarray(x).at[tuple(slice(None) if i is None else i for i in indices)]
    values = jnp.asarray(values, x.dtype)
    return at.add(values) if accumulate else at.set(values)


def _along(x: Any, dim: int, index: Any) -> tuple[Any, ...]:
    """Indices of the elements at ``index`` along one axis."""
    grid = list(np.indices(index.shape, sparse=True))
    grid[dim] = index
    return tuple(grid)


def _gather(x: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Any:
    del sparse_grad
    return x if x.ndim == 0 else jnp.asarray(x)[_along(x, dim, index)]


def _scatter(x: Any, dim: int, index: Any, src: Any, *, reduce: str | None = None) -> Any:
    at = _along(x, dim, index)
    if hasattr(src, "shape") and src.ndim:
        src = src[tuple(slice(n) for n in index.shape)]
    placed = jnp.asarray(x).at[at]
    if reduce == "multiply":
        return placed.multiply(src)
    return placed.add(src) if reduce == "add" else placed.set(src)


def _index_add(x: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    at: list[Any] = [slice(None)] * x.ndim
    at[dim] = index
    return jnp.asarray(x).at[tuple(at)].add(alpha * source)


def _pairs(pad: Any, ndim: int) -> list[tuple[int, int]]:
    """Padding of each axis from PyTorch's list, which begins with the last axis."""
    found = [(pad[2 * n], pad[2 * n + 1]) for n in range(len(pad) // 2)]
    return [(0, 0)] * (ndim - len(found)) + found[::-1]


def _pad(x: Any, pad: Any, value: Any = 0) -> Any:
    pairs = [(int(a), int(b), 0) for a, b in _pairs(pad, x.ndim)]
    return jax.lax.pad(jnp.asarray(x), jnp.asarray(value, x.dtype), pairs)


def _padded(mode: str) -> JaxFunction:
    return lambda x, pad: jnp.pad(x, _pairs(pad, x.ndim), mode=mode)


def _repeat(x: Any, repeats: Any) -> Any:
    return jnp.tile(jnp.reshape(x, (1,) * (len(repeats) - x.ndim) + tuple(x.shape)), repeats)


def _repeat_interleave(x: Any, n: int, dim: int | None = None, **_: Any) -> Any:
    return jnp.repeat(x, n, axis=dim)


def _to_copy(x: Any, *, dtype: Any = None) -> Any:
    return jnp.asarray(x) if dtype is None else jnp.asarray(x).astype(dtype)


def _like(fill: Any) -> JaxFunction:
    return lambda x, *, dtype=None: jnp.full(x.shape, fill, dtype or x.dtype)


def _new(fill: Any) -> JaxFunction:
    return lambda x, shape, *, dtype=None: jnp.full(shape, fill, dtype or x.dtype)


SHAPES: dict[str, JaxFunction] = {
    "cat": lambda parts, dim=0: jnp.concatenate([p for p in parts if p.shape != (0,)], dim),
    "stack": lambda parts, dim=0: jnp.stack(parts, dim),
    "unsafe_split": _split,
    "unsafe_split_with_sizes": _split,
    "unsafe_chunk": lambda x, n, dim=0: _split(x, -(-x.shape[dim] // n), dim),
    "flip": lambda x, dims: jnp.flip(x, tuple(dims)),
    "roll": lambda x, by, dims=(): jnp.roll(x, by, tuple(dims) or None),
    "repeat": _repeat,
    "repeat_interleave": _repeat_interleave,
    "tril": lambda x, diagonal=0: jnp.tril(x, diagonal),
    "triu": lambda x, diagonal=0: jnp.triu(x, diagonal),
    "constant_pad_nd": _pad,
    **{f"reflection_pad{n}d": _padded("reflect") for n in (1, 2, 3)},
    **{f"replication_pad{n}d": _padded("edge") for n in (1, 2, 3)},
    "index": _index,
    "index_put": _index_put,
    "_unsafe_index": _index,
    "index_select": lambda x, dim, index: jnp.take(x, index, axis=dim),
    "index_add": _index_add,
    "take": lambda x, index: jnp.ravel(x)[index],
    "gather": _gather,
    "scatter": _scatter,
    "scatter_add": lambda x, dim, index, src: _scatter(x, dim, index, src, reduce="add"),
    "clone": _same,
    "contiguous": _same,
    "lift_fresh": _same,
    "lift_fresh_copy": _same,
    "_to_copy": _to_copy,
    "copy": lambda x, source, *_: jnp.broadcast_to(jnp.asarray(source).astype(x.dtype), x.shape),
    "fill": lambda x, value: jnp.full(x.shape, value, x.dtype),
    "zero": lambda x: jnp.zeros(x.shape, x.dtype),
    "zeros_like": _like(0),
    "ones_like": _like(1),
    "empty_like": _like(0),
    "full_like": lambda x, fill, *, dtype=None: jnp.full(x.shape, fill, dtype or x.dtype),
    "new_zeros": _new(0),
    "new_ones": _new(1),
    "new_empty": _new(0),
    "new_full": lambda x, shape, fill, *, dtype=None: jnp.full(shape, fill, dtype or x.dtype),
}

OPERATORS: dict[str, JaxFunction] = {**ELEMENTWISE, **REDUCTIONS, **SHAPES}

PROMOTED: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("add", "sub", "mul", "div", "pow", "maximum", "minimum"), (0, 1)),
    **dict.fromkeys(("fmax", "fmin", "fmod", "remainder", "floor_divide", "atan2"), (0, 1)),
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge", "rsub", "hypot", "xlogy"), (0, 1)),
    **dict.fromkeys(("copysign", "logaddexp", "logaddexp2", "heaviside"), (0, 1)),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), (0, 1)),
    **dict.fromkeys(("lerp", "addcmul", "addcdiv", "clamp"), (0, 1, 2)),
    "where": (1, 2),
    "cat": (0,),
    "stack": (0,),
}
"""Operators whose arguments at these places are cast to a common dtype first."""
