"""Simulated sweeps: an irrelevant parameter clears its mark, or has a correlation, in one of 20."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pytest
from scipy import stats

from thetahat.analysis import effects

# The interval is compared with scikit-learn and SciPy without a store of runs.
from thetahat.analysis._correlation import interval
from thetahat.search import Hyperband, Objective, Trial, stop

SWEEPS = 500


@dataclass(frozen=True)
class Sweep:
    """How a sweep is sampled, what its metric rests on, and what ``z`` is, which is irrelevant."""

    design: str = "random"
    n: int = 60
    replicates: int = 1
    metric: str = "noise"
    ties: str = ""
    failures: bool = False
    z: str = "continuous"

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, list[Any]], list[float]]:
        """The columns of its runs that gave a number, and their metric."""
        columns = self._columns(rng)
        columns = {name: np.repeat(x, self.replicates) for name, x in columns.items()}
        values = (
            risk(columns["x"], rng) if self.metric == "x" else rng.normal(size=columns["x"].size)
        )
        if self.ties:
            values = np.where(values > np.median(values), 1.0, 0.95)
        # Runs fail where the relevant parameter is large.
        lost = np.where(columns["x"] > 0.6, 0.5, 0.05) if self.failures else 0.0
        kept = rng.random(values.size) >= lost
        return {name: x[kept].tolist() for name, x in columns.items()}, values[kept].tolist()

    def _columns(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        if self.design == "grid":
            x, z, other = (a.ravel() for a in np.meshgrid(*map(np.arange, (5, 3, 3))))
            names = np.array(["a", "b", "c"])
            return {"x": x / 4, "z": names[z] if self.z == "words" else z, "other": other}
        if self.design == "guided":
            x, z = guided(self.n, rng).T
            return {"x": x, "z": z}
        z = {
            "continuous": rng.random(self.n),
            "integer": rng.integers(1, 20, self.n),
            "binary": rng.integers(0, 2, self.n),
            "words": np.array(["a", "b", "c", "d"])[rng.integers(0, 4, self.n)],
        }[self.z]
        return {"x": rng.random(self.n), "z": z}


def risk(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A metric that ``x`` decides but for a little noise."""
    return 10 * (x - 0.3) ** 2 + 0.3 * rng.normal(size=x.size)


def guided(n: int, rng: np.random.Generator) -> np.ndarray:
    """Settings as a search draws them that follows its results: most lie near the best so far."""
    settings = rng.random((n, 2))
    seen = np.zeros(n)
    for i in range(n):
        if i >= 8 and rng.random() < 0.8:
            best = np.argsort(seen[:i])[: max(2, i // 8)]
            settings[i] = np.clip(settings[rng.choice(best)] + 0.12 * rng.normal(size=2), 0, 1)
        seen[i] = risk(settings[i, :1], rng)[0]
    return settings


SWEEPS_OF = {
    "nothing matters": Sweep(),
    "ten replicates of 12 settings": Sweep(n=12, replicates=10),
    "five replicates, failures": Sweep(n=40, replicates=5, metric="x", failures=True, z="integer"),
    "two values of the metric": Sweep(metric="x", ties="two", failures=True, z="binary"),
    "words": Sweep(metric="x", failures=True, z="words"),
    "grid": Sweep("grid", metric="x"),
    "grid of equal accuracies": Sweep("grid", ties="two", z="words"),
    "grid of five replicates, failures": Sweep("grid", replicates=5, metric="x", failures=True),
    "grid of one replicate, failures": Sweep("grid", metric="x", failures=True),
    "ten replicates, two values, failures": Sweep(
        n=40, replicates=10, metric="x", ties="two", failures=True, z="integer"
    ),
    "grid of ten replicates, two values, failures": Sweep(
        "grid", replicates=10, ties="two", failures=True
    ),
    "guided": Sweep("guided", metric="x"),
}


@pytest.mark.parametrize("kind", SWEEPS_OF)
def test_an_irrelevant_parameter_looks_relevant_in_one_sweep_of_twenty(kind: str) -> None:
    sweep, rng = SWEEPS_OF[kind], np.random.default_rng(7)
    cleared, excluded = [], []
    for _ in range(SWEEPS):
        blind = sweep.design != "guided"
        [z] = [e for e in effects(*sweep.draw(rng), 1, blind=blind) if e.name == "z"]
        assert blind or (z.correlation is not None and z.low is None and z.high is None)
        cleared.append(z.floor is not None and (z.importance or 0.0) > z.floor)
        if z.low is not None and z.high is not None:
            excluded.append(not z.low <= 0 <= z.high)
    if sweep.design == "guided":
        # It moves parameters together: what the other does is taken out as far as a fit can.
        assert 0.02 <= np.mean(cleared) <= 0.09
        return
    assert 0.03 <= np.mean(cleared) <= 0.07
    if sweep.z != "words":
        assert 0.03 <= np.mean(excluded) <= 0.07


def stopped(points: np.ndarray, rng: np.random.Generator) -> list[float]:
    """The last value of each run, one after the other, where Hyperband stops runs: x decides."""
    trials: list[Trial] = []
    for i, x in enumerate(points[:, 0]):
        values = risk(np.array([x]), rng) + 5 * np.exp(-np.arange(1, 28) / 8)
        values += 0.1 * rng.normal(size=27)
        for band in (3, 9, 27):
            trial = Trial(str(i), {}, "running", values[:band].tolist())
            if trial.id in stop([*trials, trial], Hyperband(min_iter=3), Objective("loss")):
                break
        trials.append(trial)
    return [trial.finite[-1] for trial in trials]


@pytest.mark.parametrize("design", ["random", "shuffled grid", "grid"])
def test_hyperband_leaves_chance_as_it_is_but_in_a_grid_in_its_order(design: str) -> None:
    rng = np.random.default_rng(3)
    cleared, excluded = [], []
    # In its order intervals exclude zero four times as often: fewer sweeps show it.
    for _ in range(100 if design == "grid" else 300):
        points = np.array(list(itertools.product(range(4), range(5), range(3)))) / 4
        points = points[:, [1, 0, 2]]
        if design == "random":
            points = rng.random(points.shape)
        elif design == "shuffled grid":
            points = rng.permutation(points)
        columns = dict(zip("xzo", points.T.tolist(), strict=True))
        [z] = [e for e in effects(columns, stopped(points, rng), 1) if e.name == "z"]
        assert z.low is not None and z.high is not None
        cleared.append(z.floor is not None and (z.importance or 0.0) > z.floor)
        excluded.append(not z.low <= 0 <= z.high)
    if design == "grid":
        assert np.mean(excluded) > 0.1, "that is why no interval is given"
    else:
        assert 0.03 <= np.mean(cleared) <= 0.07
        assert 0.03 <= np.mean(excluded) <= 0.07


@pytest.mark.parametrize("n", [10, 30, 100])
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 0.95])
@pytest.mark.parametrize("levels", [None, 10])
def test_rank_correlation_intervals_cover_in_95_of_100(
    n: int, rho: float, levels: int | None
) -> None:
    rng, normal = np.random.default_rng(11), 2 * np.sin(np.pi * rho / 6)
    pairs = rng.multivariate_normal([0, 0], [[1, normal], [normal, 1]], (6000, n))
    truth = rho
    if levels is not None:
        cuts = stats.norm.ppf(np.arange(1, levels) / levels)
        many = rng.multivariate_normal([0, 0], [[1, normal], [normal, 1]], 400_000)
        truth = stats.spearmanr(*np.digitize(many, cuts).T).statistic
        pairs = np.digitize(pairs, cuts)
    ranks = stats.rankdata(pairs, axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    x, y = ranks[..., 0], ranks[..., 1]
    found = (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))
    limits = [interval(r, n) or (0.0, 0.0) for r in found.tolist()]
    cover = np.mean([low <= truth <= high for low, high in limits])
    assert 0.93 <= cover <= 0.97


