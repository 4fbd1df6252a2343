"""TPE: the proposals of Optuna's TPESampler, at a cost that hardly grows with the history."""

from __future__ import annotations

import math
import random
import subprocess
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from thetahat.search import (
    Objective,
    SearchHistory,
    Space,
    Trial,
    make_space,
    sampler,
    trial_values,
)

# Our estimator is compared with Optuna's, number by number.
from thetahat.search._parzen import NEWEST, ParzenStudy
from thetahat.search._trial_arrays import trial_arrays

MIXED = make_space(
    {
        "x": {"min": 0.0, "max": 1.0},
        "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
        "n": {"min": 1, "max": 64},
        "m": {"min": 0, "max": 3},
        "act": {"values": ["relu", "tanh", "gelu"]},
        "one": {"values": [5, 5]},
        "two": {"values": ["a", "b"]},
    }
)
NUMBERS = make_space({k: {"min": 0.0, "max": 1.0} for k in "ab"})
CHOICES = make_space({k: {"values": list("xyz")} for k in "ab"})
METRIC = Objective("f")


def history(space: Space, n: int, seed: int, *, running: int = 0, digits: int = 2) -> list[Trial]:
    """Random trials with values of which some are equal."""
    rng = random.Random(seed)
    configs = sampler("random")(space, SearchHistory(), seed, n).configs
    flying = set(rng.sample(range(n), running))
    return [
        Trial(str(i), config, "running")
        if i in flying
        else Trial(str(i), config, "finished", (round(rng.random(), digits),))
        for i, config in enumerate(configs)
    ]


def optunas_codes(space: Space, codes: Any, losses: Sequence[float], seed: int) -> list[float]:
    """Optuna's own proposal for these trials."""
    given: dict[str, BaseDistribution] = {}
    for i, axis in enumerate(space.searched):
        if axis.choices is None:
            given[f"x{i}"] = FloatDistribution(0.0, 1.0)
        elif axis.choices > 1:
            whole = IntDistribution(0, axis.choices - 1)
            given[f"x{i}"] = whole if axis.ranked else CategoricalDistribution(range(axis.choices))
    tpe = {"seed": seed, "multivariate": True, "constant_liar": True, "n_startup_trials": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(**tpe))
    for code, loss in zip(codes, losses, strict=True):
        params = {n: code[int(n[1:])] for n in given}
        params = {
            n: v if isinstance(given[n], FloatDistribution) else int(v) for n, v in params.items()
        }
        state, value = TrialState.COMPLETE, float(loss)
        if math.isnan(loss):
            state, value = TrialState.RUNNING, None
        known = {"params": params, "distributions": given}
        study.add_trial(optuna.trial.create_trial(state=state, value=value, **known))
    asked = study.ask(given)
    return [asked.params.get(f"x{i}", 0) for i in range(len(space.searched))]


@pytest.mark.parametrize("space", [MIXED, NUMBERS, CHOICES], ids=["mixed", "numbers", "choices"])
@pytest.mark.parametrize("n", [10, 26, 120, NEWEST])
@pytest.mark.parametrize("running", [0, 3])
def test_a_proposal_is_optunas(space: Space, n: int, running: int) -> None:
    for seed in range(3):
        trials = history(space, n, 10 * n + seed, running=running)
        codes, losses = trial_arrays(space, SearchHistory(trials, n, METRIC))
        study = ParzenStudy(space, codes, losses)
        mine = np.array(space.encode(space.config(study.ask(seed))))
        np.testing.assert_allclose(
            mine, optunas_codes(space, codes, losses.tolist(), seed), rtol=0, atol=1e-9
        )


def test_trials_added_in_flight_count_as_those_of_a_history() -> None:
    trials = history(MIXED, 40, 3)
    one = Trial("new", trials[7].config, "running")
    told = ParzenStudy(MIXED, *trial_arrays(MIXED, SearchHistory(trials, 40, METRIC)))
    told.add_running(MIXED.values(one.config))
    known = ParzenStudy(MIXED, *trial_arrays(MIXED, SearchHistory([*trials, one], 41, METRIC)))
    assert [told.ask(k) for k in range(5)] == [known.ask(k) for k in range(5)]


def test_of_a_long_history_the_best_and_the_newest_are_seen() -> None:
    n = 2 * NEWEST
    trials = history(NUMBERS, n, 1, digits=9)
    order = sorted(range(n), key=lambda i: trials[i].values[0])
    best = set(order[:25])
    newest = [i for i in range(n) if i not in best][-NEWEST:]
    seen = [trials[i] for i in sorted({*best, *newest})]

    def asks(some: Sequence[Trial]) -> list[list[Any]]:
        study = ParzenStudy(NUMBERS, *trial_arrays(NUMBERS, SearchHistory(some, n, METRIC)))
        return [study.ask(seed) for seed in range(10)]

    assert asks(trials) == asks(seen)
    assert asks(trials) != asks(trials[-NEWEST:])


def test_arrays_are_the_values_of_trials_however_a_history_changes() -> None:
    rng = random.Random(5)
    configs = [*sampler("random")(MIXED, SearchHistory(), 1, 60).configs, {"x": 0.5}]

    def trial(i: int) -> Trial:
        state: Any = rng.choice(["waiting", "running", "finished", "failed"])
        values = [rng.choice([rng.random(), math.nan, math.inf]) for _ in range(rng.randrange(4))]
        return Trial(str(i), rng.choice(configs), state, values, rng.choice([None, rng.random()]))

    trials: list[Trial] = []
    for step in range(80):
        for i in rng.sample(range(len(trials)), min(len(trials), 3)):
            trials[i] = trial(i)
        trials = [*trials, trial(step)] if rng.random() < 0.9 else trials[: len(trials) // 2]
        for goal in ("minimize", "maximize"):
            how: Any = rng.choice(["latest", "best", "worst"])
            flying: Any = rng.choice(["latest", "best", "worst", "false"])
            metric = Objective("f", goal, impute=how, impute_while_running=flying)
            given = SearchHistory(trials, step, metric)
            codes, losses = trial_arrays(MIXED, given)
            inside = [t for t in trial_values(given) if MIXED.encode(t.trial.config) is not None]
            expected = [math.nan if t.loss is None else t.loss for t in inside]
            np.testing.assert_array_equal(losses, expected)
            for row, each in zip(codes, inside, strict=True):
                assert row.tolist() == MIXED.encode(each.trial.config)


def test_optuna_is_not_loaded_and_not_needed() -> None:
    code = """
import sys
sys.modules["optuna"] = None
from thetahat.search import *
space = make_space({"x": {"min": 0.0, "max": 1.0}})
trials = [Trial(str(i), {"x": i / 20}, "finished", (abs(i / 20 - 0.5),)) for i in range(21)]
found = sampler("tpe")(space, SearchHistory(trials, 21, Objective("f")), 0, 5)
print(sum(abs(config["x"] - 0.5) < 0.25 for config in found))
"""
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, text=True, capture_output=True, check=False, timeout=240)
    assert done.stdout == "5\n", done.stderr
