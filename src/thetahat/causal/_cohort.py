"""Experiments fitted to every fold, repetition and nuisance together: a cohort per size of data."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from thetahat.causal._folds import Pair
from thetahat.causal._nuisance import Nuisance
from thetahat.core import ConfigError, RunFailed, Seed, Task
from thetahat.data import UNSEEN, Samples, robust_units
from thetahat.train import Result, fit_many

ALIKE = 1.05
"""Training parts of one cohort are at most this much longer than its shortest."""
TRAIN, VAL = 1, 2
"""Codes of ``data.Samples``."""


@dataclass(frozen=True)
class FoldPlan:
    """How every fold is fitted.

    Args:    samples: by repetition, the folds.   nets: fits per fold, whose predictions are
             averaged.   val: share of a fold's training rows that choose a net's epoch.
             groups: codes (n,); no group is in train and val.
             robust: whether x is scaled by its median and quartiles.
    """

    samples: Sequence[Sequence[Pair]]
    nets: int
    val: float
    seed: int
    weights: np.ndarray | None = None
    groups: np.ndarray | None = None
    robust: bool = False


@dataclass(frozen=True, eq=False)
class _Member:
    """One net of one fold."""

    nuisance: int
    repetition: int
    fold: int
    net: int
    train: np.ndarray
    val: np.ndarray


def fit_cohorts(
    experiment: Callable[..., Task], nuisances: Sequence[Nuisance], x: np.ndarray, plan: FoldPlan
) -> tuple[list[np.ndarray], int]:
    """Fit an experiment to all nuisances, which have targets of one kind.

    Returns: of each nuisance the out-of-fold predictions (n, repetitions), and how many programs
             were traced.
    Raises:  RunFailed: no net of a fold ended well.
    """
    shape = (len(x), len(plan.samples))
    sums = [np.zeros(shape) for _ in nuisances]
    counts = [np.zeros(shape) for _ in nuisances]
    traces = 0
    for members in _alike(_members(nuisances, plan)):
        fits = _fit(experiment, nuisances, members, x, plan)
        traces += fits[0][1].traces
        for member, result, units in fits:
            _, test = plan.samples[member.repetition][member.fold]
            if not np.isfinite(result.risk.get("train", np.nan)):
                continue
            found = _predicted(result, (x[test] - units[0]) / units[1])
            sums[member.nuisance][test, member.repetition] += found * units[3] + units[2]
            counts[member.nuisance][test, member.repetition] += 1
    for nuisance, count in zip(nuisances, counts, strict=True):
        _refuse_lost(nuisance, count, plan)
    return [s / c for s, c in zip(sums, counts, strict=True)], traces


def _refuse_lost(nuisance: Nuisance, count: np.ndarray, plan: FoldPlan) -> None:
    lost = sorted({r for _, r in np.argwhere(count == 0)})
    if lost:
        raise RunFailed(
            f"nuisance {nuisance.name!r}: no net of a fold of repetition {lost[0]} ended well (the"
            " risk was not finite); give a lower learning rate"
        )


def _members(nuisances: Sequence[Nuisance], plan: FoldPlan) -> Iterator[_Member]:
    for i, nuisance in enumerate(nuisances):
        for r, pairs in enumerate(plan.samples):
            for k, (train, _) in enumerate(pairs):
                rows = train[nuisance.counted[train]]
                for j, (own, val) in enumerate(_held_out(rows, plan, r, k)):
                    yield _Member(i, r, k, j, own, val)


def _held_out(rows: np.ndarray, plan: FoldPlan, r: int, k: int) -> Iterator[Pair]:
    """Divide training rows for each net: the parts held out go round a random ring."""
    if not plan.val:
        yield from [(rows, rows[:0])] * plan.nets
        return
    units = rows if plan.groups is None else np.unique(plan.groups[rows])
    ring = np.random.default_rng([plan.seed, r, k]).permutation(units)
    size = min(max(1, round(plan.val * len(ring))), len(ring) - 1)
    for j in range(plan.nets):
        held = np.roll(ring, -(j * len(ring) // plan.nets))[:size]
        inside = np.isin(rows if plan.groups is None else plan.groups[rows], held)
        yield rows[~inside], rows[inside]


def _alike(members: Iterator[_Member]) -> Iterator[list[_Member]]:
    """Members whose training parts are of about one length, which train as one program."""
    found: list[_Member] = []
    for member in sorted(members, key=lambda m: len(m.train)):
        if found and len(member.train) > ALIKE * len(found[0].train) + 1:
            yield found
            found = []
        found.append(member)
    if found:
        yield found


def _fit(
    experiment: Callable[..., Task],
    nuisances: Sequence[Nuisance],
    members: Sequence[_Member],
    x: np.ndarray,
    plan: FoldPlan,
) -> list[tuple[_Member, Result, tuple[Any, ...]]]:
    """Fit one cohort: of each member its Result, and the units of its x and y."""
    known: dict[Any, tuple[Any, ...]] = {}  # the nets of a fold share their units
    for m in members:
        if (key := (m.nuisance, m.repetition, m.fold)) not in known:
            known[key] = _units(nuisances[m.nuisance], x, m, plan)
    units = [known[m.nuisance, m.repetition, m.fold] for m in members]
    parts = np.zeros((len(members), len(x)), np.uint8)
    for row, m in zip(parts, members, strict=True):
        row[m.train], row[m.val] = TRAIN, VAL
    # Columns are centred in double precision first: float32 would lose the digits that vary.
    y = np.stack([n.target for n in nuisances], 1)
    (x0, x1), (y0, y1) = ((a.mean(0), np.where(a.std(0) > 0, a.std(0), 1.0)) for a in (x, y))
    if nuisances[0].binary:
        y0, y1 = np.zeros_like(y0), np.ones_like(y1)
    which = np.array([m.nuisance for m in members])
    x_mean, x_std, y_mean, y_std = (np.stack(a) for a in zip(*units, strict=True))
    samples = Samples(
        x=((x - x0) / x1).astype(np.float32),
        y=((y - y0) / y1).astype(np.float32),
        weight=None if plan.weights is None else plan.weights.astype(np.float32),
        target=which,
        parts=parts,
        x_mean=((x_mean - x0) / x1).astype(np.float32),
        x_std=(x_std / x1).astype(np.float32),
        y_mean=((y_mean - y0[which]) / y1[which]).astype(np.float32),
        y_std=(y_std / y1[which]).astype(np.float32),
    )
    given = _given(experiment, nuisances[0].binary)

    def nuisance(member: Seed = 0, seed: Seed = 0) -> Task:
        own = {"seed": seed} if "seed" in given else {}
        task = experiment(samples(member), **{k: v for k, v in given.items() if k != "seed"}, **own)
        if not isinstance(task, Task):
            raise ConfigError(
                f"{_name(experiment)}() returned {task!r:.80}; return a th.Task of the data that it"
                " is given"
            )
        return task

    seeds = [_seed(plan.seed, m.repetition, m.fold, m.net) for m in members]
    configs = [{"member": k, "seed": seed} for k, seed in enumerate(seeds)]
    return list(zip(members, fit_many(nuisance, configs), units, strict=True))


def _given(experiment: Callable[..., Task], binary: bool) -> dict[str, Any]:
    """What an experiment is told beside the data, if it has these parameters."""
    known = inspect.signature(experiment).parameters
    told = {"loss": "logistic" if binary else "squared", "seed": 0}
    return {name: value for name, value in told.items() if name in known}


def _name(experiment: Any) -> str:
    inner = getattr(experiment, "func", experiment)  # of a functools.partial
    return getattr(inner, "__name__", "the experiment")


def _seed(*words: int) -> int:
    return int(np.random.SeedSequence(words).generate_state(1)[0] >> 1)


def _units(
    nuisance: Nuisance, x: np.ndarray, member: _Member, plan: FoldPlan
) -> tuple[np.ndarray, np.ndarray, Any, Any]:
    """Centres and spreads of x and y among a member's training rows; y of 0 and 1 stays."""
    rows = np.concatenate([member.train, member.val])
    w = None if plan.weights is None else plan.weights[rows]
    scale = robust_units if plan.robust else partial(moments, weights=w)
    middle, around = scale(x[rows], alike=UNSEEN)
    if nuisance.binary:
        return middle, around, 0.0, 1.0
    return (middle, around, *moments(nuisance.target[rows], w))


def moments(
    values: np.ndarray, weights: np.ndarray | None, alike: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the standard deviation of each column; ``alike`` where it does not vary."""
    mean = np.average(values, axis=0, weights=weights)
    std = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weights))
    return mean, np.where(std > 1e-12 * np.abs(mean), std, alike)


def _predicted(result: Result, x: np.ndarray) -> np.ndarray:
    if result.classes is None:
        return np.asarray(result.predict(x), np.float64)
    return np.asarray(result.predict_proba(x), np.float64)[:, 1]
