"""ATen operators of layers on JAX arrays: products, convolutions, pooling, norms, attention."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core.errors import NotConverted
from thetahat.models.torch._recurrent import RECURRENT

JaxFunction = Callable[..., Any]

# -- products -------------------------------------------------------------------------------------


def _linear(x: Any, weight: Any, bias: Any = None) -> Any:
    out = x @ weight.T
    return out if bias is None else out + bias


def _added(product: JaxFunction) -> JaxFunction:
    def run(x: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
        out = product(a, b)
        return (x if beta == 1 else beta * x) + (out if alpha == 1 else alpha * out)

    return run


def _cdist(a: Any, b: Any, p: float, mode: Any = None) -> Any:
    del mode
    apart = a[..., :, None, :] - b[..., None, :, :]
    if p == 2:
        total = jnp.sum(jnp.square(apart), -1)
        return jnp.where(total > 0, jnp.sqrt(jnp.where(total > 0, total, 1)), 0)
    if p == 1:
        return jnp.sum(jnp.abs(apart), -1)
    raise NotConverted(f"cdist with p={p} has no rule")


def _trilinear(
    a: Any, b: Any, c: Any, ea: Any, eb: Any, ec: Any, total: Any, unroll: int = 1
) -> Any:
    del unroll
    a, b, c = (jnp.expand_dims(x, tuple(e)) for x, e in ((a, ea), (b, eb), (c, ec)))
    return jnp.sum(a * b * c, tuple(total))


# -- convolutions and pooling ---------------------------------------------------------------------


def _convolution(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool,
    output_padding: Any, groups: int,
) -> Any:  # fmt: skip
    n = weight.ndim - 2
    stride, padding, dilation, extra = (
        _each(v, n) for v in (stride, padding, dilation, output_padding)
    )
    if not transposed:
        pads = [(p, p) for p in padding]
        out = jax.lax.conv_general_dilated(
            x, weight, stride, pads, rhs_dilation=dilation, feature_group_count=groups
        )
    else:
        # The gradient of a convolution: the input is spread out, the kernel turned around.
        inner, outer = weight.shape[0] // groups, weight.shape[1]
        split = weight.reshape(groups, inner, outer, *weight.shape[2:])
        turned = jnp.flip(jnp.swapaxes(split, 1, 2), tuple(range(3, 3 + n)))
        kernel = turned.reshape(groups * outer, inner, *weight.shape[2:])
        reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        pads = [(r - p, r - p + e) for r, p, e in zip(reach, padding, extra, strict=True)]
        out = jax.lax.conv_general_dilated(
            x, kernel, (1,) * n, pads, lhs_dilation=stride, rhs_dilation=dilation,
            feature_group_count=groups,
        )  # fmt: skip
    return out if bias is None else out + bias.reshape(1, -1, *(1,) * n)


def _each(value: Any, n: int) -> tuple[int, ...]:
    value = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return value * n if len(value) == 1 else value


def _windows(x: Any, kernel: Any, stride: Any, padding: Any, ceil: bool) -> tuple[Any, ...]:
    """Kernel, stride and padding of ``reduce_window`` over the last axes."""
    n = len(kernel)
    stride, padding = _each(stride or kernel, n), _each(padding, n)
    pads = []
    for size, k, s, p in zip(x.shape[-n:], kernel, stride, padding, strict=True):
        room = size + 2 * p - k
        steps = -(-room // s) if ceil else room // s
        if ceil and steps * s >= size + p:  # a window must begin inside
            steps -= 1
        pads.append((p, max(p, steps * s + k - size - p)))
    lead = x.ndim - n
    return (1,) * lead + tuple(kernel), (1,) * lead + stride, ((0, 0),) * lead + tuple(pads)


def _max_pool(n: int) -> JaxFunction:
    def pool(
        x: Any, kernel: Any, stride: Any = (), padding: Any = (0,), dilation: Any = (1,),
        ceil_mode: bool = False,
    ) -> Any:  # fmt: skip
        sizes, strides, pads = _windows(x, _each(kernel, n), stride, padding, ceil_mode)
        spread = (1,) * (x.ndim - n) + _each(dilation, n)
        if any(d > 1 for d in spread) and ceil_mode:
            raise NotConverted("max pooling with dilation and ceil_mode has no rule")
        if any(d > 1 for d in spread):
            pads = [(0, 0)] * (x.ndim - n) + [(p, p) for p in _each(padding, n)]
        low = np.asarray(-np.inf, x.dtype)  # a known number: JAX has its derivative
        out = jax.lax.reduce_window(
            x, low, jax.lax.max, sizes, strides, pads, window_dilation=spread
        )
        return out, _places(x, sizes[-n:], strides[-n:], pads[-n:], spread[-n:])

    return pool


def _places(x: Any, sizes: Any, strides: Any, pads: Any, spread: Any) -> Any:
    """Where the largest value of each window is, in the flattened axes; the first of several."""
    n, shape = len(sizes), x.shape[-len(sizes) :]
    found, inside = np.zeros((1,) * 2 * n, int), np.ones((1,) * 2 * n, bool)
    for axis in range(n):
        (a, b), length = pads[axis], shape[axis]
        reach = spread[axis] * (sizes[axis] - 1)
        starts = np.arange(0, length + a + b - reach, strides[axis]) - a
        at = starts[:, None] + spread[axis] * np.arange(sizes[axis])
        at = np.expand_dims(at, tuple(k for k in range(2 * n) if k not in (axis, n + axis)))
        inside = inside & (at >= 0) & (at < length)
        found = found * length + np.clip(at, 0, length - 1)
    found, inside = (
        np.broadcast_to(v, np.broadcast_shapes(found.shape, inside.shape)) for v in (found, inside)
    )
    found = found.reshape(*found.shape[:n], -1)
    values = jax.lax.stop_gradient(x).reshape(*x.shape[:-n], -1)[..., found]
    best = jnp.argmax(jnp.where(inside.reshape(found.shape), values, -jnp.inf), -1)
    return jnp.take_along_axis(jnp.broadcast_to(found, values.shape), best[..., None], -1)[..., 0]


def _average_pool(n: int) -> JaxFunction:
    def pool(
        x: Any, kernel: Any, stride: Any = (), padding: Any = (0,), ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: Any = None,
    ) -> Any:  # fmt: skip
        sizes, strides, pads = _windows(x, _each(kernel, n), stride, padding, ceil_mode)
        total = jax.lax.reduce_window(x, np.zeros((), x.dtype), jax.lax.add, sizes, strides, pads)
        if divisor_override:
            return total / divisor_override
        own = _each(padding, n)
        counted = np.ones(x.shape[-n:])
        if count_include_pad:
            counted = np.pad(counted, [(p, p) for p in own], constant_values=1)
            pads = [(a - p, b - p) for (a, b), p in zip(pads[-n:], own, strict=True)]
        counts = jax.lax.reduce_window(
            jnp.asarray(counted, x.dtype), np.zeros((), x.dtype), jax.lax.add,
            sizes[-n:], strides[-n:], tuple(pads)[-n:],
        )  # fmt: skip
        return total / counts

    return pool


def _cuts(length: int, size: int | None) -> list[tuple[int, int]]:
    """Windows of an axis, as equal as can be."""
    size = length if size is None else size
    return [(k * length // size, -(-(k + 1) * length // size)) for k in range(size)]


def _adaptive_mean(n: int) -> JaxFunction:
    def pool(x: Any, sizes: Any) -> Any:
        for axis, size in zip(range(x.ndim - n, x.ndim), _each(sizes, n), strict=True):
            parts = [
                jnp.mean(jax.lax.slice_in_dim(x, a, b, axis=axis), axis, keepdims=True)
                for a, b in _cuts(x.shape[axis], size)
            ]
            x = jnp.concatenate(parts, axis)
        return x

    return pool


def _adaptive_max(n: int) -> JaxFunction:
    def pool(x: Any, sizes: Any) -> Any:
        lead, lengths = x.shape[:-n], x.shape[-n:]
        cuts = [_cuts(k, size) for k, size in zip(lengths, _each(sizes, n), strict=True)]
        places = np.arange(math.prod(lengths)).reshape(lengths)
        values, found = [], []
        for cell in itertools.product(*cuts):
            window = tuple(slice(a, b) for a, b in cell)
            inside = x[(..., *window)].reshape(*lead, -1)
            at = jnp.argmax(inside, -1, keepdims=True)
            values.append(jnp.take_along_axis(inside, at, -1))
            found.append(jnp.asarray(places[window].ravel())[at])
        shape = (*lead, *map(len, cuts))
        return tuple(jnp.concatenate(parts, -1).reshape(shape) for parts in (values, found))

    return pool


def _nearest(n: int) -> JaxFunction:
    def upsample(x: Any, sizes: Any, *scales: Any) -> Any:
        del scales
        for axis, size in zip(range(x.ndim - n, x.ndim), sizes, strict=True):
            at = np.arange(size) * x.shape[axis] // size
            x = jnp.take(x, at, axis=axis)
        return x

    return upsample


def _shuffled(x: Any, r: int) -> Any:
    *lead, c, h, w = x.shape
    parts = x.reshape(*lead, c // r**2, r, r, h, w)
    at = len(lead)
    order = (*range(at), at, at + 3, at + 1, at + 4, at + 2)
    return jnp.transpose(parts, order).reshape(*lead, c // r**2, h * r, w * r)


# -- norms ----------------------------------------------------------------------------------------


def _layer_norm(x: Any, shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    out, mean, root = _normalised(x, axes, eps)
    out = out if weight is None else out * weight
    return (out if bias is None else out + bias), mean, root


def _normalised(x: Any, axes: Sequence[int], eps: float) -> tuple[Any, Any, Any]:
    mean = jnp.mean(x, axes, keepdims=True)
    root = jax.lax.rsqrt(jnp.mean(jnp.square(x - mean), axes, keepdims=True) + eps)
    return (x - mean) * root, mean, root


def _group_norm(
    x: Any, weight: Any, bias: Any, n: int, channels: int, size: int, groups: int, eps: float
) -> Any:
    grouped = x.reshape(n, groups, channels // groups * size)
    out, mean, root = _normalised(grouped, (2,), eps)
    return _scaled(out.reshape(x.shape), weight, bias), mean[..., 0], root[..., 0]


def _scaled(x: Any, weight: Any, bias: Any) -> Any:
    """Scale and shift every channel."""
    shape = (1, -1, *(1,) * (x.ndim - 2))
    x = x if weight is None else x * weight.reshape(shape)
    return x if bias is None else x + bias.reshape(shape)


def _batch_norm(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, momentum: float,
    eps: float,
) -> Any:  # fmt: skip
    del momentum
    if training and mean is not None:
        raise NotConverted("a batch norm in training takes its statistics from a whole batch")
    if training:  # an instance norm, whose channels are those of one observation
        out, _, _ = _normalised(x, (0, *range(2, x.ndim)), eps)
    else:
        assert mean is not None
        shape = (1, -1, *(1,) * (x.ndim - 2))
        out = (x - mean.reshape(shape)) / jnp.sqrt(variance.reshape(shape) + eps)
    return _scaled(out, weight, bias), None, None


def _evaluated_batch_norm(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, momentum: float, eps: float
) -> Any:
    return _batch_norm(x, weight, bias, mean, variance, False, momentum, eps)


def _weight_norm(v: Any, g: Any, dim: int = 0) -> Any:
    axes = tuple(n for n in range(v.ndim) if n != dim % v.ndim)
    size = jnp.sqrt(jnp.sum(jnp.square(v), axes, keepdims=True))
    return v * (g / size), size


def _rms_norm(x: Any, shape: Any, weight: Any, eps: float | None) -> Any:
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    eps = float(jnp.finfo(x.dtype).eps) if eps is None else eps
    root = jax.lax.rsqrt(jnp.mean(jnp.square(x), axes, keepdims=True) + eps)
    return (x * root if weight is None else x * root * weight), root


# -- embeddings and attention ---------------------------------------------------------------------


def _embedding(weight: Any, index: Any, padding_idx: int = -1, *_: Any) -> Any:
    out = weight[index]
    if padding_idx >= 0:  # that row gets no gradient
        out = jnp.where((index == padding_idx)[..., None], jax.lax.stop_gradient(out), out)
    return out


def _attention(
    q: Any, k: Any, v: Any, dropout_p: float = 0.0, is_causal: bool = False, *,
    attn_mask: Any = None, scale: float | None = None,
) -> Any:  # fmt: skip
    if dropout_p:
        raise NotConverted("a fused attention with dropout has no rule")
    score = q @ jnp.swapaxes(k, -1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if is_causal:
        seen = np.tril(np.ones(score.shape[-2:], bool))
        score = jnp.where(seen, score, -jnp.inf)
    if attn_mask is not None:
        boolean = attn_mask.dtype == bool
        score = jnp.where(attn_mask, score, -jnp.inf) if boolean else score + attn_mask
    return _safe_softmax(score, -1) @ v, None


def _safe_softmax(x: Any, dim: int, dtype: Any = None) -> Any:
    """A softmax that is zero where all is minus infinity."""
    del dtype
    empty = jnp.all(x == -jnp.inf, dim, keepdims=True)
    return jnp.where(empty, 0, jax.nn.softmax(jnp.where(empty, 0, x), dim))


def _turned(a: Any, b: Any) -> Any:
    """The product of a matrix and a transpose: a weight stays as it is, and XLA copies none."""
    return jnp.transpose(jnp.matmul(jnp.transpose(b), jnp.transpose(a)))


LAYERS: dict[str, JaxFunction] = {
    "mm turned": _turned,
    "addmm turned": _added(_turned),
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "matmul"), jnp.matmul),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _added(jnp.matmul)),
    "addbmm": _added(lambda a, b: jnp.sum(a @ b, 0)),
    "addr": _added(jnp.outer),
    "linear": _linear,
    "_trilinear": _trilinear,
    "_cdist_forward": _cdist,
    "_euclidean_dist": lambda a, b: _cdist(a, b, 2),
    "convolution": _convolution,
    **{f"max_pool{n}d_with_indices": _max_pool(n) for n in (2, 3)},
    **{f"avg_pool{n}d": _average_pool(n) for n in (1, 2, 3)},
    **{f"_adaptive_avg_pool{n}d": _adaptive_mean(n) for n in (2, 3)},
    "adaptive_avg_pool1d": _adaptive_mean(1),
    **{f"adaptive_max_pool{n}d": _adaptive_max(n) for n in (2, 3)},
    **{f"upsample_nearest{n}d": _nearest(n) for n in (1, 2, 3)},
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit": _batch_norm,
    "_native_batch_norm_legit_no_training": _evaluated_batch_norm,
    "_fused_rms_norm": _rms_norm,
    "_weight_norm_interface": _weight_norm,
    "embedding": _embedding,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_safe_softmax": _safe_softmax,
    "pixel_shuffle": _shuffled,
    **RECURRENT,
}
