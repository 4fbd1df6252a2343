"""Targets that losses of PyTorch cannot use: refused before training, also where PyTorch is silent."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import thetahat as th

# Losses of the two engines are compared by themselves, without a fit each.
from thetahat.train.torch._losses import pair_loss

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 2)).astype("float32")
CLASSES = np.arange(30) % 3


def net(outputs: int, *last: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, outputs), *last)


def fit(module: nn.Module, y: Any, loss: Any, **fields: Any) -> th.Result:
    return th.fit(th.Task(module, th.Data((X, y)), loss=loss, epochs=2, backend="torch", **fields))


def at(value: Any, y: Any = CLASSES) -> Any:
    """Targets with one other value."""
    other = np.array(y, np.float64 if isinstance(value, float) else None)
    other[7] = value
    return other


OF_CLASSES = {
    "cross_entropy": (net(3), "cross_entropy"),
    "CrossEntropyLoss": (net(3), nn.CrossEntropyLoss()),
    "smoothed": (net(3), nn.CrossEntropyLoss(label_smoothing=0.1)),
    "partial": (net(3), partial(functional.cross_entropy, label_smoothing=0.1)),
    "NLLLoss": (net(3, nn.LogSoftmax(1)), nn.NLLLoss()),
    "nll_loss": (net(3, nn.LogSoftmax(1)), functional.nll_loss),
    "MultiMarginLoss": (net(3), nn.MultiMarginLoss()),
}


@pytest.mark.parametrize("wrong", [-100, -1, 3, 0.5])
@pytest.mark.parametrize("loss", OF_CLASSES)
def test_a_class_that_does_not_exist_is_refused(loss: str, wrong: Any) -> None:
    with pytest.raises(th.InputError, match=r"has the values .* needs 0"):
        fit(OF_CLASSES[loss][0], at(wrong), OF_CLASSES[loss][1])


def test_the_class_that_pytorch_ignores_is_named() -> None:
    with pytest.raises(th.InputError, match="drop those of -100, PyTorch's ignore_index"):
        fit(net(3, nn.LogSoftmax(1)), at(-100), nn.NLLLoss())


@pytest.mark.parametrize("part", ["val", "test"])
def test_classes_of_every_part_are_checked(part: str) -> None:
    data = th.Data((X, CLASSES), **{part: (X, at(3))})
    task = th.Task(net(3, nn.LogSoftmax(1)), data, loss=nn.NLLLoss(), epochs=1)
    with pytest.raises(th.InputError, match=f"data.{part} has the values 0, 1, 2, 3"):
        th.fit(task)


OTHERS = {
    "BCELoss": (net(1, nn.Sigmoid()), nn.BCELoss(), "needs numbers from 0 to 1"),
    "binary": (net(1, nn.Sigmoid()), functional.binary_cross_entropy, "needs numbers from 0 to 1"),
    "logits": (net(1), nn.BCEWithLogitsLoss(pos_weight=torch.ones(1)), "needs numbers from 0 to 1"),
    "PoissonNLLLoss": (net(1), nn.PoissonNLLLoss(), "needs numbers of at least 0"),
    "SoftMarginLoss": (net(1), nn.SoftMarginLoss(), "needs -1 or 1"),
    "HingeEmbeddingLoss": (net(1), nn.HingeEmbeddingLoss(), "needs -1 or 1"),
    "KLDivLoss": (net(1), nn.KLDivLoss(), "needs numbers of at least 0"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_targets_outside_the_range_of_a_loss_are_refused(name: str) -> None:
    module, loss, said = OTHERS[name]
    with pytest.raises(th.InputError, match=said):
        fit(module, at(-3.0, CLASSES.astype(float)), loss)


def test_a_standardised_table_gives_such_losses_its_own_targets() -> None:
    frame = {"a": X[:, 0], "b": X[:, 1], "y": (CLASSES > 0).astype(float)}
    data = th.split(th.read_table(frame, "y"), seed=0)
    task = th.Task(net(1, nn.Sigmoid()), data, loss=nn.BCELoss(), epochs=3, backend="torch")
    result = th.fit(task)
    p, y = result.predict("train"), frame["y"][data.rows["train"]]
    assert ((p > 0) & (p < 1)).all()
    found = -np.mean(np.where(y == 1, np.log(p), np.log(1 - p)))
    assert result.risk["train"] == pytest.approx(found, rel=1e-4)


def test_whole_numbers_of_a_table_are_classes_of_nll() -> None:
    frame = {"a": X[:, 0], "b": X[:, 1], "y": CLASSES.astype(float)}
    data = th.split(th.read_table(frame, "y"), seed=0)
    task = th.Task(net(3, nn.LogSoftmax(1)), data, loss=nn.NLLLoss(), epochs=3, backend="torch")
    result = th.fit(task)
    logs, y = result.predict("val"), CLASSES[data.rows["val"]]
    assert result.risk["val"] == pytest.approx(-logs[np.arange(len(y)), y].mean(), rel=1e-4)


def test_labels_are_no_numbers_of_a_loss_of_pytorch() -> None:
    labels = np.array(["low", "mid", "high"])[CLASSES]
    with pytest.raises(th.InputError, match="the target is one of 3 classes, and the loss Smooth"):
        fit(net(1), labels, nn.SmoothL1Loss(beta=0.5))


@pytest.mark.parametrize("wrong", [-100, 3])
def test_targets_that_a_residual_returns_are_checked(wrong: int) -> None:
    with pytest.raises(th.InputError, match="the target of data.train has the values"):
        fit(net(3), at(wrong), "cross_entropy", residual=lambda h, z: (h(z[0]), z[1]))
    with pytest.raises(th.InputError, match="logistic needs 0 or 1"):
        fit(net(1), at(wrong) % 5, "logistic", residual=lambda h, z: (h(z[0])[0], z[1]))


@pytest.mark.parametrize(
    "loss",
    [
        nn.KLDivLoss(reduction="batchmean"),
        partial(functional.kl_div, reduction="batchmean"),
        partial(functional.mse_loss, reduction="sum"),
        partial(functional.cross_entropy, weight=torch.tensor([1.0, 2.0, 5.0])),
    ],
)
def test_a_mean_of_another_kind_is_refused_in_partial_functions_too(loss: Any) -> None:
    data = th.Data((np.ones((6, 3), np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2] * 2]))
    with pytest.raises(th.InputError, match=r"reduction=|weight="):
        th.fit(th.Task(nn.Linear(3, 3), data, loss=loss, epochs=1, backend="torch"))


@pytest.mark.parametrize("backend", ["auto", "jax", "torch"])
def test_the_ignored_class_is_refused(backend: str) -> None:
    x = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    y = np.where(np.arange(30) < 9, -100, np.arange(30) % 2)
    task = th.Task(
        nn.Linear(3, 3), th.Data((x, y)), loss=nn.CrossEntropyLoss(), epochs=1, backend=backend
    )
    with pytest.raises(th.InputError, match="-100"):
        th.fit(task)


@pytest.mark.parametrize("name", th.risk.LOSSES)
def test_a_loss_by_name_is_the_same_in_both_engines(name: str) -> None:
    h = RNG.normal(size=(30, 3) if name == "cross_entropy" else 30)
    y = CLASSES if name == "cross_entropy" else (RNG.random(30) < 0.5).astype(float)
    loss = th.risk.resolve_loss(name)
    each = (lambda h, y: loss(h - y)) if loss.of == "residual" else loss
    expected = jax.vmap(each)(jnp.asarray(h), jnp.asarray(y))
    found = pair_loss(name)(torch.as_tensor(h), torch.as_tensor(y))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)
