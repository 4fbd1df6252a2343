"""A sweep's metric and goal against what its experiment records: said by check, with the line."""

from __future__ import annotations

import numpy as np
import pytest

import thetahat as th
from thetahat.core.signature import read_signature
from thetahat.sweep import Problem, check_metric, notes_of_bands, parse_sweep

made: list[int] = []
"""The epochs of every Task that was made."""


def right(h, z):
    return (h(z.x) > 0) == (z.y > 0.5)


def classifier(lr: float = 0.1, epochs: int = 30, seed: th.Seed = 0) -> th.Task:
    made.append(epochs)
    x = np.linspace(-1, 1, 40, dtype=np.float32)[:, None]
    obs = th.Observations(x, (x[:, 0] > 0).astype(np.float32))
    metrics = {
        "accuracy": th.Metric(right, mode="max"),
        "error": th.Metric(lambda h: 0.0, mode="min"),
        "plain": lambda h: 0.0,
    }
    return th.Task(
        th.models.Linear(1),
        th.Data(obs[:20], obs[20:]),
        loss="logistic",
        metrics=metrics,
        optimizer=th.optim.named("sgd", lr),
        epochs=epochs,
        seed=seed,
    )


def spec_of(metric: str, more: str = "", parameters: str = "  lr: {min: 0.01, max: 1.0}"):
    text = f"method: random\nmetric:\n  {metric}\n{more}parameters:\n{parameters}\n"
    made.clear()
    return parse_sweep(text).require()


def problems(*asked: str) -> list[Problem]:
    return check_metric(spec_of(*asked), read_signature(classifier), classifier)


def notes(*asked: str) -> list[Problem]:
    return notes_of_bands(spec_of(*asked), read_signature(classifier), classifier)


RISK = "val_risk is a risk, and better the smaller it is"
LARGER = 'val_accuracy is better the larger it is (its mode is "max")'


@pytest.mark.parametrize(
    ("metric", "line", "key", "message"),
    [
        ("name: val_risk\n  goal: maximize", 4, "goal", f"{RISK}; write goal: minimize"),
        ("goal: minimize\n  name: val_accuracy", 3, "goal", f"{LARGER}; write goal: maximize"),
        (
            "name: val_accuracy",
            3,
            "name",
            f"{LARGER}; a sweep without goal minimizes; add goal: maximize",
        ),
        (
            "name: error\n  goal: maximize",
            4,
            "goal",
            'error is better the smaller it is (its mode is "min"); write goal: minimize',
        ),
        (
            "name: plain",
            3,
            "name",
            "the direction of 'plain' is unknown, and a sweep without goal minimizes; add goal:"
            ' minimize or goal: maximize, or give the experiment th.Metric(f, mode="max")',
        ),
        (
            "name: accuracy\n  goal: maximize",
            3,
            "name",
            "classifier() does not record 'accuracy'; did you mean 'val_accuracy'?",
        ),
        (
            "name: eror",
            3,
            "name",
            "classifier() does not record 'eror'; did you mean 'error'?",
        ),
        (
            "name: test_accuracy\n  goal: maximize",
            3,
            "name",
            "classifier() does not record 'test_accuracy'; give the data a test part",
        ),
    ],
)
def test_a_metric_that_the_experiment_contradicts_is_an_error(metric, line, key, message) -> None:
    assert problems(metric) == [Problem(line, f"metric.{key}", message)]


@pytest.mark.parametrize(
    "metric",
    [
        "name: val_risk",
        "name: test_risk\n  goal: minimize",
        "name: val_accuracy\n  goal: maximize",
        "name: error",
        "name: plain\n  goal: maximize",
        "name: learning_rate",
    ],
)
def test_a_metric_that_agrees_is_fine(metric) -> None:
    assert problems(metric) == []


def test_early_termination_by_a_test_metric_is_an_error() -> None:
    early = "early_terminate: {type: hyperband, min_iter: 3}\n"
    message = (
        "early_terminate judges runs as they train, and test_risk is known only at their end;"
        " name a metric of the validation part, such as val_risk"
    )
    assert problems("name: test_risk", early) == [Problem(3, "metric.name", message)]


def test_a_risk_costs_no_task() -> None:
    assert problems("name: val_risk") == []
    assert made == []


def test_an_experiment_that_raises_is_not_judged() -> None:
    def broken(lr: float = 0.1) -> th.Task:
        raise ValueError("no such file")

    assert check_metric(spec_of("name: gap"), read_signature(broken), broken) == []


def test_bands_that_no_run_reaches_are_said() -> None:
    said = "early_terminate: {type: hyperband, min_iter: 100}\n"
    message = (
        "the first band is at epoch 100, and runs end after 30 epochs at most: no run will be"
        " stopped early; write bands below the epochs, such as min_iter: 3"
    )
    assert notes("name: val_risk", said) == [Problem(4, "early_terminate", message)]
    some = "early_terminate: {type: hyperband, max_iter: 90, s: 2}\n"
    message = (
        "max_iter is 90, and runs end after 30 epochs at most: the bands beyond are never reached;"
        " write max_iter: 30"
    )
    assert [p.message for p in notes("name: val_risk", some)] == [message]


@pytest.mark.parametrize(
    ("bands", "parameters", "said"),
    [
        ("min_iter: 30", "lr: {value: 0.1}", "epoch 30, and runs end after 30 epochs"),
        ("min_iter: 60", "epochs: {values: [10, 50]}", "epoch 60, and runs end after 50 epochs"),
        ("min_iter: 9", "epochs: {value: 8}", "epoch 9, and runs end after 8 epochs"),
        ("min_iter: 29", "lr: {value: 0.1}", None),
    ],
)
def test_bands_are_held_against_the_epochs_of_every_run(bands, parameters, said) -> None:
    found = notes(
        "name: val_risk", f"early_terminate: {{type: hyperband, {bands}}}\n", f"  {parameters}"
    )
    assert [problem.key for problem in found] == ["early_terminate"] * (said is not None)
    assert all(said in problem.message for problem in found)


def test_bands_below_the_epochs_of_some_run_are_fine() -> None:
    said = "early_terminate: {type: hyperband, min_iter: 100}\n"
    values = "  epochs: {values: [10, 20, 1000]}"
    assert notes("name: val_risk", said, values) == []
    assert notes("name: val_risk", said.replace("100", "3")) == []
    assert notes("name: val_risk") == []


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("name: accuracy", True),
        ("name: eval/F1", True),
        ("name: meanReward", True),
        ("name: val_r2", True),
        ("name: accuracy\n  goal: maximize", False),
        ("name: reward\n  goal: minimize", False),
        ("name: val_loss", False),
        ("name: accuracy_loss", False),
        ("name: map_error", False),
        ("name: accelerated", False),
    ],
)
def test_a_metric_that_reads_as_larger_is_noted_where_no_goal_is_written(metric, said) -> None:
    notes = parse_sweep(f"method: grid\nmetric:\n  {metric}\nparameters: {{a: {{value: 1}}}}").notes
    name = metric.split()[1]
    message = (
        f"the file has no goal, so the sweep minimizes {name}; write goal: maximize, or goal:"
        " minimize if less is better"
    )
    assert (Problem(3, "metric.name", message) in notes) == said
    assert any("has no goal" in problem.message for problem in notes) == said
