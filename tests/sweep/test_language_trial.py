"""Whole numbers at which an experiment makes no Task: said by check, before anything runs."""

from __future__ import annotations

import numpy as np
import pytest

import thetahat as th
from thetahat.core.signature import read_signature
from thetahat.sweep import Problem, notes_of_trials, parse_sweep

# The memory of the machine is simulated.
from thetahat.train import _memory

made: list[int] = []
"""The epochs of every Task that was asked for."""


def line(
    lr: float = 0.1, width: int = 4, epochs: int = 3, most: int | None = None, seed: th.Seed = 0
) -> th.Task:
    """A small net; ``lr`` is one that Python must know."""
    made.append(epochs)
    x = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
    model = th.models.MLP(1, width=width, depth=2, seed=seed)
    optimizer = th.optim.named("sgd", float(lr))
    size = most if most is not None else 4
    data = th.Data((x, 2 * x[:, 0]))
    return th.Task(model, data, optimizer=optimizer, epochs=epochs, batch_size=size, seed=seed)


def notes(parameters: str, experiment=line) -> list[Problem]:
    made.clear()
    spec = parse_sweep(f"method: grid\nparameters:\n{parameters}").require()
    return notes_of_trials(spec, read_signature(experiment), experiment)


def test_the_extremes_of_what_looks_odd_are_tried() -> None:
    found = notes("  lr: {values: [0.1, 0.2]}\n  epochs: {values: [0, -3, 2]}\n")
    assert found == [
        Problem(
            4,
            "parameters.epochs",
            f"runs with epochs={n} will fail: epochs={n}; give an integer of at least 1",
        )
        for n in (-3, 0)
    ]
    assert notes("  epochs: {value: 0}\n")[0].message.startswith("runs with epochs=0 will fail: ")
    assert notes("  most: {values: [0, 4]}\n")[0].message.startswith("runs with most=0 will fail")


def test_a_width_that_no_memory_holds_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "total_memory", lambda: 25.3e9)
    (found,) = notes("  width: {values: [8, 3000000, 2000]}\n")
    assert found.key == "parameters.width"
    assert "runs with width=3000000 will fail: the model of this fit cannot be held" in (
        found.message
    )


@pytest.mark.parametrize(
    "parameters",
    [
        "  lr: {values: [0.0, -1.0]}\n  width: {values: [1, 64]}\n",
        "  seed: {values: [0, 1]}\n  epochs: {min: 1, max: 100}\n",
    ],
)
def test_files_without_such_numbers_cost_no_trial(parameters) -> None:
    assert notes(parameters) == []
    assert made == []


def test_values_are_not_blamed_for_what_fails_without_them() -> None:
    def broken(epochs: int = 3) -> th.Task:
        raise th.core.DataError("no such file")

    assert notes("  epochs: {values: [0, 2]}\n", broken) == []


def test_odd_numbers_that_work_are_fine() -> None:
    def shifted(lag: int = 1, epochs: int = 3) -> th.Task:
        return line(epochs=epochs + abs(lag))

    assert notes("  lag: {values: [-2, 0, 2]}\n", shifted) == []
    assert set(made) == {5, 3}
