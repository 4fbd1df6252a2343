"""Whole PyTorch modules, converted: values and gradients in evaluation, in float64."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thetahat.models import adapt

torch = pytest.importorskip("torch")
nn = torch.nn


class Residual(nn.Module):
    """Blocks with a layer norm, around which the input is added."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 8)
        block = (nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU())
        self.blocks = nn.ModuleList([nn.Sequential(*block) for _ in range(2)])
        self.last = nn.Linear(8, 1)

    def forward(self, x):
        h = self.first(x)
        for block in self.blocks:
            h = h + block(h)
        return self.last(h).squeeze()


class DeepSet(nn.Module):
    """A mean over elements, of inputs scaled by a buffer and by a plain tensor."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Sequential(nn.Linear(2, 8), nn.Tanh()), nn.Linear(8, 1)
        self.register_buffer("mean", torch.randn(2))
        self.scale = torch.tensor(2.0)

    def forward(self, x):
        return self.outer(self.inner((x - self.mean) / self.scale).mean(1))


class Einsum(nn.Module):
    """A tensor product with a fixed parameter."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4, 2))
        self.fixed = nn.Parameter(torch.rand(2), requires_grad=False)

    def forward(self, x):
        return (torch.einsum("bi,ijk->bjk", x, self.weight).softmax(-1) * self.fixed).sum((1, 2))


class Recurrent(nn.Module):
    """A recurrent layer, and a linear map of its last output."""

    def __init__(self, kind, size, **options):
        super().__init__()
        self.layer = kind(3, 5, batch_first=True, **options)
        self.last = nn.Linear(size, 1)

    def forward(self, x):
        return self.last(self.layer(x)[0][:, -1])


class Attention(nn.Module):
    """Self-attention, with its weights."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 8), nn.Linear(8, 1)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        h = self.first(x)
        h, weights = self.attention(h, h, h)
        return self.last(h.mean(1)).squeeze(-1) + weights[:, 0, 0]


class Embedded(nn.Module):
    """A mean of embeddings, one of which is padding."""

    def __init__(self):
        super().__init__()
        self.embedding, self.last = nn.Embedding(5, 4, padding_idx=0), nn.Linear(4, 1)

    def forward(self, x):
        return self.last(self.embedding(x).mean(1))


class InPlace(nn.Module):
    """Changes in place, of tensors and of their views."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, x):
        h = self.linear(x)
        h[:, 0] += h[:, 1]
        view = h.view(-1, 2, 2)
        view[:, 0] *= 2
        out = torch.zeros(len(x), 4)
        out[:, 1:3] = h[:, :2]
        out.relu_()
        return (out + h).sum(1, keepdim=True)


class Tied(nn.Module):
    """Two layers that share a weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(torch.tanh(self.first(x))).norm(dim=1)


class NoGrad(nn.Module):
    """A part of the forward pass without derivatives."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        h = self.linear(x)
        with torch.no_grad():
            largest = h.amax(1, keepdim=True)
        return (h - largest).exp().sum(1) * h.detach().mean(1)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))


def convolution() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=2), nn.BatchNorm2d(4), nn.ReLU(),
        nn.MaxPool2d(2, ceil_mode=True), nn.ConvTranspose2d(4, 3, 3, stride=2, output_padding=1),
        nn.AvgPool2d(2, padding=1), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 1),
    )  # fmt: skip


def convolution_1d() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 4, 3, padding="same", dilation=2, groups=2), nn.GroupNorm(2, 4), nn.ELU(),
        nn.MaxPool1d(2), nn.InstanceNorm1d(4), nn.AdaptiveMaxPool1d(2), nn.Flatten(), nn.Linear(8, 1),
    )  # fmt: skip


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 1), nn.Flatten(), nn.Linear(20, 1))


def normalised() -> nn.Module:
    weighted = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
    return nn.Sequential(weighted, nn.PReLU(), nn.Dropout(0.5), nn.BatchNorm1d(4), nn.Linear(4, 1))


KINDS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (mlp, (3,)),
    "residual": (Residual, (3,)),
    "deep set": (DeepSet, (5, 2)),
    "einsum": (Einsum, (3,)),
    "convolution": (convolution, (2, 9, 9)),
    "convolution 1d": (convolution_1d, (2, 9)),
    "gru": (lambda: Recurrent(nn.GRU, 10, num_layers=2, bidirectional=True), (6, 3)),
    "lstm": (lambda: Recurrent(nn.LSTM, 5, num_layers=2), (6, 3)),
    "lstm projected": (lambda: Recurrent(nn.LSTM, 2, proj_size=2, bias=False), (6, 3)),
    "rnn": (lambda: Recurrent(nn.RNN, 5, nonlinearity="relu"), (6, 3)),
    "attention": (Attention, (5, 3)),
    "encoder": (encoder, (5, 4)),
    "embedding": (Embedded, (3,)),
    "in place": (InPlace, (3,)),
    "tied": (Tied, (3,)),
    "no grad": (NoGrad, (3,)),
    "normalised, dropout": (normalised, (3,)),
}
"""What makes a module, and the shape of one observation."""


def observations(name: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 5, (4, *shape)) if name == "embedding" else rng.normal(size=(4, *shape))


@pytest.mark.parametrize("name", KINDS)
def test_values_and_gradients_are_those_of_pytorch(name):
    make, shape = KINDS[name]
    torch.manual_seed(0)
    module = make().double().eval()
    x = observations(name, shape)
    with jax.enable_x64(True):
        adapted, rows = adapt(module, 0), jnp.asarray(x)

        def total(params):
            return jnp.sum(jnp.sin(jax.vmap(adapted.bind(params, adapted.frozen))(rows)))

        value, gradient = jax.jit(jax.value_and_grad(total))(adapted.params)
    theirs = torch.sin(module(torch.from_numpy(x))).sum()
    theirs.backward()
    assert float(value) == pytest.approx(theirs.item(), rel=1e-9)
    for path, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        mine = gradient
        for step in path.split("."):
            mine = mine[step]
        np.testing.assert_allclose(np.asarray(mine), parameter.grad, 1e-9, 1e-9, err_msg=path)
