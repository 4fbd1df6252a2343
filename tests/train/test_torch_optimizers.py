"""Optimizers of the PyTorch backend against a plain PyTorch loop, and against JAX's engine, with a
function of JAX and with the module converted.

The same weights, data and order: fifty steps in float64 agree to 1e-12.
"""

from __future__ import annotations

import copy
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from torch.optim import lr_scheduler as schedulers

import thetahat as th

EPOCHS, BATCH = 10, 16
RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 2))
Y = X @ [1.0, -2.0] + 0.3 * np.sin(3 * X[:, 0])
DATA = th.Data((X[:70], Y[:70]), (X[70:], Y[70:]))  # 70 = 4 batches of 16 and one of 6


def net() -> Any:
    """A small net, the same at every call."""
    torch.manual_seed(3)
    layers = torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
    return torch.nn.Sequential(*layers).double()


def pair(module: Any) -> Any:
    """The same net for JAX."""
    params = {k: jnp.asarray(v.detach().numpy()) for k, v in module.named_parameters()}

    def apply(p: Any, x: Any) -> Any:
        return (p["2.weight"] @ jnp.tanh(p["0.weight"] @ x + p["0.bias"]) + p["2.bias"])[0]

    return lambda _: params, apply


def task(model: Any, optimizer: Any, **fields: Any) -> th.Task:
    """Fifty steps in float64."""
    given = {"epochs": EPOCHS, "batch_size": BATCH, "dtype": "float64", **fields}
    return th.Task(model, DATA, optimizer=optimizer, **given)


OPTIMIZERS = {
    "SGD": (lambda p: torch.optim.SGD(p, lr=0.05), lambda: optax.sgd(0.05)),
    "momentum": (
        lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
        lambda: optax.sgd(0.01, momentum=0.9),
    ),
    "nesterov": (
        lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True),
        lambda: optax.sgd(0.01, momentum=0.9, nesterov=True),
    ),
    "Adam": (lambda p: torch.optim.Adam(p, lr=0.01), lambda: optax.adam(0.01)),
    "Adam with L2": (
        lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.01),
        lambda: optax.chain(optax.add_decayed_weights(0.01), optax.adam(0.01)),
    ),
    "AdamW": (
        lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.01),
        lambda: optax.adamw(0.01, weight_decay=0.01),
    ),
    "RMSprop": (
        lambda p: torch.optim.RMSprop(p, lr=0.01),
        lambda: optax.rmsprop(0.01, decay=0.99, eps=1e-8, eps_in_sqrt=False),
    ),
    "Adamax": (lambda p: torch.optim.Adamax(p, lr=0.01), lambda: optax.adamax(0.01)),
    "Adadelta": (
        lambda p: torch.optim.Adadelta(p, lr=1.0),
        lambda: optax.adadelta(1.0, rho=0.9, eps=1e-6),
    ),
}
ONLY_TORCH = {
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05, initial_accumulator_value=0.1),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.01),
    "RAdam": lambda p: torch.optim.RAdam(p, lr=0.01),
    "Rprop": lambda p: torch.optim.Rprop(p, lr=0.01),
    "ASGD": lambda p: torch.optim.ASGD(p, lr=0.01),
    "groups": lambda p: torch.optim.SGD([{"params": p[:2], "lr": 0.1}, {"params": p[2:]}], lr=0.02),
    "Muon and its kind": lambda p: Signed(p, lr=0.01),
}
SCHEDULERS = {
    "step": lambda o: schedulers.StepLR(o, 3, 0.5),
    "cosine": lambda o: schedulers.CosineAnnealingLR(o, 10),
    "milestones": lambda o: schedulers.MultiStepLR(o, [2, 5], 0.3),
    "lambda": lambda o: schedulers.LambdaLR(o, lambda e: 0.9**e),
    "sequence": lambda o: schedulers.SequentialLR(
        o, [schedulers.ConstantLR(o, 0.5, 3), schedulers.ExponentialLR(o, 0.9)], [3]
    ),
    "plateau": lambda o: schedulers.ReduceLROnPlateau(o, patience=1, factor=0.5),
    "one cycle, by step": lambda o: schedulers.OneCycleLR(o, 0.1, total_steps=60),
}


