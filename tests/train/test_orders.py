"""The orders of epochs: by NumPy or by a compiled program, with the same results."""

from __future__ import annotations

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
