"""Whether seeds share the order of their batches is recorded with each run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thetahat as th
from thetahat.core import Ended

DATA = th.split(th.dgp.linear(N=60, M=2, sigma=0.1, seed=0), train=40, val=20, test=0, seed=0)


def experiment(sampling: Any, batch: int | None = 8) -> Any:
    def fit(lr: float = 0.1, seed: th.Seed = 0) -> th.Task:
        return th.Task(
            th.models.Linear(2, start="zeros"),
            DATA,
            optimizer=th.optim.named("sgd", lr),
            epochs=3,
            batch_size=batch,
            sampling=sampling(seed) if callable(sampling) else sampling,
            seed=seed,
        )

    return fit


def orders(made: Any, *configs: dict) -> list[str | None]:
    return fitted(made, *configs)[0]


def fitted(made: Any, *configs: dict) -> tuple[list[str | None], Any]:
    """Fit configs together: what is recorded of their orders, and their results."""
    found: list[str | None] = []

    def listen(event: Any) -> None:
        if isinstance(event, Ended):
            found.append(event.detail.get("batch_order"))

    results = th.fit_many(made, configs, trackers=[listen])
    return found, results


@pytest.mark.parametrize(
    ("sampling", "batch", "said"),
    [
        ("shuffle", 8, "shared"),
        ("replacement", 8, "shared"),
        ("replacement", None, "shared"),
        (th.Shuffle(seed=5), 8, "shared"),
        (lambda seed: th.Shuffle(seed=seed), 8, "own"),
        (th.Shuffle(), 8, "own"),
        ("shuffle", None, None),
        ("sequential", 8, None),
        ("full", 8, None),
    ],
)
def test_what_is_recorded_is_what_happens(sampling: Any, batch: Any, said: str | None) -> None:
    made = experiment(sampling, batch)
    recorded, (first, other) = fitted(made, {"seed": 0}, {"seed": 7})
    assert recorded == [said, said]
    assert orders(made, {"seed": 7}) == [said]
    # From zero, nothing but the order can tell two seeds apart.
    alike = np.array_equal(first.params["kernel"], other.params["kernel"])
    assert alike == (said != "own")


def test_nothing_is_said_where_there_is_no_seed() -> None:
    def seedless(lr: float = 0.1) -> th.Task:
        return th.Task(th.models.Linear(2), DATA, epochs=2, batch_size=8)

    assert orders(seedless, {"lr": 0.1}) == [None]


def test_nothing_is_said_of_an_order_whose_seed_python_must_know() -> None:
    def static(seed: th.Seed = 0) -> th.Task:
        rng = int(seed)
        return th.Task(
            th.models.Linear(2), DATA, epochs=2, batch_size=8, sampling=th.Shuffle(seed=rng)
        )

    with pytest.warns(th.Notice):
        assert orders(static, {"seed": 1}) == [None]
