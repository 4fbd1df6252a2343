"""Spaces, grids, quantiles and Hyperband against the numbers of W&B's own package (README.md)."""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from thetahat.core import ConfigError
from thetahat.search import (
    Hyperband,
    Objective,
    SearchHistory,
    Trial,
    make_space,
    read_distribution,
    sampler,
    stop,
    trial_values,
)

HERE = Path(__file__).parent
QUANTILES = (0.001, 0.05, 0.25, 0.37, 0.5, 0.66, 0.75, 0.9, 0.999)
STATES = {"crashed": "failed", "pending": "waiting"}

KINDS = {
    "param_single_value": "constant",
    "param_categorical": "categorical",
    "param_categorical_w_probabilities": "categorical_w_probabilities",
    "param_int_uniform": "int_uniform",
    "param_uniform": "uniform",
    "param_loguniform": "log_uniform",
    "param_loguniform_v2": "log_uniform_values",
    "param_inv_loguniform": "inv_log_uniform",
    "param_inv_loguniform_v2": "inv_log_uniform_values",
    "param_quniform": "q_uniform",
    "param_qloguniform": "q_log_uniform",
    "param_qloguniform_v2": "q_log_uniform_values",
    "param_normal": "normal",
    "param_qnormal": "q_normal",
    "param_lognormal": "log_normal",
    "param_qlognormal": "q_log_normal",
    "param_beta": "beta",
    "param_qbeta": "q_beta",
}


def reference(name: str) -> Any:
    return json.loads(gzip.decompress((HERE / name).read_bytes()))


SPACES = reference("spaces.json.gz")
HISTORIES = reference("histories.json.gz")


def typed(value: Any) -> Any:
    """A value with its kind, so that 1, 1.0 and True are told apart."""
    if isinstance(value, dict):
        return {k: typed(v) for k, v in value.items()}
    if isinstance(value, list):
        return [typed(v) for v in value]
    return (type(value).__name__, value)


def test_there_are_enough_references() -> None:
    assert len(SPACES) >= 200
    assert len(HISTORIES["stops"]) >= 200
    assert sum("grid" in s for s in SPACES) >= 100
    kinds = Counter(row["type"] for s in SPACES for row in s["quantiles"])
    assert set(kinds) == set(KINDS) - {"param_single_value"}
    assert min(kinds.values()) >= 3
    sizes = [len(case["stopped"]) for case in HISTORIES["stops"]]
    assert sum(size > 0 for size in sizes) >= 50


@pytest.mark.parametrize("case", [s for s in SPACES if "grid" in s])
def test_grids_run_in_the_same_order(case: dict[str, Any]) -> None:
    space, expected = make_space(case["parameters"]), case["grid"]
    found = sampler("grid")(space, SearchHistory(), 0, 61 if expected["whole"] else 60)
    assert typed(found.configs) == typed(expected["order"])
    assert found.exhausted == (space.size == len(expected["order"]))
    assert not expected["whole"] or found.exhausted


@pytest.mark.parametrize("case", [s for s in SPACES if "grid" in s])
def test_grids_go_on_with_the_same_points(case: dict[str, Any]) -> None:
    space, expected = make_space(case["parameters"]), case["grid"]
    trials = [Trial(str(i), c, "finished") for i, c in enumerate(expected["done"])]
    left = sampler("grid")(space, SearchHistory(trials), 0, 4)
    assert typed(left.configs) == typed([c for c in expected["left"] if c is not None])


@pytest.mark.parametrize("case", SPACES)
def test_distributions_have_the_same_quantiles(case: dict[str, Any]) -> None:
    space = make_space(case["parameters"])
    assert [list(d.path) for d in space.searched] == [row["path"] for row in case["quantiles"]]
    for dimension, row in zip(space.searched, case["quantiles"], strict=True):
        assert dimension.distribution.kind == KINDS[row["type"]]
        for u, expected in zip(QUANTILES, row["ppf"], strict=True):
            found = dimension.distribution.ppf(u)
            if isinstance(expected, float):
                assert isinstance(found, float)
                assert found == pytest.approx(expected, rel=1e-9, abs=1e-12), (u, row)
            else:
                assert typed(found) == typed(expected), (u, row)
        for x, expected in zip(row["ppf"], row.get("cdf", ()), strict="cdf" in row):
            if expected is not None:
                found = dimension.distribution.cdf(x)
                assert found == pytest.approx(expected, rel=1e-9, abs=1e-12), (x, row)


@pytest.mark.parametrize("case", HISTORIES["stops"])
def test_hyperband_stops_the_same_runs(case: dict[str, Any]) -> None:
    section = {k: v for k, v in case["early_terminate"].items() if k != "type"}
    hyperband, metric = Hyperband(**section), Objective(**case["metric"])
    trials = as_trials(case["runs"])
    assert stop(trials, hyperband, metric) == set(case["stopped"])
    if case["bands"]:
        assert hyperband.bands(upto=10**6 - 1) == tuple(case["bands"])


@pytest.mark.parametrize("case", HISTORIES["imputed"])
def test_bayes_learns_from_the_same_values(case: dict[str, Any]) -> None:
    metric, trials = Objective(**case["metric"]), as_trials(case["runs"])
    found = trial_values(SearchHistory(trials, metric=metric))
    if any(unlike_there(t, metric) for t in trials) or not any(
        t.extremes for t in trials if t.over
    ):
        # There, what has no value to be imputed from counts as 0.0; here it does not.
        assert all(t.loss is None or math.isfinite(t.loss) for t in found)
        return
    assert [t.loss for t in found if t.loss is not None] == case["losses"]
    assert sum(t.loss is None for t in found) == case["flying"]


def test_most_histories_are_compared_whole() -> None:
    compared = 0
    for case in HISTORIES["imputed"]:
        metric, trials = Objective(**case["metric"]), as_trials(case["runs"])
        different = any(unlike_there(t, metric) for t in trials)
        compared += not different and any(t.extremes for t in trials if t.over)
    assert compared >= 100


def unlike_there(trial: Trial, metric: Objective) -> bool:
    """Whether W&B takes this trial's value to be 0.0, because it logged nothing finite."""
    how = metric.impute if trial.over else metric.impute_while_running
    nothing = not trial.finite if how == "latest" else trial.extremes is None
    return trial.state != "waiting" and how in ("best", "latest") and nothing


def as_trials(runs: list[dict[str, Any]]) -> list[Trial]:
    return [
        Trial(r["name"], {}, STATES.get(r["state"], r["state"]), tuple(r["values"]), r["summary"])  # type: ignore[arg-type]
        for r in runs
    ]


@pytest.mark.parametrize("case", reference("kinds.json.gz"))
def test_keys_mean_the_same_distribution(case: dict[str, Any]) -> None:
    try:
        kind = read_distribution(case["given"]).kind
    except ConfigError:
        kind = None
    expected = None if case["type"] is None else KINDS[case["type"]]
    if kind is None and expected is not None:
        assert refused_on_purpose(case["given"])
    else:
        assert kind == expected, case["given"]


def refused_on_purpose(given: dict[str, Any]) -> bool:
    """What W&B's schema lets through and its samplers answer with nan, an infinity or an error."""
    flat = [given.get(k) for k in ("sigma", "a", "b")]
    endless = [v for v in given.values() if isinstance(v, float) and math.isinf(v)]
    no_sum = abs(sum(given.get("probabilities", [1.0])) - 1) > 1e-5
    lengths = len(given.get("probabilities", ())) not in (0, len(given.get("values", ())))
    return 0 in flat or bool(endless) or no_sum or lengths
