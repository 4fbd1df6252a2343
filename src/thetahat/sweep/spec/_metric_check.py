"""A sweep's metric and goal against what its experiment records: names and directions.

A risk is better the smaller it is, whatever the file says; so nothing has to be made for one. For
another metric the experiment's Task is made once, abstractly, to see which metrics it has.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import Notice
from thetahat.core.metric import NEUTRAL, RISKS, Mode, not_recorded
from thetahat.core.signature import Signature
from thetahat.sweep.spec._coerce import typed
from thetahat.sweep.spec._diagnostics import Problem
from thetahat.sweep.spec._spec import SweepSpec

if TYPE_CHECKING:
    from thetahat.train import Outline

_GOALS: Mapping[Mode, str] = {"min": "minimize", "max": "maximize"}
_LARGER: Mapping[Mode, str] = {"min": "smaller", "max": "larger"}


def check_metric(
    spec: SweepSpec, signature: Signature, experiment: Callable[..., Any]
) -> list[Problem]:
    """What is wrong with the metric of an experiment's sweep: not recorded, another direction."""
    if spec.metric is None:
        return []
    name = spec.metric.name
    if name in RISKS:
        return check_goal(spec, RISKS)
    outline = _outline(spec, signature, experiment)
    if outline is None:  # whoever runs it says why
        return []
    if name not in outline.directions and name not in NEUTRAL:
        known = [*outline.directions, "epoch", "seconds"]
        hint = not_recorded(outline.metrics, name, known)
        key = "metric.name"
        message = f"{signature.name}() does not record {name!r}{hint}"
        return [Problem(spec.place(key).line, key, message)]
    return check_goal(spec, outline.directions)


def check_goal(spec: SweepSpec, directions: Mapping[str, Mode | None]) -> list[Problem]:
    """What is wrong with the goal, where the direction of the metric is known or has to be.

    Args:    directions: of the columns that runs have; None where nobody knows.
    """
    if spec.metric is None or spec.metric.name not in (*directions, *NEUTRAL):
        return []
    name, goal = spec.metric.name, spec.metric.goal
    mode, written = directions.get(name), "metric.goal" in spec.places
    key = "metric.goal" if written else "metric.name"
    if mode is None:
        if written or name in NEUTRAL:
            return []
        message = (
            f"the direction of {name!r} is unknown, and a sweep without goal minimizes; add goal:"
            ' minimize or goal: maximize, or give the experiment th.Metric(f, mode="max")'
        )
    elif _GOALS[mode] == goal:
        return []
    else:
        why = (
            f"{name} is a risk, and better the smaller it is"
            if name in RISKS
            else f'{name} is better the {_LARGER[mode]} it is (its mode is "{mode}")'
        )
        right = f"goal: {_GOALS[mode]}"
        fix = f"write {right}" if written else f"a sweep without goal minimizes; add {right}"
        message = f"{why}; {fix}"
    return [Problem(spec.place(key).line, key, message)]


def notes_of_bands(
    spec: SweepSpec, signature: Signature, experiment: Callable[..., Any]
) -> list[Problem]:
    """Bands of early_terminate that no run reaches, since it has fewer epochs."""
    if spec.hyperband is None:
        return []
    outline = _outline(spec, signature, experiment)
    if outline is None:
        return []
    epochs = outline.epochs
    first = min(spec.hyperband.bands(upto=spec.hyperband.max_iter or spec.hyperband.min_iter))
    last = spec.hyperband.max_iter or first
    if max(first, last) < epochs:
        return []
    # A parameter may give some runs more epochs: the largest of each is tried.
    for name, most in _largest(spec).items():
        more = _outline(spec, signature, experiment, {name: most})
        epochs = epochs if more is None else max(epochs, more.epochs)
    key = "early_terminate"
    place = spec.place(f"{key}.{'max_iter' if spec.hyperband.max_iter else 'min_iter'}")
    if first >= epochs:
        message = (
            f"the first band is at epoch {first}, and runs end after {epochs} epochs at most: no"
            " run will be stopped early; write bands below the epochs, such as min_iter:"
            f" {max(1, epochs // 9)}"
        )
    elif last > epochs:
        message = (
            f"max_iter is {last}, and runs end after {epochs} epochs at most: the bands beyond"
            f" are never reached; write max_iter: {epochs}"
        )
    else:
        return []
    return [Problem(place.line, key, message)]


def _outline(
    spec: SweepSpec,
    signature: Signature,
    experiment: Callable[..., Any],
    instead: Mapping[str, Any] | None = None,
) -> Outline | None:
    """What an experiment's Task is, at values in the middle of what is searched.

    None where there is no such Task, or Python has to know what is drawn.
    """
    from thetahat.train import outline_of

    middle = spec.space.config([d.distribution.ppf(0.5) for d in spec.space.searched])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)
            config = signature.config(typed(signature, {**middle, **(instead or {})}))
            return outline_of(experiment, config)
    except Exception:  # noqa: BLE001 - a user's program may raise anything: the run says what
        return None


def _largest(spec: SweepSpec) -> dict[str, int]:
    """The largest whole number of every parameter that is searched."""
    found = {}
    for name, section in spec.parameters.items():
        given = [*section.get("values", ()), section.get("max")]
        whole = [value for value in given if type(value) is int]
        if whole and "seed" not in name:
            found[name] = max(whole)
    return found
