"""A sweep against its experiment's Task: metric and goal, bands, and numbers that look odd.

A risk is better the smaller it is, whatever the file says; so no Task has to be made for a risk.
Otherwise the Task is made abstractly, at values in the middle of the search; nothing is compiled.
"""

from __future__ import annotations

import typing
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import InputError, Notice
from thetahat.core.metric import NEUTRAL, RISKS, Mode, not_recorded
from thetahat.core.signature import Parameter, Signature
from thetahat.sweep.spec._coerce import typed
from thetahat.sweep.spec._diagnostics import Problem
from thetahat.sweep.spec._spec import SweepSpec

if TYPE_CHECKING:
    from thetahat.search import Objective
    from thetahat.train import Outline

_GOALS: Mapping[Mode, str] = {"min": "minimize", "max": "maximize"}
_LARGER: Mapping[Mode, str] = {"min": "smaller", "max": "larger"}
LARGE = 10**6
"""Whole numbers from here on are tried: a width of it needs terabytes."""


# -- the metric -----------------------------------------------------------------------------------


def check_metric(
    spec: SweepSpec, signature: Signature, experiment: Callable[..., Any]
) -> list[Problem]:
    """List the mistakes of an experiment's sweep metrics: not recorded, another direction."""
    return [
        problem
        for key, metric in _metrics(spec)
        for problem in _check_one(spec, key, metric, signature, experiment)
    ]


def _metrics(spec: SweepSpec) -> list[tuple[str, Objective]]:
    """List what a sweep improves, each with its key in the file."""
    if spec.metrics:
        return [(f"metrics[{i}]", one) for i, one in enumerate(spec.metrics)]
    return [] if spec.metric is None else [("metric", spec.metric)]


def _check_one(
    spec: SweepSpec,
    at: str,
    metric: Objective,
    signature: Signature,
    experiment: Callable[..., Any],
) -> list[Problem]:
    name, key = metric.name, f"{at}.name"
    if spec.hyperband is not None and name.startswith("test_"):
        message = (
            f"early_terminate judges runs as they train, and {name} is known only at their end;"
            f" name a metric of the validation part, such as val_{name.removeprefix('test_')}"
        )
        return [Problem(spec.place(key).line, key, message)]
    if name in RISKS:
        return _check_goal(spec, at, metric, RISKS)
    outline = _outline(spec, signature, experiment)
    if outline is None:  # the run itself reports the reason
        return []
    if name not in outline.directions and name not in NEUTRAL:
        known = [*outline.directions, "epoch", "seconds"]
        hint = not_recorded(outline.metrics, name, known)
        message = f"{signature.name}() does not record {name!r}{hint}"
        return [Problem(spec.place(key).line, key, message)]
    return _check_goal(spec, at, metric, outline.directions)


def _check_goal(
    spec: SweepSpec, at: str, metric: Objective, directions: Mapping[str, Mode | None]
) -> list[Problem]:
    """Check the goal, where the direction of the metric is known or has to be."""
    if metric.name not in (*directions, *NEUTRAL):
        return []
    name, mode = metric.name, directions.get(metric.name)
    has_goal = f"{at}.goal" in spec.places
    key = f"{at}.goal" if has_goal else f"{at}.name"
    if mode is None:
        if has_goal or name in NEUTRAL:
            return []
        message = (
            f"the direction of {name!r} is unknown, and a sweep without goal minimizes; add goal:"
            ' minimize or goal: maximize, or give the experiment th.Metric(f, mode="max")'
        )
    elif _GOALS[mode] == metric.goal:
        return []
    else:
        why = f'{name} is better the {_LARGER[mode]} it is (its mode is "{mode}")'
        if name in RISKS:
            why = f"{name} is a risk, and better the smaller it is"
        fix = f"write goal: {_GOALS[mode]}"
        if not has_goal:
            fix = f"a sweep without goal minimizes; add goal: {_GOALS[mode]}"
        message = f"{why}; {fix}"
    return [Problem(spec.place(key).line, key, message)]


# -- bands ----------------------------------------------------------------------------------------


