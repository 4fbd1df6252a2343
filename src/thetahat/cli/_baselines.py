"""Linear models beside a fit: least squares, and the linear model of the fit's own loss.

Every row says what it minimises, and its risk is the risk of the fit's loss: least squares has a
pinball risk too, and that is computed where the fit's loss is pinball.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import thetahat as th
from thetahat.cli._table_fit import PARTS, Fitted, goodness, outcome

if TYPE_CHECKING:
    from thetahat.data import Data

LARGEST = 20_000
"""Training rows up to which a quantile regression is solved: a linear program beyond is slow."""
_STEPS, _TOLERANCE = 1000, 1e-12


@dataclass(frozen=True)
class Baseline:
    """A linear model fitted to the training part.

    Args:    name: what it minimises, in the words of the field.   coefficients: intercept first.
             risk: by part, of the fit's own loss in its units.   fitted: MSE and R^2 in units of y.
    """

    name: str
    coefficients: np.ndarray
    risk: Mapping[str, float]
    fitted: Fitted


def baselines(data: Data, loss: str, tau: float) -> list[Baseline]:
    """The linear model of the loss, where it is another than least squares, and least squares."""
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
    found.append(("WLS" if weighted else "OLS", least_squares(x, y, w)))
    measure = _measure(loss, tau)
    return [_judged(name, beta, data, measure) for name, beta in found]


def least_squares(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Coefficients of least norm that minimise sum w (x b - y)^2, shape (d,)."""
    root = np.sqrt(w)
    return np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]


def quantile_regression(x: np.ndarray, y: np.ndarray, w: np.ndarray, tau: float) -> np.ndarray:
    """Coefficients that minimise the weighted pinball loss at ``tau``, by its dual program.

        max y'a   subject to   x'a = (1 - tau) x'w,   0 <= a <= w

    The coefficients are the multipliers of the equations.

    Source:  Koenker & Bassett (1978); Koenker (2005), section 6.2.
    """
    from scipy.optimize import linprog

    bounds = np.column_stack([np.zeros_like(w), w])
    solved = linprog(-y, A_eq=x.T, b_eq=(1 - tau) * x.T @ w, bounds=bounds, method="highs")
    return -np.asarray(solved.eqlin.marginals, np.float64)


def huber_regression(x: np.ndarray, y: np.ndarray, w: np.ndarray, delta: float = 1.0) -> np.ndarray:
    """Coefficients that minimise the weighted Huber loss, by reweighted least squares.

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
    name: str, beta: np.ndarray, data: Data, measure: Callable[[np.ndarray], np.ndarray]
) -> Baseline:
    risk, errors = {}, {}
    for part in PARTS:
        if getattr(data, part) is not None:
            y, w = outcome(data, part)
            residual = _design(getattr(data, part).x) @ beta - y
            risk[part] = float(np.average(measure(residual), weights=w))
            errors[part] = float(np.average(residual**2, weights=w))
    return Baseline(name, beta, risk, goodness(errors, data))


def _measure(loss: str, tau: float) -> Callable[[np.ndarray], np.ndarray]:
    """The loss of each residual, in double precision."""
    from thetahat.train.backends.jax import precision

    function = (th.risk.pinball(tau) if loss == "pinball" else th.risk.resolve_loss(loss)).function

    def measure(residual: np.ndarray) -> np.ndarray:
        with precision("float64"):
            return np.asarray(function(residual))

    return measure


def _weighted(name: str, weighted: bool) -> str:
    return f"weighted {name}" if weighted else name


def _design(x: Any) -> np.ndarray:
    x = np.asarray(x, np.float64)
    return np.column_stack([np.ones(len(x)), x])
