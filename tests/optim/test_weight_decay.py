"""One weight decay, never two, and zero is none: against optax called by hand.

The experiment behind ``thetahat fit`` is looked at directly: its parameters are what the flags move.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import thetahat as th

# The Task that the command makes is compared, before it is fitted.
from thetahat.cli.commands._fit_table import fit_table
from thetahat.optim import OPTIMIZERS, named, own_decay

LR = 0.02


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = x @ [1.0, -2.0, 0.5] + rng.normal(0, 0.1, 60)
    path = tmp_path_factory.mktemp("decay") / "t.csv"
    lines = [",".join(map(str, [*row, t])) for row, t in zip(x, y, strict=True)]
    path.write_text("a,b,c,y\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def fitted(table: str, optimizer: str, weight_decay: float, **more: Any) -> dict[str, np.ndarray]:
    result = th.fit(
        fit_table, table=table, target="y", model="linear", optimizer=optimizer, lr=LR,
        weight_decay=weight_decay, epochs=8, **more,
    )  # fmt: skip
    return dict(result.params)


def by_hand(table: str, optimizer: Any) -> dict[str, np.ndarray]:
    data = fit_table(table, "y", model="linear").data
    task = th.Task(th.models.Linear(3), data, optimizer=optimizer, epochs=8)
    return dict(th.fit(task).params)


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("name", ["adamw", "lion"])
def test_an_optimizers_own_decay_is_the_flags(table: str, name: str, decay: float) -> None:
    hand = {"adamw": optax.adamw, "lion": optax.lion}[name](LR, weight_decay=decay)
    assert_same(fitted(table, name, decay), by_hand(table, hand))


def test_adamw_without_decay_is_adam(table: str) -> None:
    assert_same(fitted(table, "adamw", 0.0), by_hand(table, optax.adam(LR)))


PLAIN = {
    "sgd": optax.sgd(LR),
    "momentum": optax.sgd(LR, momentum=0.9),
    "adam": optax.adam(LR),
    "rmsprop": optax.rmsprop(LR, decay=0.9),
    "adagrad": optax.adagrad(LR),
}


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("name", PLAIN)
def test_the_others_have_a_ridge_that_leaves_the_bias_alone(
    table: str, name: str, decay: float
) -> None:
    kernel = {"kernel": True, "bias": False}
    decayed = optax.chain(optax.add_decayed_weights(decay, mask=kernel), PLAIN[name])
    assert_same(fitted(table, name, decay), by_hand(table, decayed if decay else PLAIN[name]))


def test_every_optimizer_has_one_decay(table: str) -> None:
    for name in OPTIMIZERS:
        task = fit_table(
            table=table, target="y", model="linear", optimizer=name, lr=0.5, weight_decay=0.3
        )
        assert (task.penalty is None) == (own_decay(name) is not None), name


def test_who_decays_by_default() -> None:
    decays = {name: own_decay(name) for name in OPTIMIZERS if own_decay(name) is not None}
    assert decays == {"adamw": 1e-4, "lion": 1e-3}
    assert own_decay("unknown") is None


WRITTEN_OUT = {
    "sgd": lambda: optax.sgd(LR, momentum=None, nesterov=False),
    "momentum": lambda: optax.sgd(LR, momentum=0.9, nesterov=False),
    "adam": lambda: optax.adam(LR, b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0, nesterov=False),
    "adamw": lambda: optax.adamw(
        LR, b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0, weight_decay=1e-4, nesterov=False
    ),
    "rmsprop": lambda: optax.rmsprop(
        LR, decay=0.9, eps=1e-8, initial_scale=0.0, eps_in_sqrt=True, centered=False,
        momentum=None, nesterov=False, bias_correction=False,
    ),
    "adagrad": lambda: optax.adagrad(LR, initial_accumulator_value=0.1, eps=1e-7),
    "lion": lambda: optax.lion(LR, b1=0.9, b2=0.99, weight_decay=1e-3),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_a_name_is_optax_with_every_option_written_out(name: str) -> None:
    start = np.array([1.0, -0.5], np.float32)
    ends = []
    for optimizer in (named(name, LR), WRITTEN_OUT[name]()):
        x, state = start, optimizer.init(start)
        for _ in range(5):
            gradient = jax.grad(lambda x: ((x - 0.3) ** 2).sum())(x)
            updates, state = optimizer.update(gradient, state, x)
            x = x + updates
        ends.append(np.asarray(x))
    np.testing.assert_array_equal(*ends)


def test_the_run_says_the_decay_that_acted(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thetahat: Any
) -> None:
    from thetahat.store import open_store

    monkeypatch.chdir(tmp_path)
    for name, more in (("adamw", []), ("adamw", ["--weight-decay=0"]), ("lion", []), ("adam", [])):
        words = ["fit", table, "--target=y", "--model=linear", f"--optimizer={name}", "--quiet"]
        assert thetahat(*words, "--epochs=1", *more)[0] == 0
    with open_store(create=False) as store:
        assert [run.config["weight_decay"] for run in store.runs()] == [1e-4, 0.0, 1e-3, 0.0]
