"""PyTorch's backend replays recorded batches: the numbers are those of the module itself."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import thetahat as th

# Counter, Random and Noise are no functions of their parameters.
pytestmark = pytest.mark.filterwarnings("ignore:the best state")

EPOCHS, BATCH = 65, 8  # 8 steps an epoch, the last of 4 rows


def data(weighted: bool = False) -> th.Data:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(75, 2)).astype(np.float32)
    y = (x @ [1.0, -2.0] + np.sin(3 * x[:, 0])).astype(np.float32)
    weight = rng.uniform(0.5, 2, 75) if weighted else None
    return th.split(th.Observations(x, y, weight), train=0.8, val=0.2, test=0, seed=0)


class Straight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 8), nn.Linear(8, 8)])
        self.out, self.slope = nn.Linear(8, 1), 0.5

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = torch.tanh(layer(x)) + self.slope * x.sum(1, keepdim=True)
        return self.out(x)


class Branch(Straight):
    def forward(self, x: Any) -> Any:
        return super().forward(x if x.mean() > 0 else -x)


class Counter(Straight):
    def forward(self, x: Any) -> Any:
        self.slope = self.slope * 0.99
        return self.out(torch.tanh(self.layers[0](x)) * self.slope)


class Random(Straight):
    def forward(self, x: Any) -> Any:
        return self.out(torch.tanh(self.layers[0](x)) * random.random())


class Noise(Straight):
    def forward(self, x: Any) -> Any:
        return self.out(torch.tanh(self.layers[0](x + 0.1 * torch.randn_like(x))))


class Unused(Straight):
    def forward(self, x: Any) -> Any:
        return self.out(torch.tanh(self.layers[0](x)))


def sequence() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(inplace=True), nn.Linear(8, 1))


def normed() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 8), nn.LayerNorm(8), nn.Linear(8, 1))


def dropped() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.2), nn.Linear(8, 1))


def fitted(make: Callable[[], nn.Module], *, by_hand: bool, **more: Any) -> th.Result:
    """The fit of a module; one with a hook is called as it is, batch by batch."""
    torch.manual_seed(1)
    random.seed(1)
    module = make()
    if by_hand:
        module.register_forward_hook(lambda *_: None)
    given = {"optimizer": functools.partial(torch.optim.SGD, lr=0.02), "data": data(), **more}
    return th.fit(th.Task(module, epochs=EPOCHS, batch_size=BATCH, backend="torch", **given))


@pytest.mark.parametrize(
    "make", [Straight, sequence, Branch, Counter, Random, Noise, Unused, normed, dropped]
)
def test_a_replayed_module_has_the_numbers_of_the_module(make: Any) -> None:
    one, other = (fitted(make, by_hand=by_hand) for by_hand in (False, True))
    for column in ("train_risk", "val_risk"):
        assert one.history[column].tobytes() == other.history[column].tobytes()
    assert one.history["train_risk"][-1] != one.history["train_risk"][0]


def test_few_batches_are_run_by_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, linear = [], nn.functional.linear
    monkeypatch.setattr(nn.functional, "linear", lambda *args: calls.append(1) or linear(*args))
    counts = []
    for make in (sequence, dropped):
        calls.clear()
        fitted(make, by_hand=False)
        counts.append(len(calls) / (2 * EPOCHS * 8))  # 8 steps an epoch, two layers
    assert counts[0] < 0.2 and counts[1] > 1  # the validation part is one more batch


@pytest.mark.parametrize(
    "more",
    [
        {"optimizer": lambda p: torch.optim.Adam(p, lr=0.02, weight_decay=0.1)},
        {"optimizer": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9)},
        {"loss": nn.SmoothL1Loss(), "data": data(weighted=True), "dtype": "float64"},
    ],
)
def test_replays_serve_optimizers_losses_and_weights(more: Any) -> None:
    one, other = (fitted(Straight, by_hand=by_hand, **more) for by_hand in (False, True))
    np.testing.assert_array_equal(one.history["train_risk"], other.history["train_risk"])


def test_an_attribute_that_a_schedule_changes_is_seen() -> None:
    def run(by_hand: bool) -> th.Result:
        made: list[Any] = []

        def make() -> nn.Module:
            made.append(Straight())
            if by_hand:
                made[0].register_forward_hook(lambda *_: None)
            return made[0]

        def optimizer(params: Any) -> Any:
            descent = torch.optim.SGD(params, lr=0.02)

            def rate(epoch: int) -> float:
                made[0].slope = 0.5 / (1 + epoch)
                return 1.0

            return descent, torch.optim.lr_scheduler.LambdaLR(descent, rate)

        return th.fit(
            th.Task(
                make, data(), optimizer=optimizer, epochs=EPOCHS, batch_size=BATCH, backend="torch"
            )
        )

    one, other = run(False), run(True)
    np.testing.assert_array_equal(one.history["train_risk"], other.history["train_risk"])


@pytest.mark.parametrize(
    ("make", "rates"),
    [
        (lambda p, lr: torch.optim.SGD(p, lr=lr), (0.02, 0.01)),
        (lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9), (0.02, 0.02)),
        (lambda p, lr: torch.optim.Adam(p, lr=lr), (0.02, 0.01)),
    ],
    ids=["descent", "momentum", "adam"],
)
def test_a_replayed_cohort_has_the_numbers_of_its_module(make: Any, rates: Any) -> None:
    def nets(hooked: bool) -> Any:
        def net(lr: float = 0.02, seed: th.Seed = 0) -> th.Task:
            def model() -> nn.Module:
                module = Straight()
                if hooked:
                    module.register_forward_hook(lambda *_: None)
                return module

            fields = {"optimizer": lambda p: make(p, lr), "epochs": EPOCHS, "batch_size": BATCH}
            return th.Task(model, data(weighted=True), seed=seed, backend="torch", **fields)

        return net

    configs = [{"lr": lr, "seed": seed} for seed, lr in enumerate(rates)]
    replayed, called = (th.fit_many(nets(h), configs, mode="vmap") for h in (False, True))
    assert [one.mode for one in replayed] == ["vmap", "vmap"]
    for one, other in zip(replayed, called, strict=True):
        for column in ("train_risk", "val_risk"):
            assert one.history[column].tobytes() == other.history[column].tobytes()
