"""Approximation and estimation error of a hypothesis class, by Monte Carlo over data sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thetahat.core.errors import ShapeError
from thetahat.lab._sample import mean_se

if TYPE_CHECKING:
    from jax.typing import ArrayLike


@dataclass(frozen=True)
class Decomposition:
    """Errors of a class beside the noise, in squared units of y.

        approximation  E_x (h*(x) - f(x))^2                 h*: the best of the class
        estimation     E_D E_x (h_D(x) - f(x))^2 - approximation
        variance       E_x Var_D h_D(x)

    Args:    estimation_se, variance_se: standard errors over the data sets.
    """

    approximation: float
    estimation: float
    estimation_se: float
    variance: float
    variance_se: float


def decompose(fitted: ArrayLike, best: ArrayLike, truth: ArrayLike) -> Decomposition:
    """Decompose the error of fits to many data sets.

    Args:    fitted: predictions (R, N) of the fits to R data sets at N points that represent the
             distribution of x: a grid for a uniform one.   best: those of the best of the class,
             (N,).   truth: f at the points, (N,).
    Returns: the Decomposition.
    Raises:  ShapeError: shapes that do not belong together.
    Source:  Bottou & Bousquet (2007); Murphy (2022), 5.4.
    >>> decompose([[1.0, 1.0], [3.0, 3.0]], [2.0, 2.0], [2.0, 1.0]).approximation
    0.5
    """
    h, star, f = (np.asarray(given, np.float64) for given in (fitted, best, truth))
    if h.ndim != 2 or star.shape != f.shape or f.shape != h.shape[1:]:
        raise ShapeError(
            f"decompose got fitted {h.shape}, best {star.shape} and truth {f.shape}; give (R, N),"
            " (N,) and (N,)"
        )
    approximation = float(np.mean((star - f) ** 2))
    excess: Any = ((h - f) ** 2).mean(1) - approximation
    estimation, se = mean_se(excess)
    # Unbiased: each fit's distance from the mean of all, times R / (R - 1).
    many = len(h) / max(len(h) - 1, 1)
    variance, variance_se = mean_se(many * ((h - h.mean(0)) ** 2).mean(1))
    return Decomposition(
        approximation, float(estimation), float(se), float(variance), float(variance_se)
    )
