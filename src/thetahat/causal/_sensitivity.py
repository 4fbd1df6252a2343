"""Sensitivity to an omitted variable: bounds of theta, and how strong it must be to explain theta.

An omitted variable that explains the share cf_y of the outcome's residual variance, and by which
the variance of the Riesz representer grows by cf_d / (1 - cf_d), moves theta by at most

    |rho| sqrt(cf_y cf_d / (1 - cf_d)) sqrt(sigma^2 nu^2).

Source:  Chernozhukov, Cinelli, Newey, Sharma & Syrgkanis (2022), "Long story short".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from thetahat.causal._scores import Bias, Estimates, standard_errors
from thetahat.core import ConfigError

MOST = 0.9999
"""The greatest robustness value that is looked for."""


@dataclass(frozen=True)
class Sensitivity:
    """Bounds of theta under an omitted variable of a given strength.

    Args:    low, high: of theta.   ci_low, ci_high: ends of their one-sided intervals.
             robustness: cf_y = cf_d at which the bound reaches ``null``.
             robustness_ci: that at which the end of its interval does.
    """

    cf_y: float
    cf_d: float
    rho: float
    level: float
    null: float
    low: float
    high: float
    ci_low: float
    ci_high: float
    robustness: float
    robustness_ci: float

    def __str__(self) -> str:
        return (
            f"an omitted variable with cf_y={self.cf_y:g}, cf_d={self.cf_d:g}, |rho|={self.rho:g}:"
            f" theta from {self.low:.4g} to {self.high:.4g}, with {self.level:.0%} one-sided"
            f" intervals from {self.ci_low:.4g} to {self.ci_high:.4g}\n"
            f"theta reaches {self.null:g} at cf_y = cf_d = {self.robustness:.2%}, its interval at"
            f" {self.robustness_ci:.2%}"
        )


def sensitivity(
    found: Estimates,
    bias: Bias,
    weights: np.ndarray,
    groups: np.ndarray | None,
    *,
    cf_y: float,
    cf_d: float,
    rho: float,
    level: float,
    null: float,
) -> Sensitivity:
    """Compute the bounds: medians over the repetitions.

    Raises:  ConfigError: a number outside its range.
    """
    for name, value, most in (("cf_y", cf_y, 1), ("cf_d", cf_d, 1), ("rho", abs(rho), 1 + 1e-12)):
        if not 0 <= value < most:
            raise ConfigError(
                f"{name}={value:g}; give a number from 0 to {'below ' * (most == 1)}1"
            )
    if not 0 < level < 1:
        raise ConfigError(f"level={level:g}; give a number between 0 and 1, such as 0.95")
    quantile = NormalDist().inv_cdf(level)

    def ends(cf_y: float, cf_d: float) -> tuple[float, float, float, float]:
        strength = abs(rho) * np.sqrt(cf_y * cf_d / (1 - cf_d))
        sides = []
        for sign in (-1, 1):
            theta = found.theta + sign * strength * bias.size
            moved = found.influence + sign * strength * bias.influence
            error = standard_errors(moved, weights, groups)
            sides += [float(np.median(theta)), float(np.median(theta + sign * quantile * error))]
        return sides[0], sides[2], sides[1], sides[3]

    above = float(np.median(found.theta)) > null
    # The end that meets the null first: the lower one of a theta above it.
    robust = [
        _first(lambda c, at=at: (ends(c, c)[at] - null) * (1 if above else -1))
        for at in ((0, 2) if above else (1, 3))
    ]
    low, high, ci_low, ci_high = ends(cf_y, cf_d)
    return Sensitivity(
        cf_y, cf_d, abs(rho), level, null, low, high, ci_low, ci_high, robust[0], robust[1]
    )


def _first(distance: Callable[[float], float]) -> float:
    """The least strength at which a falling distance is no longer above zero, by bisection."""
    low, high = 0.0, MOST
    if distance(low) <= 0:
        return 0.0
    if distance(high) > 0:
        return MOST
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if distance(middle) > 0 else (low, middle)
    return high
