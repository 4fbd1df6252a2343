"""An estimated effect: its numbers over repetitions, and its sensitivity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from thetahat.causal._columns import Columns
from thetahat.causal._crossfit import CrossFit
from thetahat.causal._scores import Bias, Estimates
from thetahat.causal._sensitivity import Sensitivity, sensitivity
from thetahat.core import ConfigError


@dataclass(frozen=True, eq=False)
class Trimmed:
    """Predicted probabilities that were set to the nearest bound.

    Args:    bound: probabilities are kept within bound and 1 - bound.
             below, above: rows of each repetition, (R,).
    """

    bound: float
    below: np.ndarray
    above: np.ndarray


@dataclass(frozen=True, repr=False, eq=False)
class CausalEffect:
    """The numbers of an estimated effect."""

    model: str
    effect: str
    """"theta", "ATE", "ATTE" or "LATE"."""
    thetas: np.ndarray
    ses: np.ndarray
    nuisances: Mapping[str, CrossFit]
    columns: Columns
    trimmed: Trimmed | None
    level: float
    seed: int
    peers: Mapping[str, CausalEffect] = field(default_factory=dict)
    """The same with other learners, of the first repetition."""
    influence: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    """The influence function of theta by repetition, (n, R)."""
    bias: Bias | None = None
    strength: tuple[float, float, float] = (0.03, 0.03, 1.0)
    """cf_y, cf_d and rho of the printed sensitivity."""
    weights: np.ndarray = field(default_factory=lambda: np.zeros(0))
    codes: np.ndarray | None = None
    """The group of each row."""

    @property
    def theta(self) -> float:
        """The median over repetitions."""
        return float(np.median(self.thetas))

    @property
    def se(self) -> float:
        """Its standard error, by the rule above."""
        return float(np.sqrt(np.median(self.ses**2 + (self.thetas - self.theta) ** 2)))

    @property
    def ci(self) -> tuple[float, float]:
        """The interval of the level, theta -+ quantile * se."""
        wide = NormalDist().inv_cdf((1 + self.level) / 2) * self.se
        return self.theta - wide, self.theta + wide

    @property
    def p_value(self) -> float:
        """Of theta = 0, two-sided."""
        return math.erfc(abs(self.theta / self.se) / math.sqrt(2))

    def sensitivity(
        self,
        cf_y: float | None = None,
        cf_d: float | None = None,
        rho: float | None = None,
        *,
        level: float | None = None,
        null: float = 0.0,
    ) -> Sensitivity:
        """Bound theta under an omitted variable.

        Args:    cf_y: share of the outcome's residual variance that it explains.   cf_d: share of
                 the Riesz representer's variance (of a treatment: of its residual) that it
                 explains.   rho: correlation of the two errors; 1 is the worst case.
                 level: of the one-sided intervals.   null: the value that would be a finding of
                 nothing.
        Raises:  ConfigError: a model without a theory of it (iivm), or a number out of range.
        """
        if self.bias is None:
            raise ConfigError(f"no sensitivity of {self.model}: the theory is of plr and irm")
        given = zip((cf_y, cf_d, rho), self.strength, strict=True)
        own = [default if value is None else float(value) for value, default in given]
        return sensitivity(
            Estimates(self.thetas, self.influence),
            self.bias,
            self.weights,
            self.codes,
            **dict(zip(("cf_y", "cf_d", "rho"), own, strict=True)),
            level=self.level if level is None else level,
            null=null,
        )
