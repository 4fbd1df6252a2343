"""Every operator of the table against PyTorch: values and derivatives, in float64."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thetahat.models import adapt

torch = pytest.importorskip("torch")
F = torch.nn.functional

ELEMENTWISE: dict[str, Callable] = {
    "exp": torch.exp, "exp2": torch.exp2, "expm1": torch.expm1, "sin": torch.sin,
    "cos": torch.cos, "tan": torch.tan, "sinh": torch.sinh, "cosh": torch.cosh, "tanh": torch.tanh,
    "asinh": torch.asinh, "atan": torch.atan, "abs": torch.abs, "sign": torch.sign,
    "floor": torch.floor, "ceil": torch.ceil, "trunc": torch.trunc, "round": torch.round,
    "frac": torch.frac, "neg": torch.neg, "reciprocal": torch.reciprocal, "square": torch.square,
    "erf": torch.erf, "erfc": torch.erfc, "sigmoid": torch.sigmoid, "sinc": torch.sinc,
    "asin": lambda h: torch.asin(h / 9), "acos": lambda h: torch.acos(h / 9),
    "atanh": lambda h: torch.atanh(h / 9), "acosh": lambda h: torch.acosh(h.abs() + 2),
    "erfinv": lambda h: torch.erfinv(h / 9), "logit": lambda h: torch.logit(h.sigmoid()),
    "logit_eps": lambda h: torch.logit(h / 2, eps=0.1),
    "log": lambda h: h.abs().log(), "log2": lambda h: h.abs().log2(),
    "log10": lambda h: h.abs().log10(), "log1p": lambda h: h.abs().log1p(),
    "sqrt": lambda h: h.abs().sqrt(), "rsqrt": lambda h: h.abs().rsqrt(),
    "lgamma": lambda h: torch.lgamma(h.abs() + 1), "digamma": lambda h: torch.digamma(h.abs() + 1),
    "pow_2": lambda h: h**2, "pow_3.0": lambda h: h**3.0, "pow_half": lambda h: h.abs() ** 0.5,
    "pow_tensor": lambda h: (h.abs() + 1) ** h, "pow_base": lambda h: 2.0**h,
    "relu": F.relu, "relu6": lambda h: F.relu6(3 * h), "elu": F.elu, "selu": F.selu,
    "celu": lambda h: F.celu(h, 0.7), "gelu": F.gelu, "silu": F.silu, "mish": F.mish,
    "gelu_tanh": lambda h: F.gelu(h, approximate="tanh"), "softsign": F.softsign,
    "softplus": lambda h: F.softplus(20 * h, beta=2), "leaky_relu": lambda h: F.leaky_relu(h, 0.2),
    "hardtanh": F.hardtanh, "hardsigmoid": lambda h: F.hardsigmoid(3 * h),
    "hardswish": lambda h: F.hardswish(3 * h), "softshrink": F.softshrink,
    "hardshrink": F.hardshrink, "tanhshrink": F.tanhshrink, "logsigmoid": F.logsigmoid,
    "threshold": lambda h: F.threshold(h, 0.3, -1.0), "glu": F.glu,
    "prelu": lambda h: F.prelu(h, torch.tensor([0.2], dtype=h.dtype)),
    "add": lambda h: h + 2, "add_alpha": lambda h: torch.add(h, h.sin(), alpha=3),
    "rsub": lambda h: 3 - h, "sub_alpha": lambda h: torch.sub(h, h.cos(), alpha=2),
    "div": lambda h: h / (1 + h**2), "div_floor": lambda h: h * torch.div(h, 0.3, rounding_mode="floor"),
    "div_trunc": lambda h: h * torch.div(h, 0.3, rounding_mode="trunc"),
    "floor_divide": lambda h: h * (h.detach() // 0.4), "remainder": lambda h: h % 0.7,
    "fmod": lambda h: torch.fmod(h, 0.7), "atan2": lambda h: torch.atan2(h, h.flip(1)),
    "hypot": lambda h: torch.hypot(h, h.flip(1)), "maximum": lambda h: torch.maximum(h, h.flip(1)),
    "minimum": lambda h: torch.minimum(h, h.flip(1)), "fmax": lambda h: torch.fmax(h, h.flip(1)),
    "copysign": lambda h: torch.copysign(h, h.flip(1)), "lerp": lambda h: torch.lerp(h, h * h, 0.3),
    "logaddexp": lambda h: torch.logaddexp(h, h.flip(1)),
    "xlogy": lambda h: torch.xlogy(h, h.flip(1).abs()), "clamp": lambda h: h.clamp(-0.4, 0.6),
    "clamp_tensor": lambda h: torch.clamp(h, h.flip(1), h.flip(1) + 1),
    "clamp_min": lambda h: h.clamp_min(0.1), "clamp_max": lambda h: h.clamp_max(0.1),
    "addcmul": lambda h: torch.addcmul(h, h, h.sin(), value=2),
    "addcdiv": lambda h: torch.addcdiv(h, h, h.sin() + 2, value=2),
    "where": lambda h: torch.where(h > 0, h, 2 * h), "heaviside": lambda h: h * torch.heaviside(h.detach(), h.detach()),
    "masked_fill": lambda h: h.masked_fill(h > 0, 0.5), "nan_to_num": torch.nan_to_num,
    "comparisons": lambda h: h * ((h > 0) & (h <= 0.5) | (h < -1) ^ (h == 0) | ~(h != 1)),
    "logical": lambda h: h * torch.logical_or(torch.logical_not(h > 0), torch.logical_and(h > 0, h < 1)),
    "integers": lambda h: h * (h.argsort(1) * 2 // 3 + 1) / (h.argmax(1, keepdim=True) + 1),
    "isfinite": lambda h: h * torch.isfinite(h) * ~torch.isnan(h), "to_float": lambda h: (h > 0).double() * h,
}  # fmt: skip

REDUCTIONS: dict[str, Callable] = {
    "sum": lambda h: h.sum(1), "mean": lambda h: h.mean(-1), "prod": lambda h: h.prod(1),
    "amax": lambda h: h.amax(1), "amin": lambda h: h.amin((1,)), "max": lambda h: h.max(1)[0],
    "max_ties": lambda h: h.relu().amin(1) + h.sign().mul(h).amax(1), "min": lambda h: h.min(1).values,
    "var": lambda h: h.var(1), "std": lambda h: h.std(1, correction=0), "norm": lambda h: h.norm(dim=1),
    "std_of_equals": lambda h: (h * 0).std(1) + h.sum(1), "norm_at_zero": lambda h: (h * 0).norm(dim=1) + h[:, 0],
    "var_mean": lambda h: sum(torch.var_mean(h, 1)), "std_mean": lambda h: sum(torch.std_mean(h, 1)),
    "norm_1": lambda h: torch.linalg.vector_norm(h, 1, dim=1), "norm_3": lambda h: h.norm(p=3, dim=1),
    "norm_inf": lambda h: h.norm(p=float("inf"), dim=1), "logsumexp": lambda h: h.logsumexp(1),
    "any": lambda h: h[:, 0] * (h > 1).any(1), "all": lambda h: h[:, 0] * (h > -9).all(1),
    "argmin": lambda h: h[:, 0] * h.argmin(1), "count": lambda h: h[:, 0] * torch.count_nonzero(h > 0, 1),
    "cumsum": lambda h: h.cumsum(1), "cumprod": lambda h: h.cumprod(1), "softmax": lambda h: h.softmax(1),
    "log_softmax": lambda h: h.log_softmax(-1), "softmin": lambda h: F.softmin(h, 1),
    "sort": lambda h: h.sort(1, descending=True)[0] * torch.arange(6), "topk": lambda h: h.topk(3, 1)[0],
    "normalize": lambda h: F.normalize(h, dim=1), "cosine": lambda h: F.cosine_similarity(h, h.flip(1) + 2),
    "layer_norm": lambda h: F.layer_norm(h, (6,)), "rms_norm": lambda h: F.rms_norm(h, (6,)),
    "group_norm": lambda h: F.group_norm(h, 2), "pairwise": lambda h: F.pairwise_distance(h, h.flip(1)),
    "cdist": lambda h: torch.cdist(h.view(-1, 3, 2), h.view(-1, 2, 3).mT).sum(1),
}  # fmt: skip

SHAPES: dict[str, Callable] = {
    "view": lambda h: h.view(-1, 2, 3).transpose(1, 2).reshape(-1, 6) * torch.arange(6),
    "permute": lambda h: h.view(-1, 2, 3).permute(0, 2, 1).flatten(1) * torch.arange(6),
    "squeeze": lambda h: h[:, :1].squeeze(1) + h[:, None].squeeze(1)[:, 1], "mT": lambda h: h.view(-1, 2, 3).mT,
    "expand": lambda h: h[:, :1].expand(-1, 6) * h, "slice": lambda h: h[:, 1:5:2],
    "negative_slice": lambda h: h[:, -3:-1], "select": lambda h: h[:, 3], "split": lambda h: h.split(4, 1)[1],
    "split_sizes": lambda h: h.split([1, 2, 3], 1)[2], "chunk": lambda h: h.chunk(4, 1)[1],
    "unbind": lambda h: h.unbind(1)[2], "diagonal": lambda h: torch.diagonal(h.view(-1, 2, 3), 0, 1, 2),
    "unfold": lambda h: h.unfold(1, 3, 2).prod(-1), "cat": lambda h: torch.cat([h, h[:, :2] * 2], 1),
    "stack": lambda h: torch.stack([h, h * h], 1), "flip": lambda h: h.flip(1) * torch.arange(6),
    "roll": lambda h: h.roll(2, 1) * torch.arange(6), "repeat": lambda h: h.repeat(1, 2),
    "repeat_interleave": lambda h: h.repeat_interleave(2, 1) * torch.arange(12),
    "tril": lambda h: (h[:, :, None] * h[:, None]).tril(), "triu": lambda h: (h[:, :, None] * h[:, None]).triu(1),
    "pad": lambda h: F.pad(h, (1, 2), value=0.5), "pad_reflect": lambda h: F.pad(h, (2, 1), mode="reflect"),
    "pad_replicate": lambda h: F.pad(h, (2, 1), mode="replicate"), "crop": lambda h: F.pad(h, (-1, -2)),
    "index": lambda h: h[:, torch.tensor([0, 0, 4])], "index_none": lambda h: h[:, None, [1, 2]],
    "index_select": lambda h: h.index_select(1, torch.tensor([5, 1])),
    "gather": lambda h: h.gather(1, h.argsort(1)[:, :2]),
    "scatter": lambda h: torch.zeros_like(h).scatter(1, h.argmax(1, keepdim=True), h[:, :1]),
    "scatter_add": lambda h: torch.zeros_like(h).scatter_add(1, h.argsort(1) // 2, h),
    "index_add": lambda h: h.index_add(1, torch.tensor([0, 0]), h[:, 4:]),
    "index_put": lambda h: torch.zeros_like(h).t().index_put((torch.tensor([1, 3]),), h[:, 4:].t()).t(),
    "one_hot": lambda h: F.one_hot(h.argmax(1), 6) * h, "new_zeros": lambda h: h + h.new_ones(6),
    "full_like": lambda h: h * torch.full_like(h, 2.0), "tile": lambda h: h.tile(2), "movedim": lambda h: h.movedim(0, 1).T,
    "meshgrid": lambda h: h * torch.meshgrid(torch.arange(2.0), torch.arange(3.0), indexing="ij")[0].reshape(-1),
    "bmm": lambda h: torch.bmm(h[:, None], h[:, :, None]), "matmul": lambda h: h @ torch.ones(6, 2, dtype=h.dtype),
    "baddbmm": lambda h: torch.baddbmm(h[:, :1, None], h[:, None], h[:, :, None], beta=2, alpha=3),
    "mv": lambda h: h @ torch.arange(6.0, dtype=h.dtype), "outer": lambda h: torch.einsum("bi,bj->bij", h, h),
    "einsum": lambda h: torch.einsum("bij,bkj->bik", h.view(-1, 2, 3), h.view(-1, 2, 3)),
    "bilinear": lambda h: F.bilinear(h, h, torch.ones(2, 6, 6, dtype=h.dtype)),
    "pixel_shuffle": lambda h: F.pixel_shuffle(h[:, :4].view(-1, 4, 1, 1), 2),
    "max_pool": lambda h: F.max_pool1d(h[:, None], 3, 2, 1), "avg_pool": lambda h: F.avg_pool1d(h[:, None], 3, 2, 1),
    "max_pool_places": lambda h: F.max_pool1d(h[:, None], 2, return_indices=True)[1] * h[:, None, :1],
    "upsample": lambda h: F.interpolate(h[:, None], scale_factor=2),
    "adaptive": lambda h: F.adaptive_avg_pool1d(h[:, None], 4), "attention": lambda h: F.scaled_dot_product_attention(
        h.view(-1, 1, 3, 2), h.view(-1, 1, 3, 2), h.view(-1, 1, 3, 2), is_causal=True),
    "dropout_off": lambda h: F.dropout(h, 0.5, training=False), "detach": lambda h: h.detach() * h,
    "data": lambda h: h.data * h, "contiguous": lambda h: h.t().contiguous().t().clone(),
}  # fmt: skip


class Each(torch.nn.Module):
    """One column per function: its sum at h = w x."""

    def __init__(self, functions):
        super().__init__()
        self.functions = functions
        self.w = torch.nn.Parameter(torch.linspace(0.5, 1.5, 6, dtype=torch.float64))

    def forward(self, x):
        found = [f(self.w * x) for f in self.functions]
        return torch.stack([v.reshape(len(x), -1).sum(1) for v in found], 1)


def inputs() -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(5, 6))
    x[0, :2] = x[1, 2:4] = 0.4
    return x


def of_jax(functions: dict[str, Callable], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The functions' sums, and the derivative of their sum with weights 1, 2, ..."""
    module = Each(list(functions.values()))
    with jax.enable_x64(True):
        adapted, given = adapt(module, 0), jnp.asarray(x)
        weights = jnp.arange(1.0, len(functions) + 1)

        def total(params):
            each = jnp.sum(jax.vmap(adapted.bind(params, adapted.frozen))(given), 0)
            return each @ weights, each

        (_, values), slope = jax.jit(jax.value_and_grad(total, has_aux=True))(adapted.params)
        return np.asarray(values), np.asarray(slope["w"])


def of_torch(functions: dict[str, Callable], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same by PyTorch, row by row."""
    w = Each([]).w
    each = []
    for function in functions.values():
        rows = (torch.from_numpy(x[[n, n]]) for n in range(len(x)))
        each.append(sum(function(w * two)[:1].sum() for two in rows))
    values = torch.stack(each)
    (slope,) = torch.autograd.grad(values @ torch.arange(1.0, len(each) + 1).double(), w)
    return values.detach().numpy(), slope.numpy()


def agree(functions: dict[str, Callable]) -> bool:
    # PyTorch rounds some constants (1/6, 1/alpha) to single precision.
    pairs = zip(of_jax(functions, inputs()), of_torch(functions, inputs()), strict=True)
    return all(np.allclose(a, b, 1e-7, 1e-7) for a, b in pairs)


@pytest.mark.parametrize("functions", [ELEMENTWISE, REDUCTIONS, SHAPES])
def test_values_and_derivatives_are_those_of_pytorch(functions):
    if not agree(functions):
        wrong = [name for name, function in functions.items() if not agree({name: function})]
        raise AssertionError(f"other values or derivatives: {', '.join(wrong)}")
