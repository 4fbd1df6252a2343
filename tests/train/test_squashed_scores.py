"""Models that end in a sigmoid or a softmax, under losses that read outputs as scores."""

from __future__ import annotations

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from jax.scipy.stats import norm
from torch import nn

import thetahat as th

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2)).astype("float32")
TWO = (X[:, 0] + 0.5 * RNG.normal(size=60) > 0).astype(np.int32)
THREE = np.arange(60) % 3


def task(model: Any, y: Any = TWO, **fields: Any) -> th.Task:
    loss = "logistic" if y is TWO else "cross_entropy"
    return th.Task(model, th.Data((X, y)), **{"loss": loss, "epochs": 2, **fields})


class OfNnx(nnx.Module):
    """A layer of Flax NNX, and a function of its outputs."""

    def __init__(self, outputs: int, last: Any) -> None:
        self.layer, self.last = nnx.Linear(2, outputs, rngs=nnx.Rngs(0)), last

    def __call__(self, x: Any) -> Any:
        return self.last(self.layer(x))


class OfEquinox(eqx.Module):
    """A layer of Equinox, and a function of its outputs."""

    layer: eqx.nn.Linear
    last: Any = eqx.field(static=True)

    def __init__(self, outputs: int, last: Any) -> None:
        self.layer, self.last = eqx.nn.Linear(2, outputs, key=jax.random.key(0)), last

    def __call__(self, x: Any) -> Any:
        return self.last(self.layer(x))


def pair(outputs: int, last: Any) -> Any:
    """A plain function."""
    init = lambda key: {"w": jax.random.normal(key, (2, outputs))}  # noqa: E731
    return (init, lambda p, x: last(x @ p["w"]))


MAKERS = {"nnx": OfNnx, "equinox": OfEquinox, "function": pair}
SIGMOIDS = {
    "jax.nn.sigmoid": jax.nn.sigmoid,
    "a formula": lambda h: 1 / (1 + jnp.exp(-h)),
    "by tanh": lambda h: 0.5 * (1 + jnp.tanh(h / 2)),
    "clipped": lambda h: jnp.clip(h, 0.0, 1.0),
    "hard": jax.nn.hard_sigmoid,
    "probit": norm.cdf,
    "of arctan": lambda h: 0.5 + jnp.arctan(h) / jnp.pi,
    "complementary log-log": lambda h: 1 - jnp.exp(-jnp.exp(h)),
    "the same by expm1": lambda h: -jnp.expm1(-jnp.exp(h)),
    "of its logarithm": lambda h: jnp.exp(jax.nn.log_sigmoid(h)),
    "of softsign": lambda h: 0.5 * (1 + jax.nn.soft_sign(h)),
}
SOFTMAXES = {
    "jax.nn.softmax": jax.nn.softmax,
    "a formula": lambda h: jnp.exp(h) / jnp.exp(h).sum(),
    "by the inverse": lambda h: jnp.exp(h) * (1 / jnp.exp(h).sum()),
    "of squares": lambda h: h**2 / jnp.sum(h**2),
    "sigmoids": jax.nn.sigmoid,
    "of its logarithm": lambda h: jnp.exp(jax.nn.log_softmax(h)),
    "by logsumexp": lambda h: jnp.exp(h - jax.nn.logsumexp(h)),
}


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("last", SIGMOIDS)
def test_a_sigmoid_under_the_logistic_loss_is_refused(maker: str, last: str) -> None:
    said = "outputs are between 0 and 1.* takes log-odds, any real number: .* between 0.5 and 0.73"
    with pytest.raises(th.InputError, match=said):
        th.fit(task(MAKERS[maker](1, SIGMOIDS[last])))


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("last", SOFTMAXES)
def test_a_softmax_under_cross_entropy_is_refused(maker: str, last: str) -> None:
    said = "takes logits, any real numbers: no class gets a probability above 0.58"
    with pytest.raises(th.InputError, match=said):
        th.fit(task(MAKERS[maker](3, SOFTMAXES[last]), THREE))


def test_a_model_of_ours_shares_and_bags_are_checked_too() -> None:
    model = th.models.MLP(2, width=4, depth=1, out_activation="sigmoid")
    with pytest.raises(th.InputError, match="it ends in a sigmoid"):
        th.fit(task(model))
    with pytest.raises(th.InputError, match="the loss fractional_logit takes log-odds"):
        th.fit(task(model, loss=th.risk.fractional_logit))
    with pytest.raises(th.InputError, match="it ends in a sigmoid"):
        th.fit_bagged(task(model), members=2)
    residual = lambda h, z: (jax.nn.sigmoid(h(z[0])), z[1])  # noqa: E731
    with pytest.raises(th.InputError, match="it ends in a sigmoid"):
        th.fit(task(th.models.MLP(2, width=4, depth=1), residual=residual))


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (jnp.tanh, r"between -1 and 1 \(it ends in a tanh\)"),
        (jax.nn.relu, r"at least 0 \(it ends in a relu\).* stays above 0.5"),
        (jax.nn.softplus, r"at least 0.* stays above 0.5"),
        (jax.nn.log_sigmoid, r"at most 0.* stays below 0.5"),
    ],
)
def test_scores_in_a_narrow_range_are_told(last: Any, said: str) -> None:
    with pytest.warns(th.Notice, match=said):
        th.fit(task(pair(1, last)))


