"""Linear models beside a fit: least squares, and the linear model of the fit's own loss.

The name of a row is what it minimises; its risk is that of the fit's loss. So least squares has a
pinball risk if the fit's loss is pinball.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import thetahat as th
from thetahat.cli.commands._fit_classes import (
    CLASS_LOSSES,
    LARGEST_OF_CLASSES,
    log_losses,
    log_softmax,
    multinomial_logit,
)
from thetahat.cli.commands._fit_table import (
    PARTS,
    Goodness,
    goodness,
    in_units,
    outcome,
    probability,
    shares_right,
)

if TYPE_CHECKING:
    from thetahat.data import Data

LARGEST = 20_000
"""Training rows up to which a quantile regression is solved: a linear program beyond is slow."""
_STEPS, _SCORED, _TOLERANCE = 1000, 100, 1e-12
_Measure = Callable[[np.ndarray, np.ndarray, str], np.ndarray | None]


@dataclass(frozen=True)
class Baseline:
    """A linear model fitted to the training part.

    Args:    name: what it minimises, in the words of the field.   coefficients: intercept first.
             rank: of the design: how many coefficients the data tell apart.
             risk: by part, of the fit's own loss in its units.   fitted: MSE and R^2 in units of y.
             test_losses: of the test part's observations; None without such a part or loss.
    """

    name: str
    coefficients: np.ndarray
    rank: int
    risk: Mapping[str, float]
    fitted: Goodness
    test_losses: np.ndarray | None = None


def baselines(data: Data, loss: str, tau: float) -> list[Baseline]:
    """Fit the linear model of the loss, if that is another one, and least squares.

    Least squares is left out under a loss of a prediction, which may be on another scale than y.
    """
    if loss in CLASS_LOSSES:
        return _of_classes(data)
    y, w = outcome(data, "train")
    x = _design(data.train.x)
    weighted = data.train.weight is not None
    found: list[tuple[str, np.ndarray]] = []
    if loss == "huber":
        found.append((_weighted("Huber regression", weighted), huber_regression(x, y, w)))
    if loss in ("absolute", "pinball") and len(y) <= LARGEST:
        name, level = ("median", 0.5) if loss == "absolute" else ("quantile", tau)
        name = _weighted(f"{name} regression", weighted)
        found.append((name, quantile_regression(x, y, w, level)))
    if in_units(loss):
        found.append(("WLS" if weighted else "OLS", least_squares(x, y, w)))
    measure = loss_of_scores(loss, tau)
    rank = _rank(x, w)
    units = in_units(loss)
    return [_judged(name, beta, rank, data, measure, units) for name, beta in found]


def _rank(x: np.ndarray, w: np.ndarray) -> int:
    return int(np.linalg.matrix_rank(x * (w > 0)[:, None], rtol=_tolerance(x)))


def _of_classes(data: Data) -> list[Baseline]:
    """Fit the logit of two classes or of more, and the shares of the classes alone."""
    y, w = outcome(data, "train")
    x, k = _design(data.train.x), len(data.classes or ())
    weighted = data.train.weight is not None
    shares = np.bincount(y.astype(np.int64), w, k) / w.sum()
    alone = np.zeros((x.shape[1], k))
    with np.errstate(divide="ignore"):  # a class that the training part lacks has an infinite loss
        alone[0] = np.log(shares)
    found = [_class_baseline("class shares", alone, k - 1, data)]
    if k > 2 and len(y) * k > LARGEST_OF_CLASSES:
        return found
    if k == 2:
        beta = np.column_stack([np.zeros(x.shape[1]), logit(x, y, w)])
    else:
        beta = multinomial_logit(x, y, w, k)
    name = _weighted("logit" if k == 2 else "multinomial logit", weighted)
    return [_class_baseline(name, beta, _rank(x, w) * (k - 1), data), *found]


def _class_baseline(name: str, beta: np.ndarray, rank: int, data: Data) -> Baseline:
    risk, proba, test_losses = {}, {}, None
    for part in PARTS:
        if getattr(data, part) is not None:
            y, w = outcome(data, part)
            log_p = log_softmax(_design(getattr(data, part).x) @ beta)
            losses = log_losses(log_p, y)
            risk[part] = float(np.average(losses, weights=w))
            test_losses = losses if part == "test" else None
            proba[part] = np.exp(log_p)
    right = Goodness({}, {}, shares_right(proba, data))
    return Baseline(name, beta, rank, risk, right, test_losses)


def least_squares(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Find the coefficients of least norm that minimise sum w (x b - y)^2, shape (d,)."""
    root = np.sqrt(w)[:, None]
    wide = np.linalg.lstsq(x * root, y * root[:, 0], rcond=_tolerance(x))
    return wide[0]


