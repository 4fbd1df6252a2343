"""Runs setting by setting: medians and quantiles over what is averaged out, failures counted."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.run import Status

if TYPE_CHECKING:
    from thetahat.store import RunRow

QUANTILES = (0.1, 0.9)
_FAILED = (Status.FAILED, Status.DIVERGED)


@dataclass(frozen=True)
class Group:
    """The runs of one setting: a config without what is averaged out."""

    config: Mapping[str, Any]
    runs: int
    """All of them: those that failed stay in the denominator."""
    failed: int
    unfinished: int
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By metric: n, median, and quantiles such as q10, over the runs that have a finite value."""
    contaminated: bool = False

    def listing(self) -> dict[str, Any]:
        """The group as JSON gives it."""
        return {
            "config": dict(self.config),
            "runs": self.runs,
            "failed": self.failed,
            "unfinished": self.unfinished,
            "metrics": {name: dict(numbers) for name, numbers in self.metrics.items()},
            "contaminated": self.contaminated,
        }


def group_runs(
    runs: Sequence[RunRow], over: Sequence[str], quantiles: Sequence[float] = QUANTILES
) -> list[Group]:
    """Runs grouped by all of their config but the parameters ``over``, which are averaged out.

    Args:    over: names, such as "seed"; dots reach into mappings.
             quantiles: in [0, 1], by linear interpolation (Hyndman and Fan's type 7).
    Returns: groups in the order of their first runs.
    Raises:  ConfigError: no run has such a parameter (the nearest is offered), a bad quantile.
    """
    for q in quantiles:
        if not 0 <= q <= 1:
            raise ConfigError(f"--quantiles: {q:g} is no quantile; give numbers from 0 to 1")
    known = dict.fromkeys(name for run in runs for name in flat_config(run.config))
    for name in over:
        if runs and name not in known:
            raise ConfigError(f"--group-by {name}: no run has it{did_you_mean(name, known)}")
    groups: dict[str, list[RunRow]] = {}
    for run in runs:
        setting = {k: v for k, v in flat_config(run.setting).items() if k not in over}
        groups.setdefault(json.dumps(setting, sort_keys=True), []).append(run)
    return [_group(json.loads(setting), group, quantiles) for setting, group in groups.items()]


def quantile_name(q: float) -> str:
    """The column of a quantile.

    >>> quantile_name(0.1), quantile_name(0.025)
    ('q10', 'q2.5')
    """
    return f"q{100 * q:g}"


def quantile(values: Sequence[float], q: float) -> float:
    """A quantile by linear interpolation between order statistics; NumPy's default.

    >>> quantile([1.0, 2.0, 4.0], 0.25)
    1.5
    """
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def flat_config(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """A config with the dots of its nesting in the names."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flat_config(value, f"{above}{name}.")
        else:
            flat[f"{above}{name}"] = value
    return flat


def _group(setting: Mapping[str, Any], runs: Sequence[RunRow], quantiles: Sequence[float]) -> Group:
    done = [run for run in runs if run.status.over and run.status not in _FAILED]
    names = dict.fromkeys(name for run in done for name in run.metrics)
    metrics: dict[str, dict[str, float]] = {}
    for name in names:
        values = list(_finite(run.metrics.get(name) for run in done))
        if values:
            metrics[name] = {
                "n": len(values),
                "median": quantile(values, 0.5),
                **{quantile_name(q): quantile(values, q) for q in quantiles},
            }
    return Group(
        config=setting,
        runs=len(runs),
        failed=sum(run.status in _FAILED for run in runs),
        unfinished=sum(not run.status.over for run in runs),
        metrics=metrics,
        contaminated=any(run.contaminated for run in runs),
    )


def _finite(values: Iterable[float | None]) -> Iterable[float]:
    return (v for v in values if v is not None and math.isfinite(v))
