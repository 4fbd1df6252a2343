"""Hyperband's early termination, as W&B sweeps have it, and ASHA's rule on the same bands."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thetahat.core.errors import ConfigError
from thetahat.search._trials import Objective, Trial

_MOST_BANDS = 100


@dataclass(frozen=True)
class Hyperband:
    """The bands at which running trials are compared, and how many stop there.

    Args:    min_iter: the first band; the next ones are each ``eta`` times farther.
             max_iter, s: or the last iteration, and how many bands are counted back from it:
             ``int(max_iter / eta**k)``, k = 1 .. s, while at least 1.
             eta: at every band about one in eta goes on, above 1.
             strict: compare the value at the band; else the best value so far.
    Raises:  ConfigError: neither kind of bands, eta not above 1, or no band at all.
    Source:  Li et al. (2018), Hyperband.

    >>> Hyperband(max_iter=27, s=2).bands()
    (3, 9)
    >>> Hyperband(min_iter=3).bands(upto=100)
    (3, 9, 27, 81)
    """

    min_iter: int | None = None
    max_iter: int | None = None
    s: float | None = None
    eta: float = 3
    strict: bool = True

    def __post_init__(self) -> None:
        if self.eta <= 1:
            raise ConfigError(f"early_terminate.eta is {self.eta}; give a number above 1")
        if self.min_iter is not None and self.min_iter < 1:
            raise ConfigError(f"early_terminate.min_iter is {self.min_iter}; give at least 1")
        if self.min_iter is None and (self.max_iter is None or self.s is None):
            raise ConfigError("early_terminate needs min_iter, or max_iter together with s")
        if not self.bands(upto=self.max_iter or self.min_iter):
            raise ConfigError(
                f"early_terminate has no band of at least 1: max_iter is {self.max_iter}, s"
                f" {self.s:g} and eta {self.eta:g}; raise max_iter or s, or lower eta"
            )

    def bands(self, upto: int | None = None) -> tuple[int, ...]:
        """List the positions at which trials are compared, in rising order, up to ``upto``."""
        band: float
        found: list[int] = []
        if self.max_iter is not None and self.s is not None:
            band = self.max_iter
            for _ in range(int(self.s)):
                band /= self.eta
                if band < 1:
                    break
                found.append(int(band))
            found.sort()
        else:
            band = self.min_iter or 1
            for _ in range(_MOST_BANDS):
                if band > (math.inf if upto is None else upto):
                    break
                found.append(int(band))
                band *= self.eta
        return tuple(b for b in found if upto is None or b <= upto)


def stop(trials: Sequence[Trial], hyperband: Hyperband, metric: Objective) -> set[str]:
    """Return the ids of the running trials that should stop now.

    A trial's position is its count of finite logged values. At a band, the threshold is
    ``sorted(values there)[int(n / eta)]`` over all n trials that reached it, ended ones too; a
    running trial stops if it is worse than the threshold of the last band it reached.

    >>> metric, hyperband = Objective("loss"), Hyperband(min_iter=1, eta=2)
    >>> trials = [Trial(i, {}, "running", [v]) for i, v in (("a", 1.0), ("b", 2.0), ("c", 3.0))]
    >>> stop(trials, hyperband, metric)
    {'c'}
    """

    def threshold(values: list[float]) -> float:
        # The rounded 1 / eta, as W&B computes it: for 49 of 49 it is another place than 49 / 49.
        return sorted(values)[int((1.0 / hyperband.eta) * len(values))]

    return _worse(trials, hyperband, metric, threshold)


def asha(trials: Sequence[Trial], hyperband: Hyperband, metric: Objective) -> set[str]:
    """Do as ``stop``, by the rule of asynchronous successive halving: exactly n // eta go on.

    While fewer than eta trials have reached a band, none is stopped there.

    Source:  Li et al. (2020), A System for Massively Parallel Hyperparameter Tuning.
    """

    def threshold(values: list[float]) -> float:
        kept = int(len(values) / hyperband.eta)
        return sorted(values)[kept - 1] if kept else math.inf

    return _worse(trials, hyperband, metric, threshold)


def _worse(
    trials: Sequence[Trial],
    hyperband: Hyperband,
    metric: Objective,
    threshold: Callable[[list[float]], float],
) -> set[str]:
    sign = metric.sign
    histories = [t.finite for t in trials]
    bands = hyperband.bands(upto=max(map(len, histories), default=0))
    thresholds = {
        band: threshold([sign * h[band - 1] for h in histories if len(h) >= band]) for band in bands
    }
    stopped = set()
    for trial in trials:
        if trial.state != "running":
            continue
        reached = [band for band in bands if band <= len(trial.finite)]
        if reached:
            judged = (trial.finite[reached[-1] - 1],) if hyperband.strict else trial.finite
            if min(sign * v for v in judged) > thresholds[reached[-1]]:
                stopped.add(trial.id)
    return stopped