def _tolerance(x: np.ndarray) -> float:
    """Give the share of the largest singular value below which others are rounding errors."""
    single = np.array_equal(x, x.astype(np.float32))
    return 10 * float(np.finfo(np.float32 if single else np.float64).eps)


def logit(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Find the coefficients that minimise the weighted logistic loss, by Fisher scoring.

    Source:  McCullagh & Nelder (1989), section 2.5.
    """
    beta, before = np.zeros(x.shape[1]), np.inf
    for _ in range(_SCORED):
        score = np.clip(x @ beta, -30, 30)
        p = probability(score)
        spread = p * (1 - p)
        beta = least_squares(x, score + (y - p) / spread, w * spread)
        risk = float(np.average(np.logaddexp(0, score) - y * score, weights=w))
        if before - risk <= _TOLERANCE:
            break
        before = risk
    return beta


def quantile_regression(x: np.ndarray, y: np.ndarray, w: np.ndarray, tau: float) -> np.ndarray:
    """Find the coefficients of least weighted pinball loss at ``tau``, by its dual program.

        max y'a   subject to   x'a = (1 - tau) x'w,   0 <= a <= w

    The coefficients are the multipliers of the equations.

    Source:  Koenker & Bassett (1978); Koenker (2005), section 6.2.
    """
    from scipy.optimize import linprog

    bounds = np.column_stack([np.zeros_like(w), w])
    solved = linprog(-y, A_eq=x.T, b_eq=(1 - tau) * x.T @ w, bounds=bounds, method="highs")
    return -np.asarray(solved.eqlin.marginals, np.float64)


def huber_regression(x: np.ndarray, y: np.ndarray, w: np.ndarray, delta: float = 1.0) -> np.ndarray:
    """Find the coefficients that minimise the weighted Huber loss, by reweighted least squares.

    Source:  Huber (1964); Holland & Welsch (1977).
    """
    beta = least_squares(x, y, w)
    for _ in range(_STEPS):
        size = np.abs(x @ beta - y)
        after = least_squares(x, y, w * np.minimum(1, delta / np.maximum(size, delta)))
        moved = np.abs(after - beta).max()
        beta = after
        if moved <= _TOLERANCE * max(1.0, np.abs(beta).max()):
            break
    return beta


def _judged(
    name: str, beta: np.ndarray, rank: int, data: Data, measure: _Measure, units: bool
) -> Baseline:
    risk, errors, test_losses = {}, {}, None
    for part in PARTS:
        if getattr(data, part) is not None:
            y, w = outcome(data, part)
            score = _design(getattr(data, part).x) @ beta
            losses = measure(score, y, name)
            if losses is not None:
                risk[part] = float(np.average(losses, weights=w))
                test_losses = losses if part == "test" else None
            if units:
                errors[part] = float(np.average((score - y) ** 2, weights=w))
    return Baseline(name, beta, rank, risk, goodness(errors, data), test_losses)


def loss_of_scores(loss: str, tau: float) -> _Measure:
    """Give the loss of each prediction, in double precision; None on another scale."""
    from thetahat.train import precision

    chosen = th.risk.pinball(tau) if loss == "pinball" else th.risk.resolve_loss(loss)

    def measure(score: np.ndarray, y: np.ndarray, name: str) -> np.ndarray:
        with precision("float64"):
            given = (score - y,) if chosen.of == th.risk.RESIDUAL else (score, y)
            return np.asarray(chosen(*given))

    return measure


def _weighted(name: str, weighted: bool) -> str:
    return f"weighted {name}" if weighted else name


def _design(x: Any) -> np.ndarray:
    x = np.asarray(x, np.float64)
    return np.column_stack([np.ones(len(x)), x])
