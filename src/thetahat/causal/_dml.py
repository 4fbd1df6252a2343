"""Double machine learning: the effect of a treatment, with nuisance functions cross-fitted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thetahat.causal._cohort import FoldPlan
from thetahat.causal._columns import Columns, columns_of
from thetahat.causal._crossfit import CrossFit, fit_nuisances, plan_of
from thetahat.causal._effect import CausalEffect, Trimmed
from thetahat.causal._folds import folds_among, repeated_folds
from thetahat.causal._net import net
from thetahat.causal._nuisance import (
    NOTHING_LEFT,
    Nuisance,
    check_learner,
    is_binary,
    is_experiment,
)
from thetahat.causal._peers import PEERS, has_sklearn, peer
from thetahat.causal._scores import (
    MODELS,
    Model,
    Sample,
    bias,
    estimates,
    standard_errors,
)
from thetahat.causal._summary import document, notebook_card, save, text
from thetahat.core import ConfigError, DataError
from thetahat.core.arguments import arguments_named
from thetahat.core.errors import check_choice
from thetahat.data import check_order
from thetahat.report import render


@dataclass(frozen=True, repr=False, eq=False)
class DML(CausalEffect):
    """An estimated effect: ``print`` it, or ``save`` it as a page or a LaTeX table.

    ``theta`` is the median of ``thetas``, one for each repetition. Its standard error takes in how
    far these are apart: ``se^2 = median(se_r^2 + (theta_r - theta)^2)`` (Chernozhukov et al. 2018,
    definition 3.3). ``nuisances`` are the CrossFits by name.
    """

    def __str__(self) -> str:
        return text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return notebook_card(self)

    def latex(self) -> str:
        """Write the table for a paper; it needs the packages booktabs and threeparttable."""
        return render(document(self), "latex")

    def save(self, path: Any) -> None:
        """Write a page (.html), a LaTeX table (.tex), Markdown (.md) or the main table (.csv).

        Raises:  ConfigError: another ending, or a file that thetahat did not write.
        """
        save(self, path)


@arguments_named
def dml(
    y: Any,
    d: Any,
    x: Any = None,
    z: Any = None,
    *,
    data: Any = None,
    model: str | None = None,
    effect: str | None = None,
    learner: Any = None,
    folds: Any = 5,
    repetitions: int = 10,
    groups: Any = None,
    weights: Any = None,
    nets: int = 4,
    val: float = 0.2,
    trim: float = 0.01,
    predictions: Mapping[str, Any] | None = None,
    compare: Sequence[str] | None = None,
    level: float = 0.95,
    strength: Sequence[float] = (0.03, 0.03, 1.0),
    seed: int = 0,
) -> DML:
    """Estimate the effect of d on y, given controls x, by double machine learning.

    Args:    y, d, x, z: outcome, treatment, controls and instrument: arrays, or names of columns
             of ``data`` (x: several; by default all others).
             model: "plr" (d may be a number), "irm" (d is 0 or 1) or "iivm" (d and z are 0 or 1);
             by default iivm with an instrument, else plr.
             effect: of irm "ATE" or "ATTE".
             learner: as in ``th.crossfit``, one for all nuisances or by name: l, m of plr; g, m of
             irm; g, m, r of iivm. By default ``th.causal.net``.
             folds, repetitions, nets, val, seed: as in ``th.crossfit``. Folds of irm and iivm are
             stratified by treatment and instrument, those of groups hold whole groups.
             groups: of rows whose errors depend on each other: folds and standard errors.
             weights: (n,), of observations; rows of weight 0 are left out, also of the arrays of
             the result.
             trim: probabilities are kept within trim and 1 - trim (irm and iivm).
             predictions: by nuisance, (n, repetitions): taken in place of fits.
             compare: first stages and estimates beside: "lasso", "forest", of one repetition; by
             default both if scikit-learn is installed, () for none.
             level: of intervals.   strength: cf_y, cf_d, rho of the printed sensitivity.
    Returns: a DML.
    Raises:  InputError: columns, learners or numbers that cannot be used.
    """
    if compare is None:
        compare = PEERS if has_sklearn() and predictions is None else ()
    beside = [compare] if isinstance(compare, str) else list(compare)
    for one in beside:
        peer(one, binary=False)  # refused before anything is fitted
    columns = columns_of(y, d, x, z, groups, weights, data)
    rows = {"y": y} if data is None else {"data": data}
    check_order({**rows, **{f"predictions[{k!r}]": v for k, v in (predictions or {}).items()}})
    name = ("plr" if columns.z is None else "iivm") if model is None else model
    check_choice("model", name, MODELS)
    chosen = MODELS[name]
    effect = chosen.effects[0] if effect is None else effect
    check_choice("effect", effect, chosen.effects)
    if not 0 <= trim < 0.5:
        raise ConfigError(f"trim={trim:g}; give a probability from 0 to below 0.5, such as 0.01")
    if not 0 < level < 1:
        raise ConfigError(f"level={level:g}; give a number between 0 and 1, such as 0.95")
    _check_model(name, chosen, columns)
    strata = _strata(name, columns) if columns.groups is None else None
    count = _repetitions(predictions, repetitions)
    if columns.rows is not None:
        folds = folds_among(columns.n, folds, columns.rows)
    samples = repeated_folds(len(columns.y), folds, count, seed, columns.groups, strata)
    plan = plan_of(samples, columns.groups, columns.weights, nets, val, seed)
    run = _Run(name, chosen, effect, columns, plan, trim, level, tuple(map(float, strength)))
    if predictions is not None:
        made = run.given(predictions)
    else:
        made = run.fitted(net if learner is None else learner, plan)
    return run.result(made, {one: run.beside(one) for one in beside})


def _check_model(name: str, model: Model, columns: Columns) -> None:
    """Refuse columns that a model cannot take."""
    needs = {"irm": ("d",), "iivm": ("d", "z")}.get(name, ())
    if name == "iivm" and columns.z is None:
        raise ConfigError("model='iivm' needs an instrument; give z=")
    if name != "iivm" and columns.z is not None:
        raise ConfigError(f"model={name!r} takes no instrument; leave z away, or model='iivm'")
    for which in needs:
        values = getattr(columns, which)
        if not is_binary(values):
            found = np.unique(values)[:4]
            shown = ", ".join(f"{v:g}" for v in found)
            raise DataError(
                f"{columns.names[which]} holds {shown}{', ...' * (len(found) == 4)}; the"
                f" {model.title} model needs 0 and 1"
                + ("; model='plr' takes any number" if which == "d" and name == "irm" else "")
            )


def _strata(name: str, columns: Columns) -> np.ndarray | None:
    if name == "plr":
        return None
    found = columns.d.astype(int)
    return found if columns.z is None else found + 2 * columns.z.astype(int)


def _repetitions(predictions: Mapping[str, Any] | None, asked: int) -> int:
    if not predictions:
        return asked
    first = np.asarray(next(iter(predictions.values())))
    return first.shape[1] if first.ndim == 2 else 1


@dataclass(frozen=True, eq=False)
class _Run:
    """One call of ``dml``: its model and data, with any learner."""

    name: str
    model: Model
    effect: str
    columns: Columns
    plan: FoldPlan
    trim: float
    level: float
    strength: Any

    def fitted(self, learner: Any, plan: FoldPlan) -> dict[str, CrossFit]:
        """Cross-fit all nuisances."""
        known = {_base(name) for name in self.model.nuisances} | set(self.model.nuisances)
        if isinstance(learner, Mapping):
            learner = {re.sub("^ml_", "", str(k)): v for k, v in learner.items()}
            for key in learner:
                check_choice("learner", key, sorted(known))
        return fit_nuisances([self._nuisance(n, learner) for n in self.model.nuisances],
                             self.columns.x, plan)  # fmt: skip

    def _nuisance(self, name: str, learner: Any) -> Nuisance:
        what, among = self.model.nuisances[name]
        target = getattr(self.columns, what)
        own = _learner(name, learner)
        check_learner(name, own)
        where = None if among is None else getattr(self.columns, among[0]) == among[1]
        binary = is_binary(target) and (is_experiment(own) or hasattr(own, "predict_proba"))
        if name == self.model.chance and not binary:
            raise ConfigError(
                f"nuisance {name!r} is a probability; {type(own).__name__} has no predict_proba;"
                f" give a classifier: learner={{{name!r}: ..., ...}}"
            )
        return Nuisance(name, target, own, binary, where)

    def given(self, predictions: Mapping[str, Any]) -> dict[str, CrossFit]:
        """Predictions of others as CrossFits."""
        given = {re.sub("^ml_", "", str(k)): v for k, v in predictions.items()}
        missing = [name for name in self.model.nuisances if name not in given]
        if missing:
            raise ConfigError(
                f"predictions lack {', '.join(missing)}; {self.name} needs"
                f" {', '.join(self.model.nuisances)}"
            )
        shape, rows = (self.columns.n, len(self.plan.samples)), self.columns.rows
        made = {}
        for name, (what, among) in self.model.nuisances.items():
            found = np.asarray(given[name], np.float64)
            found = found[:, None] if found.ndim == 1 else found
            counted = found if rows is None or found.shape != shape else found[rows]
            if found.shape != shape or not np.isfinite(counted).all():
                raise DataError(
                    f"predictions of {name!r} have shape {found.shape}, finite:"
                    f" {bool(np.isfinite(counted).all())}; give finite numbers, {shape}"
                )
            found = counted
            target = getattr(self.columns, what)
            where = None if among is None else getattr(self.columns, among[0]) == among[1]
            chances = bool((found >= 0).all() and (found <= 1).all()) and is_binary(target)
            if name == self.model.chance and not chances:
                raise DataError(
                    f"predictions of {name!r} lie between {found.min():.3g} and {found.max():.3g};"
                    " give probabilities, from 0 to 1"
                )
            made[name] = CrossFit(
                name, found, target, self.plan.samples, "given", chances, 0,
                self.plan.weights, where,
            )  # fmt: skip
        return made

    def beside(self, name: str) -> DML:
        """The estimate with a lasso or a forest, of the first repetition."""
        plan = replace(self.plan, samples=self.plan.samples[:1])
        learners = {
            nuisance: peer(name, binary=is_binary(getattr(self.columns, what)))
            for nuisance, (what, _) in self.model.nuisances.items()
        }
        made = {k: replace(v, learner=name) for k, v in self.fitted(learners, plan).items()}
        return self.result(made, {})

    def result(self, made: Mapping[str, CrossFit], peers: Mapping[str, CausalEffect]) -> DML:
        """Solve the score."""
        weights = self.plan.weights
        n = len(self.columns.y)
        shares = np.full(n, 1 / n) if weights is None else weights / weights.sum()
        sample = Sample(self.columns.y, self.columns.d, self.columns.z, shares)
        if self.name == "plr":
            for which, what in (("y", "l"), ("d", "m")):
                _check_left(self.columns.names[which], sample, which, made[what].predictions)
        predicted, trimmed = self._trimmed({k: v.predictions for k, v in made.items()})
        found = estimates(self.model, sample, predicted, self.effect)
        if not np.isfinite(found.theta).all():
            raise DataError(
                "theta is not finite: the treatment has no variation that the controls do not"
                " explain; leave controls out, or check that none of them is the treatment"
            )
        codes = self.plan.groups
        return DML(
            model=self.name,
            effect=self.effect,
            thetas=found.theta,
            ses=standard_errors(found.influence, shares, codes),
            nuisances=made,
            columns=self.columns,
            trimmed=trimmed,
            level=self.level,
            seed=self.plan.seed,
            peers=peers,
            influence=found.influence,
            bias=bias(self.name, sample, predicted, found.theta, self.effect),
            strength=self.strength,
            weights=shares,
            codes=codes,
        )

    def _trimmed(
        self, made: Mapping[str, np.ndarray]
    ) -> tuple[Mapping[str, np.ndarray], Trimmed | None]:
        """Keep the probabilities that are divided by away from 0 and 1."""
        which = self.model.chance
        if not which:
            return made, None
        p = made[which]
        below, above = (p < self.trim).sum(0), (p > 1 - self.trim).sum(0)
        if self.trim == 0 and ((p <= 0) | (p >= 1)).any():
            raise DataError(
                f"{which!r} has probabilities of 0 or 1, by which the score divides; give trim=0.01"
            )
        kept = np.clip(p, self.trim, 1 - self.trim)
        return {**made, which: kept}, Trimmed(self.trim, below, above)


def _check_left(name: str, sample: Sample, which: str, predicted: np.ndarray) -> None:
    """Refuse an outcome or a treatment of which the controls leave rounding errors only."""
    values = getattr(sample, which)
    spread = sample.weights @ (values - sample.weights @ values) ** 2
    if (sample.weights @ (values[:, None] - predicted) ** 2 <= NOTHING_LEFT * spread).any():
        raise DataError(
            f"the controls determine {name} up to rounding, so that nothing of it is left to"
            " estimate from; leave out the control that is a copy or a part of it"
        )


def _base(name: str) -> str:
    """The nuisance without the group that it is of: g of g0."""
    return name.rstrip("01")


def _learner(name: str, learner: Any) -> Any:
    if not isinstance(learner, Mapping):
        return learner
    for key in (name, _base(name)):
        if key in learner:
            return learner[key]
    raise ConfigError(
        f"learner has no entry for nuisance {name!r}; it has {', '.join(learner)}; give one for it"
    )
