"""Whole numbers that look odd, tried on the experiment before anything runs: no epochs, say.

What a Task cannot take is known only once it is made, and making one may read the user's data: so
only numbers below 1, and very large ones, are tried, and most files have none.
"""

from __future__ import annotations

import typing
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thetahat.core.errors import InputError, Notice
from thetahat.core.signature import Parameter, Signature
from thetahat.sweep.spec._coerce import typed
from thetahat.sweep.spec._diagnostics import Problem
from thetahat.sweep.spec._spec import SweepSpec

LARGE = 10**6
"""From here on a whole number is tried: a width of it needs terabytes."""


def notes_of_trials(
    spec: SweepSpec, signature: Signature, experiment: Callable[..., Any]
) -> list[Problem]:
    """Values at which an experiment makes no Task, or one that this machine cannot hold.

    Each is tried with all other parameters at what is usual for them; nothing is compiled. Where a
    parameter has a mistake in the file, nothing is tried: what is usual for it is not known.
    """
    if not spec.whole:
        return []
    odd = {name: _odd(values) for name, values in _whole_numbers(spec, signature).items()}
    odd = {name: values for name, values in odd.items() if values}
    usual = {d.path[0]: d.distribution.ppf(0.5) for d in spec.space.dimensions if not d.path[1:]}
    if not odd or len(usual) < len(spec.parameters):
        return []
    for name in odd:
        found = _usual(_whole_numbers(spec, signature)[name], signature.parameters[name])
        if found is None:
            return []
        usual[name] = found
    # Where what is usual makes no Task either, the values are not to blame.
    if _refusal(signature, experiment, usual):
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
    """The whole numbers that the file gives for parameters that are int, but for seeds."""
    found = {}
    for name, section in spec.parameters.items():
        parameter = signature.parameters.get(name)
        if parameter is None or parameter.is_seed or int not in _kinds(parameter):
            continue
        given = [*section.get("values", ()), *(section.get(k) for k in ("value", "min", "max"))]
        found[name] = [value for value in given if type(value) is int]
    return found


def _kinds(parameter: Parameter) -> tuple[Any, ...]:
    """int alone, or as one of several: ``int | None``."""
    return typing.get_args(parameter.annotation) or (parameter.annotation,)


def _odd(values: Sequence[int]) -> list[int]:
    return [value for value in values if not 1 <= value < LARGE]


def _usual(values: Sequence[int], parameter: Parameter) -> int | None:
    """A value that is not odd: of the file, or the experiment's own."""
    known = [*values, None if parameter.required else parameter.default]
    return next((v for v in known if type(v) is int and not _odd([v])), None)


def _refusal(
    signature: Signature, experiment: Callable[..., Any], config: Mapping[str, Any]
) -> str:
    """Why there is no such fit; empty where there is one, or nobody can say."""
    from thetahat.train import try_out

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)
            try_out(experiment, signature.config(typed(signature, config)))
    except InputError as error:
        return str(error).partition("\n")[0]
    return ""
