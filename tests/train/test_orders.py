"""The orders of epochs: by NumPy or by a compiled program, with the same results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import optax
import pytest

import thetahat as th

# Which orders were compiled shows in no result.
from thetahat.train.jax import _orders

STANDARD_PROGRAMS = True


def task(epochs: int, sampling: str = "shuffle") -> th.Task:
    data = th.split(th.dgp.linear(90, 2, 0.1, seed=1), train=0.6, val=0.2, test=0.2, seed=1)
    model = th.models.Linear(2)
    given = {"batch_size": 8, "seed": 3, "sampling": sampling}
    return th.Task(model, data, optimizer=optax.sgd(0.05), epochs=epochs, **given)


@pytest.mark.parametrize("epochs", [1, 7, 40])
def test_a_fit_has_the_same_bits_whichever_way_makes_its_orders(
    monkeypatch: pytest.MonkeyPatch, epochs: int
) -> None:
    made = []
    monkeypatch.setattr(
        _orders, "_compiled_orders", lambda *a, f=_orders._compiled_orders: made.append(a) or f(*a)
    )
    monkeypatch.setattr(_orders, "_made", type(_orders._made)())
    host = th.fit(task(epochs))
    assert made == []
    monkeypatch.setattr(_orders, "WORTH", 1)
    compiled = th.fit(task(epochs))
    assert made
    for name, column in host.history.items():
        if name != "seconds":
            np.testing.assert_array_equal(column, compiled.history[name], name)


def test_orders_are_compiled_when_a_process_has_made_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_orders, "_made", type(_orders._made)())
    monkeypatch.setattr(_orders, "WORTH", 5 * 100)
    found = []
    for _ in range(4):
        orders = _orders.Orders(0, 50, "shuffle", 16)
        orders.begin(3)
        found.append(orders.compiles)
    assert found == [False, False, False, True]


def test_random_draws_of_rows_train_as_before() -> None:
    result = th.fit(task(3, "replacement"))
    assert np.isfinite(result.history["train_risk"]).all()


def own_order(seed: th.Seed = 0, epochs: int = 5) -> th.Task:
    return replace(task(epochs), sampling=th.Shuffle(seed=3 * seed + 1), seed=seed)


@pytest.mark.parametrize("worth", [1, 10**12])
def test_members_with_an_order_each_train_as_alone(
    monkeypatch: pytest.MonkeyPatch, worth: int
) -> None:
    monkeypatch.setattr(_orders, "_made", type(_orders._made)())
    monkeypatch.setattr(_orders, "WORTH", worth)
    configs = [{"seed": seed} for seed in (0, 5, 2)]
    together = th.fit_many(own_order, configs, mode="exact")
    for config, member in zip(configs, together, strict=True):
        np.testing.assert_array_equal(
            member.history["train_risk"], th.fit(own_order, **config).history["train_risk"]
        )


@pytest.mark.parametrize("mode", ["vmap", "exact"])
def test_members_have_the_same_bits_wherever_their_own_orders_are_made(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    configs = [{"seed": seed} for seed in (0, 5, 2)]
    asked = []
    made = _orders._compiled_own_orders
    monkeypatch.setattr(_orders, "_compiled_own_orders", lambda *a: asked.append(a) or made(*a))

    def params(before: int, worth: int) -> list[np.ndarray]:
        monkeypatch.setattr(_orders, "_made", {(3, 54, "shuffle"): before})
        monkeypatch.setattr(_orders, "WORTH", worth)
        return [member.params for member in th.fit_many(own_order, configs, mode=mode)]

    by_numpy = params(0, 10**12)
    assert not asked
    by_a_program = params(10**12, 10**12)
    assert asked
    asked.clear()
    in_the_epochs = params(0, 1)
    assert not asked
    for a, b, c in zip(by_numpy, by_a_program, in_the_epochs, strict=True):
        np.testing.assert_equal([a, a], [b, c])


def test_a_member_visits_its_observations_in_the_order_that_its_seed_names() -> None:
    """One observation a step and a rate of one half: the last step sets h to the mean of two."""
    y = np.arange(40.0, dtype=np.float32)

    def constant(seed: th.Seed = 0) -> th.Task:
        model = (lambda key: np.zeros((), np.float32), lambda params, x: params)
        data = th.Data((np.zeros((40, 1), np.float32), y))
        return th.Task(
            model,
            data,
            optimizer=optax.sgd(0.25),
            epochs=2,
            batch_size=1,
            sampling=th.Shuffle(seed=seed),
        )

    configs = [{"seed": seed} for seed in (4, 9)]
    for config, member in zip(configs, th.fit_many(constant, configs, mode="vmap"), strict=True):
        h = 0.0
        for epoch in range(2):
            for k in np.asarray(th.data.order(config["seed"], epoch, 40)):
                h += 0.5 * (float(y[k]) - h)
        assert float(member.params) == pytest.approx(h, rel=1e-5)
