"""``define_metric``: which of a metric's values the summary keeps, and its axis."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thetahat.core.summary_forms import KEPT
from thetahat.wandb._run import Run, UsageError

_KINDS = (*sorted(KEPT), "copy", "none")
SUMMARIES = "_summaries"
"""The hidden label with these values: ``loss.min``, ``val/*.max``."""


@dataclass
class _Definition:
    pattern: str
    step: str | None
    kinds: tuple[str, ...]
    goal: str
    sync: bool


@dataclass
class Definitions:
    """The definitions of one run, and what they have made of its rows so far."""

    known: list[_Definition] = field(default_factory=list)
    kept: dict[str, float] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _steps: dict[str, float] = field(default_factory=dict)

    def take(self, numbers: dict[str, float], names: Iterable[str]) -> dict[str, float]:
        """Take a row; add the last value of its metrics' axes, and return what the summary gets.

        Args:    names: of all that the row has, numbers or not.
        """
        for name in {d.step for d in self.known if d.step}:
            if name in numbers:
                self._steps[name] = numbers[name]
        found: dict[str, float] = {}
        for name in dict.fromkeys(str(name) for name in (*numbers, *names)):
            one = self.of(name)
            if one is None:
                continue
            if one.step and one.sync and one.step in self._steps:
                numbers.setdefault(one.step, self._steps[one.step])
            for kind in one.kinds if name in numbers else ():
                value = self._kept(name, kind, one.goal, numbers[name])
                if value is not None:
                    found[f"{name}.{kind}"] = value
        self.kept |= found
        return found

    def of(self, name: str) -> _Definition | None:
        """Return the definition of a metric: its own, else the latest pattern that fits."""
        exact = [d for d in self.known if d.pattern == name]
        globs = [d for d in self.known if "*" in d.pattern and fnmatch.fnmatch(name, d.pattern)]
        found = exact or [d for d in globs if name != d.step]
        return found[-1] if found else None

    def _kept(self, name: str, kind: str, goal: str, value: float) -> float | None:
        if kind in ("last", "copy", "none"):
            return value if kind == "last" else None
        key = f"{name}.{kind}"
        before = self.kept.get(key)
        if before is None or math.isnan(before):
            self._counts[key] = 1
            return value
        if math.isnan(value) or kind == "first":
            return before
        if kind == "mean":
            self._counts[key] += 1
            return before + (value - before) / self._counts[key]
        largest = kind == "max" or (kind == "best" and goal.startswith("max"))
        return max(before, value) if largest else min(before, value)


def define(
    run: Run,
    name: str,
    step_metric: Any = None,
    step_sync: bool | None = None,
    hidden: bool | None = None,
    summary: str | None = None,
    goal: str | None = None,
    overwrite: bool | None = None,
) -> Any:
    """Define a metric of a run, as ``run.define_metric`` does.

    Raises:  UsageError: a summary that is not one of W&B's.
    """
    kinds: Sequence[str] = [kind.strip() for kind in (summary or "").split(",") if kind.strip()]
    for kind in kinds:
        if kind not in _KINDS:
            raise UsageError(
                f"define_metric({name!r}, summary={summary!r}): give one of {', '.join(_KINDS)}"
            )
    step = getattr(step_metric, "name", step_metric)
    sync = step is not None if step_sync is None else step_sync
    run._definitions = run._definitions or Definitions()
    run._definitions.known.append(_Definition(str(name), step, tuple(kinds), goal or "min", sync))
    axes = axes_of(run._definitions)
    asked = [f"{d.pattern}.{k}" for d in run._definitions.known for k in d.kinds if k in KEPT]
    labels = {"axes": axes, SUMMARIES: list(dict.fromkeys(asked))}
    if labels := {name: value for name, value in labels.items() if value}:
        run._label(**labels)
    return Metric(str(name), step)


def axes_of(definitions: Definitions) -> Mapping[str, str]:
    """Map metrics, or patterns such as ``val/*``, to the metric that is their axis."""
    return {d.pattern: d.step for d in definitions.known if d.step and d.step != d.pattern}


@dataclass(frozen=True)
class Metric:
    """A metric that was defined."""

    name: str
    step_metric: str | None