class Signed(torch.optim.Optimizer):
    """An optimizer whose step depends on the shape of each parameter: no flat vector has it."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        del closure
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["n"] = self.state[p].get("n", 0) + 1
                p.sub_(group["lr"] * p.grad / (p.grad.norm() + 1e-3))


def plain_loop(make: Any, schedule: Any = None) -> tuple[list[float], list[float], Any]:
    """The loop that everybody writes, over the same batches: train and validation losses."""
    module = net()
    optimizer = make(list(module.parameters()))
    scheduler = schedule(optimizer) if schedule else None
    batches = th.Batches((X[:70], Y[:70]), BATCH)
    train, val = [], []
    for _ in range(EPOCHS):
        total = 0.0
        for x, y in batches:
            loss = (module(torch.from_numpy(x))[:, 0] - torch.from_numpy(y)).square().sum()
            optimizer.zero_grad()
            (loss / BATCH).backward()
            optimizer.step()
            total += loss.item()
            if isinstance(scheduler, schedulers.OneCycleLR):
                scheduler.step()
        with torch.no_grad():
            h = module(torch.from_numpy(X[70:]))[:, 0]
        train.append(total / 70)
        val.append(float((h - torch.from_numpy(Y[70:])).square().mean()))
        if isinstance(scheduler, schedulers.ReduceLROnPlateau):
            scheduler.step(val[-1])
        elif scheduler and not isinstance(scheduler, schedulers.OneCycleLR):
            scheduler.step()
    return train, val, module


@pytest.mark.parametrize("name", [*OPTIMIZERS, *ONLY_TORCH])
def test_an_optimizer_takes_the_steps_of_a_plain_loop(name: str) -> None:
    make = OPTIMIZERS[name][0] if name in OPTIMIZERS else ONLY_TORCH[name]
    train, val, _ = plain_loop(make)
    result = th.fit(task(net(), make, backend="torch"))
    np.testing.assert_allclose(result.history["train_risk"], train, rtol=1e-12)
    np.testing.assert_allclose(result.history["val_risk"], val, rtol=1e-12)


def same_steps(one: th.Result, other: th.Result) -> None:
    """Check that two fits have the same risks and rates in every epoch."""
    for column in ("train_risk", "val_risk", "learning_rate"):
        there = other.history[column]
        np.testing.assert_allclose(one.history[column], there, rtol=1e-12, err_msg=column)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_modules_take_the_same_steps_converted_and_native(name: str) -> None:
    make, equal = OPTIMIZERS[name]
    converted = th.fit(task(net(), equal()))
    native = [th.fit(task(net(), optimizer, backend="torch")) for optimizer in (make, equal())]
    assert converted.provenance["backend"] == "jax"
    assert [one.provenance["backend"] for one in native] == ["torch", "torch"]
    for one in native:
        same_steps(one, converted)


def test_a_module_takes_the_steps_of_a_function_of_jax() -> None:
    same_steps(th.fit(task(net(), optax.adam(0.01))), th.fit(task(pair(net()), optax.adam(0.01))))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_steps_as_in_a_plain_loop(name: str) -> None:
    def make(params: Any) -> Any:
        optimizer = torch.optim.SGD(params, lr=0.1, momentum=0.5)
        return optimizer, SCHEDULERS[name](optimizer)

    train, val, _ = plain_loop(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5), SCHEDULERS[name])
    result = th.fit(task(net(), make, backend="torch"))
    np.testing.assert_allclose(result.history["train_risk"], train, rtol=1e-12)
    np.testing.assert_allclose(result.history["val_risk"], val, rtol=1e-12)
    assert len(set(result.history["learning_rate"])) > 1


@pytest.mark.parametrize("name", [*SCHEDULERS, "Muon and its kind"])
def test_a_scheduled_fit_resumes_bitwise(name: str, tmp_path: Any) -> None:
    def make(params: Any) -> Any:
        if name not in SCHEDULERS:
            return ONLY_TORCH[name](params)
        optimizer = torch.optim.Adam(params, lr=0.1)
        return optimizer, SCHEDULERS[name](optimizer)

    def half(epochs: int) -> th.Task:
        return task(net(), make, backend="torch", epochs=epochs, dtype="float32")

    whole = th.fit(half(10))
    th.fit(half(4), checkpoint=tmp_path / "a")
    resumed = th.fit(half(10), checkpoint=tmp_path / "a", resume=True)
    for column in ("train_risk", "val_risk", "learning_rate"):
        np.testing.assert_array_equal(resumed.history[column], whole.history[column])
    np.testing.assert_array_equal(resumed.predict(X), whole.predict(X))


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        ("rmsprop", "optimizer='rmsprop': PyTorch has another formula; give .*RMSprop"),
        ("adagrad", "PyTorch has another formula; give .*Adagrad"),
        ("lion", "optimizer='lion' has no equal in PyTorch"),
        ("lbfgs", "optimizer='lbfgs' has no equal in PyTorch"),
        (optax.nadam(0.1), "this optax transformation has no equal in PyTorch"),
        (optax.adagrad(0.1), "this optax transformation has no equal in PyTorch"),
        (torch.optim.SGD(net().parameters(), lr=0.1), "a SGD that holds parameters already"),
        (torch.optim.LBFGS, "LBFGS evaluates the loss within a step"),
        (lambda p: [torch.optim.SGD(p, 0.1), torch.optim.SGD(p, 0.1)], "takes one optimizer"),
        (torch.nn.Linear, "failed on the parameters"),
        (lambda p: None, "returned NoneType; return a torch.optim optimizer"),
    ],
)
def test_an_optimizer_without_an_equal_is_refused_by_name(optimizer: Any, said: str) -> None:
    with pytest.raises(th.InputError, match=said):
        th.fit(task(net(), optimizer, backend="torch"))


def test_names_take_the_steps_that_they_take_under_jax() -> None:
    for name in ("sgd", "momentum", "adam", "adamw"):
        one = th.fit(task(net(), name, backend="torch"))
        other = th.fit(task(pair(net()), name))
        for column in ("train_risk", "learning_rate"):
            np.testing.assert_allclose(one.history[column], other.history[column], rtol=1e-12)


def test_the_users_module_and_random_numbers_stay_as_they_were() -> None:
    module = net()
    before = copy.deepcopy(module.state_dict())
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    th.fit(task(module, "adam", backend="torch"))
    assert torch.equal(torch.rand(3), expected)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