@pytest.mark.parametrize(
    ("y", "last"),
    [
        (TWO, lambda h: h),
        (TWO, lambda h: 8 * jax.nn.sigmoid(h) - 4),
        (TWO, lambda h: jnp.clip(h, -10, 10)),
        (TWO, lambda h: jnp.log(jax.nn.sigmoid(h) / (1 - jax.nn.sigmoid(h)))),
        (TWO, lambda h: norm.logcdf(h) - norm.logsf(h)),
        (TWO, lambda h: jnp.log(jnp.exp(h).sum())),
        (THREE, jax.nn.log_softmax),
        (THREE, lambda h: h - jax.nn.logsumexp(h[:2])),
        (THREE, jax.nn.relu),
        (THREE, lambda h: 5 * jnp.tanh(h)),
    ],
)
def test_scores_that_are_nearly_free_pass(y: Any, last: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", th.Notice)
        th.fit(task(pair(1 if y is TWO else 3, last), y))


def test_a_sigmoid_under_the_squared_loss_is_a_model_of_probabilities() -> None:
    model = th.models.MLP(2, width=4, depth=1, out_activation="sigmoid")
    assert th.fit(task(model, TWO.astype(float), loss="squared")).risk["train"] < 0.3


# -- PyTorch -------------------------------------------------------------------------------------


def net(outputs: int, *last: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, outputs), *last)


BY_TORCH = {
    "sigmoid": (TWO, net(1, nn.Sigmoid()), "logistic"),
    "flat": (TWO, net(1, nn.Sigmoid(), nn.Flatten(0)), nn.BCEWithLogitsLoss()),
    "weighted": (TWO, net(1, nn.Sigmoid()), nn.BCEWithLogitsLoss(pos_weight=torch.ones(1))),
    "softmax": (THREE, net(3, nn.Softmax(1)), "cross_entropy"),
    "module": (THREE, net(3, nn.Softmax(1)), nn.CrossEntropyLoss()),
    "function": (THREE, net(3, nn.Softmax(1)), nn.functional.cross_entropy),
    "smoothed": (THREE, net(3, nn.Sigmoid()), nn.CrossEntropyLoss(label_smoothing=0.1)),
}


@pytest.mark.parametrize("backend", ["torch", "auto"])
@pytest.mark.parametrize("case", BY_TORCH)
def test_a_module_that_ends_in_probabilities_is_refused(case: str, backend: str) -> None:
    y, module, loss = BY_TORCH[case]
    with pytest.raises(th.InputError, match=r"between 0 and 1.* takes log"):
        th.fit(task(module, y, loss=loss, backend=backend))


def test_a_residual_of_probabilities_is_refused_by_pytorch() -> None:
    residual = lambda h, z: (torch.sigmoid(h(z[0])[0]), z[1])  # noqa: E731
    with pytest.raises(th.InputError, match="between 0 and 1"):
        th.fit(task(net(1), backend="torch", residual=residual))


def test_scores_of_a_module_in_a_narrow_range_are_told() -> None:
    with pytest.warns(th.Notice, match="stays above 0.5"):
        th.fit(task(net(1, nn.ReLU()), backend="torch"))


@pytest.mark.parametrize("last", [(), (nn.Softmax(1),)], ids=["scores", "probabilities"])
def test_nll_needs_log_probabilities(last: Any) -> None:
    what = "probabilities" if last else "scores"
    said = f"outputs are {what}, and the loss NLLLoss takes log-probabilities"
    with pytest.raises(th.InputError, match=said):
        th.fit(task(net(3, *last), THREE, loss=nn.NLLLoss()))


def test_nll_of_log_probabilities_is_the_cross_entropy_of_scores() -> None:
    fields: Any = {"backend": "torch", "epochs": 5}
    one = th.fit(task(net(3, nn.LogSoftmax(1)), THREE, loss=nn.NLLLoss(), **fields))
    two = th.fit(task(net(3), THREE, loss=nn.CrossEntropyLoss(), **fields))
    np.testing.assert_allclose(one.history["train_risk"], two.history["train_risk"], rtol=1e-5)


def test_losses_of_probabilities_take_them() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", th.Notice)
        result = th.fit(task(net(1, nn.Sigmoid()), loss=nn.BCELoss(), backend="torch"))
    p = result.predict(X)
    found = -np.mean(np.where(TWO == 1, np.log(p), np.log(1 - p)))
    assert result.risk["train"] == pytest.approx(found, rel=1e-4)