def decisive(seed: int) -> tuple[dict[str, list[float]], list[float]]:
    """A binary parameter that decides everything beside four that decide nothing."""
    rng = np.random.default_rng(seed)
    columns = {"binary": rng.integers(0, 2, 100).astype(float)}
    columns |= {f"noise{k}": rng.random(100) for k in range(4)}
    values = columns["binary"] + 0.1 * rng.normal(size=100)
    return {name: x.tolist() for name, x in columns.items()}, values.tolist()


def test_a_decisive_binary_parameter_comes_first() -> None:
    first = [effects(*decisive(seed), 1)[0] for seed in range(30)]
    assert sum(effect.name == "binary" for effect in first) >= 27
    assert all((effect.importance or 0.0) > 0.5 for effect in first)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("peer", ["PedAnova", "Fanova"])
def test_the_ranking_is_that_of_optunas_evaluators(seed: int, peer: str) -> None:
    if peer == "Fanova":
        pytest.importorskip("sklearn")
    rng = np.random.default_rng(seed)
    columns = {name: rng.random(200).tolist() for name in ("much", "some", "none")}
    values = [
        4 * (a - 0.4) ** 2 + 0.3 * b + 0.02 * e
        for a, b, e in zip(columns["much"], columns["some"], rng.normal(size=200), strict=True)
    ]
    study = optuna.create_study()
    space = {name: optuna.distributions.FloatDistribution(0, 1) for name in columns}
    for i, value in enumerate(values):
        point = {name: column[i] for name, column in columns.items()}
        study.add_trial(optuna.create_trial(params=point, distributions=space, value=value))
    ours = [effect.name for effect in effects(columns, values, 1)]
    evaluator = getattr(optuna.importance, f"{peer}ImportanceEvaluator")()
    peers = optuna.importance.get_param_importances(study, evaluator=evaluator)
    assert ours == ["much", "some", "none"] == list(peers)


def test_accuracies_of_one_or_95_at_random_say_nothing_in_most_grids() -> None:
    rng = np.random.default_rng(0)
    some = 0
    for _ in range(100):
        found = effects(*Sweep("grid", ties="two").draw(rng), -1)
        some += any((e.importance or 0.0) > 0 for e in found)
    assert some <= 25, "three marks of 5 per cent are cleared in 14 of 100"