def notes_of_bands(
    spec: SweepSpec, signature: Signature, experiment: Callable[..., Any]
) -> list[Problem]:
    """Note bands of early_terminate that no run reaches, since it has fewer epochs."""
    if spec.hyperband is None:
        return []
    outline = _outline(spec, signature, experiment)
    if outline is None:
        return []
    epochs, hyperband = outline.epochs, spec.hyperband
    first = min(hyperband.bands(upto=hyperband.max_iter or hyperband.min_iter))
    last = hyperband.max_iter or first
    if max(first, last) < epochs:
        return []
    # A parameter may give some runs more epochs, so the largest value of each is tried.
    for name, section in spec.parameters.items():
        whole = [v for v in (*section.get("values", ()), section.get("max")) if type(v) is int]
        if whole and "seed" not in name:
            more = _outline(spec, signature, experiment, {name: max(whole)})
            epochs = epochs if more is None else max(epochs, more.epochs)
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
    place = spec.place(f"early_terminate.{'max_iter' if hyperband.max_iter else 'min_iter'}")
    return [Problem(place.line, "early_terminate", message)]


def _outline(
    spec: SweepSpec,
    signature: Signature,
    experiment: Callable[..., Any],
    instead: Mapping[str, Any] | None = None,
) -> Outline | None:
    """Outline an experiment's Task, at values in the middle of the search.

    None where such a Task is impossible, or Python has to know the drawn values.
    """
    from thetahat.train import outline_of

    if spec.proposes:
        return None
    middle = spec.space.config([d.distribution.ppf(0.5) for d in spec.space.searched])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)
            config = signature.config(typed(signature, {**middle, **(instead or {})}))
            return outline_of(experiment, config)
    except Exception:  # noqa: BLE001 - a user's program may raise anything: the run reports it
        return None


# -- odd numbers ----------------------------------------------------------------------------------


def notes_of_trials(
    spec: SweepSpec, signature: Signature, experiment: Callable[..., Any]
) -> list[Problem]:
    """Note whole numbers at which an experiment makes no Task, or one too large for this machine.

    Making a Task may read the user's data, so only numbers below 1, and very large ones, are tried,
    each with all other parameters at a usual value. Where a parameter has a mistake in the file,
    nothing is tried: its usual value is unknown.
    """
    if not spec.whole:
        return []
    whole = _whole_numbers(spec, signature)
    odd = {name: found for name, values in whole.items() if (found := list(filter(_odd, values)))}
    usual = {d.path[0]: d.distribution.ppf(0.5) for d in spec.space.dimensions if not d.path[1:]}
    if not odd or len(usual) < len(spec.parameters):
        return []
    for name in odd:
        parameter = signature.parameters[name]
        known = [*whole[name], None if parameter.required else parameter.default]
        usual[name] = next((v for v in known if type(v) is int and not _odd(v)), None)
    # If the usual values make no Task either, the odd ones are not the reason.
    if any(usual[name] is None for name in odd) or _refusal(signature, experiment, usual):
        return []
    notes = []
    for name, values in odd.items():
        for value in dict.fromkeys((min(values), max(values))):
            why = _refusal(signature, experiment, {**usual, name: value})
            if why:
                key = f"parameters.{name}"
                message = f"runs with {name}={value} will fail: {why}"
                notes.append(Problem(spec.place(key).line, key, message))
    return notes


def _whole_numbers(spec: SweepSpec, signature: Signature) -> dict[str, list[int]]:
    """Return the whole numbers that the file gives for int parameters other than seeds."""
    found = {}
    for name, section in spec.parameters.items():
        parameter = signature.parameters.get(name)
        if parameter is not None and not parameter.is_seed and int in _kinds(parameter):
            given = [*section.get("values", ()), *map(section.get, ("value", "min", "max"))]
            found[name] = [value for value in given if type(value) is int]
    return found


def _kinds(parameter: Parameter) -> tuple[Any, ...]:
    return typing.get_args(parameter.annotation) or (parameter.annotation,)


def _odd(value: int) -> bool:
    return not 1 <= value < LARGE


def _refusal(
    signature: Signature, experiment: Callable[..., Any], config: Mapping[str, Any]
) -> str:
    """Say why a fit is impossible; empty where it is possible, or nothing is known."""
    from thetahat.train import try_out

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)
            try_out(experiment, signature.config(typed(signature, config)))
    except InputError as error:
        return str(error).partition("\n")[0]
    return ""
