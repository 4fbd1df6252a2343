"""Which parameters matter: recomputed from the runs by SciPy, statsmodels, Optuna and permutations.

The definition is that of docs/report.md, written out here a second time: Savage's scores of the
settings' medians, the sum of squares between the values of a parameter, less its mean under
permutations, after what other parameters explain was taken out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

import sweeps
import thetahat as th

DRAWS = 10_000
OURS = 999
"""Permutations behind what is printed: its Monte Carlo error is that of so many."""


@dataclass(frozen=True)
class Made:
    """A sweep, what the page says of its parameters, and its settings' medians by pandas."""

    where: Path
    id: str
    grid: bool
    effects: dict[str, dict[str, Any]]
    settings: pd.DataFrame

    @property
    def names(self) -> list[str]:
        return [*self.effects]


@pytest.fixture(params=[True, False], ids=["grid", "random"])
def made(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    thetahat: Callable[..., tuple[int, str, str]],
    page: Callable[..., Any],
) -> Made:
    sweep = sweeps.tuned(tmp_path, grid=request.param)
    said = page(tmp_path, f"/api/sweeps/{sweep}/importance", metric="val_risk", goal="minimize")
    runs = sweeps.raw_runs(thetahat, tmp_path, sweep)
    settings = sweeps.by_setting(runs, ["seed"], "val_risk", 1)
    settings = settings[settings["n"] > 0]
    assert said["n"] == settings["n"].sum()
    assert said["settings"] == len(settings)
    assert sum(said["left_out"].values()) == len(runs) - settings["n"].sum()
    effects = {effect["name"]: effect for effect in said["effects"]}
    return Made(tmp_path, sweep, request.param, effects, settings)


def strata(made: Made, name: str) -> np.ndarray:
    """Settings that differ in one parameter alone, numbered."""
    others = [other for other in made.names if other != name]
    return made.settings.groupby(others).ngroup().to_numpy()


