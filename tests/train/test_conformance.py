"""One suite for every backend: the engine and a naive loop give the same runs, bit for bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from naive import NaiveProgram
from numpy_backend import Descent, NumpyLinear
from small import draw, parts
from torch_line import line

import thetahat as th
from thetahat.train import Hyper, Interrupt, Program
from thetahat.train._driver import Clock, Driver  # below the front door: no Session
from thetahat.train.jax import _padding, prepare  # padding has no public name

STANDARD_PROGRAMS = True


def engine(task: th.Task) -> Any:
    """The compiled backend, or the one that the task's model names."""
    return prepare(lambda _: task, Hyper({}, {}), 1, "exact")


def task(**fields: Any) -> th.Task:
    """A net, minibatches with a short tail, a schedule and a metric."""
    base = th.Task(
        th.models.MLP(2, width=8, depth=2, activation="tanh", seed=3),
        parts(80),
        optimizer=optax.adam(optax.exponential_decay(0.02, 10, 0.9)),
        epochs=12,
        batch_size=16,
        metrics={"at_one": lambda h: h(jnp.ones(2))},
    )
    return dataclasses.replace(base, **fields)


def weighted() -> th.Data:
    """Parts with sample weights."""
    obs = draw(80)
    weight = np.linspace(0.5, 2, 80).astype(np.float32)
    whole = th.Observations(obs.x, obs.y, weight)
    return th.Data(whole[:50], whole[50:65], whole[65:])


def within(h: Any, z: Any) -> Any:
    """Whether the prediction is near: the share of these rises while the risk falls."""
    return jnp.abs(h(z.x) - z.y) < 0.3


TASKS = {
    "tail": task(),
    "full batch": task(batch_size=None),
    "sequential": task(sampling="sequential", batch_size=5),
    "replacement": task(sampling="replacement", batch_size=7),
    "weights": task(data=weighted()),
    "penalty": task(penalty=lambda p: 0.1 * sum(jnp.sum(l["kernel"] ** 2) for l in p["layers"])),
    "momentum": task(optimizer=optax.sgd(0.05, momentum=0.9), batch_size=10),
    "huber": task(loss="huber"),
    "no validation": task(data=th.Data(parts(80).train)),
    "patience": task(stopping=(th.Patience(2),), optimizer=optax.sgd(0.3), epochs=60),
    "diverging": task(optimizer=optax.sgd(1e5), epochs=30),
    "metrics": task(metrics={"within": th.Metric(within, mode="max")}),
    "best by a metric": task(
        metrics={"within": th.Metric(within, mode="max"), "at_one": lambda h: h(jnp.ones(2))},
        data=weighted(),
        best_by="val_within",
        stopping=th.Patience(4, metric="val_within"),
        epochs=40,
    ),
    "best by f(h)": task(
        metrics={"norm": th.Metric(lambda h: -jnp.abs(h(jnp.ones(2))), mode="max")},
        data=th.Data(parts(80).train),
        best_by="norm",
    ),
    "unmoved": task(optimizer=optax.sgd(0.0), epochs=30),
}


LINEAR = {
    "tail": task(model=NumpyLinear(2), optimizer=Descent(0.02), metrics={}),
    "diverging": task(model=NumpyLinear(2), optimizer=Descent(1e5), metrics={}, epochs=30),
}
TORCH = {
    "tail": task(model=line(), optimizer=optax.adam(0.02), metrics={}, backend="torch"),
    "diverging": task(
        model=line(), optimizer=optax.sgd(1e5), metrics={}, epochs=30, backend="torch"
    ),
}
BACKENDS = [(engine, TASKS), (NaiveProgram, TASKS), (engine, LINEAR), (engine, TORCH)]
NAMES = ["jax", "naive", "numpy", "torch"]
BACKEND = pytest.mark.parametrize(("make", "tasks"), BACKENDS, ids=NAMES)
Make = Callable[[th.Task], Any]


def run(program: Program, epochs: int) -> tuple[Any, dict[str, np.ndarray]]:
    """Drive a program to its end; the records of the epochs it completed."""
    chunks = []
    driver = Driver(program, program.init(), epochs, 0, Clock(), Interrupt(), chunks.append)
    while driver.step():
        pass
    n = int(program.status(driver.state).epochs[0])
    records = {
        k: np.concatenate([c.records[k] for c in chunks], axis=1)[0, :n] for k in program.columns
    }
    return driver.state, records


@pytest.mark.parametrize("name", TASKS)
def test_engine_and_naive_loop_agree_bitwise(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The naive loop pads nothing, and sums of another length round otherwise (test_padding.py).
    monkeypatch.setattr(_padding, "SIZES", ())
    given = TASKS[name]
    outcomes = []
    for make in (engine, NaiveProgram):
        program = make(given)
        state, records = run(program, given.epochs)
        outcomes.append(
            (program.status(state), records, program.evaluate(state, ("train", "val", "test")))
        )
    (fast, fast_records, fast_risks), (slow, slow_records, slow_risks) = outcomes
    for field in dataclasses.fields(fast):
        np.testing.assert_array_equal(getattr(fast, field.name), getattr(slow, field.name))
    assert set(fast_records) == set(slow_records)
    for column, values in fast_records.items():
        if column == "train_within":  # the naive loop sums it in another order
            np.testing.assert_allclose(values, slow_records[column], rtol=1e-6)
            continue
        np.testing.assert_array_equal(values, np.float32(slow_records[column]), err_msg=column)
    assert set(fast_risks) == set(slow_risks)
    for part, value in fast_risks.items():
        np.testing.assert_array_equal(value, slow_risks[part], err_msg=part)


@BACKEND
def test_chunks_do_not_matter(make: Make, tasks: dict[str, th.Task]) -> None:
    program = make(tasks["tail"])
    state = program.init()
    one_by_one = []
    for epoch in range(6):
        state, records = program.advance(state, epoch, 1)
        one_by_one.append(records["val_risk"][0, 0])
    _, records = program.advance(program.init(), 0, 6)
    np.testing.assert_array_equal(records["val_risk"][0], one_by_one)


@BACKEND
def test_a_packed_state_goes_on_bitwise(make: Make, tasks: dict[str, th.Task]) -> None:
    program = make(tasks["tail"])
    state, _ = program.advance(program.init(), 0, 4)
    arrays = {k: v.copy() for k, v in program.pack(state).items()}
    _, straight = program.advance(state, 4, 3)
    fresh = make(tasks["tail"])
    _, resumed = fresh.advance(fresh.unpack(arrays), 4, 3)
    for column, values in straight.items():
        np.testing.assert_array_equal(values, resumed[column], err_msg=column)


@BACKEND
def test_an_ended_member_moves_no_more(make: Make, tasks: dict[str, th.Task]) -> None:
    program = make(tasks["diverging"])
    state, _ = run(program, 30)
    before = program.pack(state)
    state, _ = program.advance(state, 30, 3)
    for name, array in program.pack(state).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
