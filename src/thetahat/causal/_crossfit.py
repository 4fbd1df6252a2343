"""Cross-fitting: every row is predicted by fits that did not see it, several times over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from thetahat.causal._cohort import FoldPlan, fit_cohorts
from thetahat.causal._estimators import fit_folds
from thetahat.causal._folds import Pair, folds_among, repeated_folds
from thetahat.causal._nuisance import (
    Nuisance,
    check_learner,
    classifies_numbers,
    column_of_numbers,
    experiment_of,
    is_binary,
    is_experiment,
    matrix_of_numbers,
    read_weights,
)
from thetahat.causal._overlap import Overlap
from thetahat.core import ConfigError, DataError
from thetahat.core.arguments import arguments_named
from thetahat.core.card import card
from thetahat.core.numbers import whole
from thetahat.data import check_order


@dataclass(frozen=True, repr=False, eq=False)
class CrossFit:
    """Out-of-fold predictions of one target, and how good they are.

    ``predictions`` is (n, repetitions): probabilities of 1 where the target is 0 or 1 and the
    learner gives them. ``samples`` holds, by repetition, the pairs (train, test) of rows, as
    DoubleML's ``set_sample_splitting`` takes them.
    """

    name: str
    predictions: np.ndarray
    target: np.ndarray
    samples: Sequence[Sequence[Pair]]
    learner: str
    """The learner in a word or two."""
    binary: bool
    """Whether probabilities are predicted."""
    traces: int = 0
    """How many programs were traced; 0 where all were known, or the learner is an estimator."""
    weights: np.ndarray | None = field(default=None)
    where: np.ndarray | None = field(default=None)
    """Rows that the fits trained on, and by which they are judged; None for all."""

    @property
    def measure(self) -> str:
        """What ``scores`` holds: "R2" or "log loss"."""
        return "log loss" if self.binary else "R2"

    @property
    def scores(self) -> np.ndarray:
        """Out-of-fold R2, or log loss, of each repetition: (repetitions,)."""
        rows = slice(None) if self.where is None else self.where
        made, y = self.predictions[rows], self.target[rows, None]
        w = None if self.weights is None else self.weights[rows]
        if self.binary:
            tiny = np.finfo(np.float64).tiny
            chosen = np.where(y == 1, made, 1 - made)
            return np.average(-np.log(np.maximum(chosen, tiny)), axis=0, weights=w)
        spread = np.average((y - np.average(y, weights=None if w is None else w[:, None])) ** 2,
                            axis=0, weights=w)  # fmt: skip
        if not (spread[0] > 0 and np.ptp(y) > 0):
            return np.full(made.shape[1], np.nan)
        return 1 - np.average((y - made) ** 2, axis=0, weights=w) / spread

    @property
    def score(self) -> float:
        """The mean of ``scores``."""
        return float(np.mean(self.scores))

    @property
    def overlap(self) -> Overlap:
        """How far the predicted probabilities of both groups overlap.

        Raises:  ConfigError: no probabilities are predicted.
        """
        if not self.binary:
            raise ConfigError(
                f"{self.name}: overlap is of predicted probabilities, and the target is no 0 or 1"
            )
        rows = slice(None) if self.weights is None else self.weights > 0
        return Overlap.of(self.predictions[rows], self.target[rows])

    def __repr__(self) -> str:
        n, repetitions = self.predictions.shape
        return (
            f"CrossFit({self.name}: {n} rows, {repetitions} repetition{'s' * (repetitions > 1)} of"
            f" {len(self.samples[0])} folds, {self.learner}, out of fold {self.measure}"
            f" {self.score:.4f})"
        )

    def _repr_html_(self) -> str:
        n, repetitions = self.predictions.shape
        facts = {
            f"out of fold {self.measure}": self.score,
            "rows": n,
            "folds": len(self.samples[0]),
            "repetitions": repetitions,
            "learner": self.learner,
        }
        return card("Cross-fit", self.name, facts)


@arguments_named
def crossfit(
    learner: Any,
    X: Any,
    y: Any,
    folds: Any = 5,
    repetitions: int = 10,
    *,
    groups: Any = None,
    stratify: Any = None,
    weights: Any = None,
    nets: int = 1,
    val: float = 0.2,
    seed: int = 0,
) -> Any:
    """Predict every row by fits that did not see it, in several repetitions of random folds.

    All folds, repetitions, targets and nets of an experiment train as few programs: one for each
    kind of target and size of the training part.

    Args:    learner: an estimator with fit and predict (it is cloned), or an experiment: a function
             of ``th.Data`` that returns a ``th.Task``, such as ``th.causal.net``. The Data are
             standardised by the fold's own training rows, except a y of 0 and 1. If it has the
             parameters ``loss`` and ``seed``, it is given them. For several targets also a mapping.
             X: (n, d) numbers.   y: (n,), or a mapping from names to targets.
             folds: a count, or the ``samples`` of another CrossFit.
             groups, stratify: as in ``th.folds``.   weights: (n,), of observations; a row of
             weight 0 is as if it were not there, and its predictions are NaN.
             nets, val: fits of an experiment per fold, whose predictions are averaged; each holds
             out another share of the training rows to choose its epoch.
             seed: repetition r has the folds of ``th.folds(..., seed=seed + r)``.
    Returns: a CrossFit; for several targets a dict of them.
    Raises:  InputError: data or a learner that cannot be used.
    >>> class Mean:
    ...     def fit(self, x, y): self.mean = y.mean(); return self
    ...     def predict(self, x): return np.full(len(x), self.mean)
    >>> crossfit(Mean(), np.ones((6, 1)), np.arange(6.0), folds=3, repetitions=2)
    CrossFit(y: 6 rows, 2 repetitions of 3 folds, Mean, out of fold R2 -0.7143)
    """
    several = isinstance(y, Mapping)
    targets = {str(k): v for k, v in y.items()} if several else {"y": y}
    check_order({"X": X, **targets, "groups": groups, "stratify": stratify, "weights": weights})
    x = matrix_of_numbers("X", X)
    if not targets:
        raise ConfigError("y is an empty mapping; give at least one target")
    targets = {name: column_of_numbers(name, v, len(x)) for name, v in targets.items()}
    w = read_weights(weights, len(x))
    if w is not None and not w.all():
        rows, n = np.flatnonzero(w), len(x)
        some = crossfit(
            learner, x[rows], {name: target[rows] for name, target in targets.items()},
            folds_among(n, folds, rows), repetitions, groups=taken("groups", groups, rows, n),
            stratify=taken("stratify", stratify, rows, n), weights=w[rows], nets=nets, val=val,
            seed=seed,
        )  # fmt: skip
        made = {name: _with_others(some[name], rows, targets[name], w) for name in targets}
        return made if several else made["y"]
    nuisances = []
    for name, target in targets.items():
        own = _of(learner, name, targets)
        check_learner(name, own)
        nuisances.append(Nuisance(name, target, own, _predicts_chances(own, target)))
    samples = repeated_folds(len(x), folds, repetitions, seed, groups, stratify)
    plan = plan_of(samples, groups, w, nets, val, seed)
    made = fit_nuisances(nuisances, x, plan)
    return made if several else made["y"]


def taken(name: str, values: Any, rows: np.ndarray, n: int) -> Any:
    """Take some rows of one value per row; None stays None.

    Raises:  DataError: another number of values.
    """
    if values is None:
        return None
    values = np.asarray(values)
    if values.shape != (n,):
        raise DataError(f"{name} has shape {values.shape}; give one value per row, ({n},)")
    return values[rows]


def _with_others(
    found: CrossFit, rows: np.ndarray, target: np.ndarray, weights: np.ndarray
) -> CrossFit:
    """Give rows of weight 0 their place, without a prediction."""
    predictions = np.full((len(target), found.predictions.shape[1]), np.nan)
    predictions[rows] = found.predictions
    return replace(
        found,
        predictions=predictions,
        target=target,
        samples=[[(rows[train], rows[test]) for train, test in one] for one in found.samples],
        weights=weights,
        where=weights > 0,
    )


def _of(learner: Any, name: str, targets: Mapping[str, Any]) -> Any:
    if not isinstance(learner, Mapping):
        return learner
    if name not in learner:
        raise ConfigError(
            f"the learners are those of {', '.join(map(str, learner))}; give one for each of"
            f" {', '.join(targets)}"
        )
    return learner[name]


def _predicts_chances(learner: Any, target: np.ndarray) -> bool:
    gives = hasattr(learner, "predict_proba") or is_experiment(learner)
    return gives and is_binary(target)


def plan_of(
    samples: Any, groups: Any, weights: np.ndarray | None, nets: int, val: float, seed: int
) -> FoldPlan:
    """Check what says how folds are fitted.

    Args:    weights: above 0; a row of weight 0 is left out before.
    """
    whole("nets", nets, 1, of="crossfit")
    if isinstance(val, bool) or not 0 <= float(val) < 1:
        raise ConfigError(f"val={val!r}; give a share of the training rows from 0 to below 1")
    codes = None
    if groups is not None:
        codes = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    return FoldPlan(samples, nets, float(val), seed, weights, codes)


def fit_nuisances(
    nuisances: Sequence[Nuisance], x: np.ndarray, plan: FoldPlan
) -> dict[str, CrossFit]:
    """Fit all nuisances: those of one experiment and kind of target together."""
    made: dict[str, tuple[np.ndarray, int]] = {}
    waiting = []
    for nuisance in nuisances:
        if classifies_numbers(nuisance):
            raise ConfigError(
                f"nuisance {nuisance.name!r}: {type(nuisance.learner).__name__} predicts labels,"
                " and a mean is needed; give a regressor, or, if the target is 0 or 1, a classifier"
                " with predict_proba"
            )
        if experiment_of(nuisance.learner) is None:
            made[nuisance.name] = fit_folds(nuisance, x, plan.samples, plan.weights), 0
        elif _constant(nuisance, plan):
            only = nuisance.target[nuisance.counted][0]
            made[nuisance.name] = np.full((len(x), len(plan.samples)), only), 0
        else:
            waiting.append(nuisance)
    while waiting:
        first = waiting[0]
        alike = [n for n in waiting if n.learner is first.learner and n.binary == first.binary]
        waiting = [n for n in waiting if n not in alike]
        own = _own_plan(first.learner, plan)
        found, traces = fit_cohorts(experiment_of(first.learner), alike, x, own)
        made |= {n.name: (one, traces) for n, one in zip(alike, found, strict=True)}
    return {
        n.name: CrossFit(
            n.name,
            made[n.name][0],
            n.target,
            plan.samples,
            learner_name(n.learner, plan.nets),
            n.binary,
            made[n.name][1],
            plan.weights,
            n.where,
        )
        for n in nuisances
    }


def _own_plan(learner: Any, plan: FoldPlan) -> FoldPlan:
    """The plan with the nets of an estimator, which says how many it averages."""
    if is_experiment(learner):
        return plan
    robust = learner.preprocessing == "robust"
    return replace(plan, nets=learner.n_seeds, val=float(learner.val), robust=robust)


def _constant(nuisance: Nuisance, plan: FoldPlan) -> bool:
    """Whether a target is the same number in all rows; refuse one that is so in one fold only."""
    if np.ptp(nuisance.target[nuisance.counted]) == 0:
        return True
    for r, pairs in enumerate(plan.samples):
        for k, (train, _) in enumerate(pairs):
            if nuisance.constant(train) is not None:
                raise DataError(
                    f"nuisance {nuisance.name!r}: its target is constant in the training rows of"
                    f" repetition {r}, fold {k}; give stratify=, or fewer folds"
                )
    return False


def learner_name(learner: Any, nets: int) -> str:
    """A learner in a word or two: a pipeline is named by its last step."""
    while steps := getattr(learner, "steps", None):
        learner = steps[-1][1]
    if not is_experiment(learner):
        return type(learner).__name__
    inner = getattr(learner, "func", learner)
    name = getattr(inner, "__name__", type(inner).__name__)
    return name if nets == 1 else f"{nets} x {name}"