def permutations(values: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Rows of values permuted within strata, (DRAWS, n)."""
    rng = np.random.default_rng(99)
    rows = np.tile(values, (DRAWS, 1))
    for stratum in np.unique(within):
        at = np.flatnonzero(within == stratum)
        rows[:, at] = rng.permuted(rows[:, at], axis=1)
    return rows


def test_rank_correlations_are_scipys(made: Made) -> None:
    for name, effect in made.effects.items():
        if made.settings[name].dtype == object or isinstance(made.settings[name].iloc[0], str):
            assert effect["correlation"] is None
            continue
        right = stats.spearmanr(made.settings[name], made.settings["median"]).statistic
        assert effect["correlation"] == pytest.approx(right, rel=1e-10), name


def bonett_wright(rho: float, n: int, spread: float = 1.0) -> tuple[float, float]:
    """Bonett and Wright (2000), with a standard deviation that is ``spread`` of that of n pairs."""
    half = stats.norm.ppf(0.975) * spread * math.sqrt((1 + rho**2 / 2) / (n - 1 - 2 * spread**2))
    return math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)


def test_intervals_are_bonett_and_wrights(made: Made) -> None:
    n = len(made.settings)
    y = stats.rankdata(made.settings["median"])
    for name, effect in made.effects.items():
        rho = effect["correlation"]
        if rho is None:
            continue
        found = effect["low"], effect["high"]
        whole = bonett_wright(rho, n)
        if not made.grid:
            assert found == pytest.approx(whole, rel=1e-6), name
            continue
        # In a grid other parameters cancel: the spread is that of permutations within strata.
        x = stats.rankdata(made.settings[name])
        drawn = permutations(y - y.mean(), strata(made, name)) @ (x - x.mean())
        spread = drawn.std() / (x.std() * y.std() * n) * math.sqrt(n - 1)
        right = bonett_wright(rho, n, min(1.0, spread))
        assert found == pytest.approx(right, abs=0.01), name
        assert whole[0] - 1e-6 <= found[0] < found[1] <= whole[1] + 1e-6


def explained(made: Made, name: str) -> tuple[float, np.ndarray]:
    """The sum of squares that a parameter explains, and under permutations; shares of the whole."""
    n = len(made.settings)
    # Savage's scores: a_i = 1/i + ... + 1/n of the i-th best; there are no ties.
    place = stats.rankdata(made.settings["median"]).astype(int)
    assert len({*place}) == n
    scores = np.array([sum(1 / j for j in range(i, n + 1)) for i in place])
    centred = scores - scores.mean()
    column = made.settings[name]
    if column.nunique() > n / 2:  # many values: in equal shares
        column = pd.qcut(column, max(4, n // 10), labels=False)
    if made.grid:
        within = strata(made, name)
        left = centred - pd.Series(centred).groupby(within).transform("mean").to_numpy()
    else:
        within = np.zeros(n)
        taken = [other for other in ("lr", "width") if other != name]
        design = pd.get_dummies(made.settings[taken], columns=taken, drop_first=True, dtype=float)
        left = np.asarray(sm.OLS(centred, sm.add_constant(design)).fit().resid)
    bins = pd.get_dummies(column, dtype=float).to_numpy()
    total = centred @ centred

    def between(rows: np.ndarray) -> np.ndarray:
        return ((rows @ bins) ** 2 / bins.sum(0)).sum(-1) / total

    return float(between(left)), between(permutations(left, within))


def test_importance_and_chance_marks_are_those_of_permutations(made: Made) -> None:
    seen, drawn = {}, {}
    for name in made.names:
        seen[name], drawn[name] = explained(made, name)
    above = {name: seen[name] - drawn[name].mean() for name in made.names}
    whole = sum(max(0.0, excess) for excess in above.values())
    # Of what is printed the means have an error, in each share and in their sum.
    errors = {name: 4 * drawn[name].std() / math.sqrt(OURS) for name in made.names}
    slack = sum(errors.values()) / whole
    level = 4 * math.sqrt(0.05 * 0.95 / OURS)
    for name, effect in made.effects.items():
        right = max(0.0, above[name]) / whole
        assert effect["importance"] == pytest.approx(right, abs=2 * slack * right + slack), name
        mean = drawn[name].mean()
        low, high = (
            (np.quantile(drawn[name], q) - mean) / whole for q in (0.95 - level, 0.95 + level)
        )
        assert low * (1 - slack) - slack / 4 <= effect["floor"] <= high * (1 + slack) + slack / 4, (
            name
        )
    assert slack < 0.1, "a tolerance that tells something"
    assert sum(effect["importance"] for effect in made.effects.values()) == pytest.approx(1)
    assert [n for n, e in made.effects.items() if e["importance"] > e["floor"]] == ["lr", "width"]


@pytest.mark.parametrize("peer", ["PedAnova", "Fanova"])
def test_the_order_of_what_matters_is_optunas(made: Made, peer: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    kinds = {
        name: optuna.distributions.FloatDistribution(0, 0.5)
        if name in ("l2", "dropout")
        else optuna.distributions.CategoricalDistribution([*made.settings[name].unique().tolist()])
        for name in made.names
    }
    for row in made.settings[[*made.names, "median"]].to_dict("records"):
        values = {str(name): row[name] for name in made.names}
        trial = optuna.trial.create_trial(
            params=values, distributions=kinds, value=float(row["median"])
        )
        study.add_trial(trial)
    evaluators = {
        # Of the best tenth, its default, there are eight settings: the others' noise is most of it.
        "PedAnova": lambda: optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.3),
        "Fanova": lambda: optuna.importance.FanovaImportanceEvaluator(n_trees=32, seed=1),
    }
    theirs = optuna.importance.get_param_importances(study, evaluator=evaluators[peer]())
    clear = [n for n, e in made.effects.items() if e["importance"] > e["floor"]]
    assert [name for name in theirs if name in clear] == clear
    assert next(iter(theirs)) == clear[0] == "lr"


def percent(cell: str) -> float:
    return float(cell.rstrip("%\\")) / 100


def same_effects(rows: list[list[str]], made: Made) -> None:
    """A table of parameters says what the page says, rounded."""
    told = {row[0].replace("\\", ""): row[1:] for row in rows}
    assert {*told} == {*made.names, "seed"}
    for name, effect in made.effects.items():
        _, importance, chance, correlation = told[name]
        assert percent(importance) == pytest.approx(effect["importance"], abs=0.00501)
        assert percent(chance) == pytest.approx(effect["floor"], abs=0.00501)
        numbers = [float(v) for v in re.findall(r"[+-]\d\.\d+", correlation)]
        right = [effect[key] for key in ("correlation", "low", "high")]
        assert numbers == ([] if right[0] is None else pytest.approx(right, abs=0.00501))


@pytest.mark.parametrize("format", ["md", "html"])
def test_reports_say_what_the_page_says(
    made: Made, format: str, thetahat: Callable[..., tuple[int, str, str]]
) -> None:
    file = made.where / f"report.{format}"
    assert thetahat("report", made.id, f"-o={file}", f"--store={made.where}")[0] == 0
    text = file.read_text(encoding="utf-8").replace("−", "-")
    if format == "md":
        lines = text.split("## Parameters")[1].split("\n\n")[1].splitlines()[2:]
        rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    else:
        part = text.split("<h2>Parameters</h2>")[1].split("</table>")[0]
        rows = [re.findall(r"<td[^>]*>(.*?)</td>", line) for line in part.split("<tr>")[2:]]
    same_effects(rows, made)


def test_the_figure_of_the_notebook_draws_what_the_page_says(made: Made) -> None:
    with th.open_store(made.where) as store:
        (axes,) = th.open_sweep(made.id, store).plot.importance().axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    bars = [bar.get_width() for bar in axes.patches]
    ticks = [float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata())]
    assert [*reversed(names)] == made.names
    assert bars == pytest.approx([made.effects[name]["importance"] for name in names])
    assert ticks == pytest.approx([made.effects[name]["floor"] for name in names])
