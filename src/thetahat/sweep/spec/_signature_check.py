"""A sweep's parameters against the experiment's signature: names, types and ranges."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, Union

from thetahat.core.errors import did_you_mean
from thetahat.core.signature import MAX_SEED, Parameter, Signature
from thetahat.core.yaml_tree import written
from thetahat.search import read_distribution
from thetahat.sweep.spec._diagnostics import Problem, by_line
from thetahat.sweep.spec._spec import SweepSpec

_SUCH = {float: "0.01", int: "10", bool: "true", str: "a word"}
_WANTED = {
    float: "a number (float)",
    int: "a whole number (int)",
    bool: "true or false (bool)",
    str: "a word (str)",
}
_SOMEWHERE = 0.37
"""Where in its range a number is drawn, to see of which kind those are."""
_OPEN = (list, tuple, dict, set, frozenset, Mapping)


@dataclass(frozen=True)
class _Asked:
    """One parameter of the file: its names, its key, and what it draws."""

    names: tuple[str, ...]
    key: str
    section: Mapping[str, Any]

    @property
    def name(self) -> str:
        return ".".join(self.names)


def check_against(spec: SweepSpec, signature: Signature) -> list[Problem]:
    """What an experiment cannot take of a sweep: unknown names, missing ones, wrong values.

    Args:    signature: from ``th.core.read_signature(experiment)``.
    Returns: the mistakes in the order of the file; empty where there are none.
    """
    problems: list[Problem] = []
    given: set[str] = set()
    for asked in _asked(spec.parameters, ("parameters",), ()):
        parts = asked.name.split(".")
        given.add(parts[0])
        parameter = signature.parameters.get(parts[0])
        if parameter is None:
            message = _unknown(signature, parts[0])
            problems.append(Problem(spec.place(asked.key).line, asked.key, message))
            continue
        annotation = _bare(parameter.annotation)
        inner, message = _inside(annotation, parts[0], parts[1:], signature)
        if message:
            problems.append(Problem(spec.place(asked.key).line, asked.key, message))
            continue
        seed = parameter.is_seed and len(parts) == 1
        problems += _check(spec, asked, inner, seed=seed)
    missing = [p for p in signature.parameters.values() if p.required and p.name not in given]
    line = spec.place("parameters").line
    problems += [Problem(line, "parameters", _missing(signature, p)) for p in missing]
    return list(by_line(problems))


def notes_against(spec: SweepSpec, signature: Signature) -> list[Problem]:
    """What an experiment can take, and still surprises: whole numbers alone for a float."""
    notes = []
    for asked in _asked(spec.parameters, ("parameters",), ()):
        parameter = signature.parameters.get(asked.name)
        if parameter is None or _bare(parameter.annotation) is not float:
            continue
        bounds = (asked.section.get("min"), asked.section.get("max"))
        if "distribution" in asked.section or not all(type(b) is int for b in bounds):
            continue
        low, high = (int(b) for b in bounds if b is not None)
        notes.append(
            Problem(
                spec.place(asked.key).line,
                asked.key,
                f"{asked.name} is a float, but whole bounds draw whole numbers only; for all"
                f" numbers between write min: {low}.0, max: {high}.0",
            )
        )
    return notes


def _asked(
    section: Mapping[str, Any], keys: tuple[str, ...], names: tuple[str, ...]
) -> Iterator[_Asked]:
    for name, given in section.items():
        path = (*keys, name)
        if "parameters" in given:
            yield from _asked(given["parameters"], (*path, "parameters"), (*names, name))
        else:
            yield _Asked((*names, name), ".".join(path), given)


def _unknown(signature: Signature, name: str) -> str:
    if name.startswith("wandb_"):
        return (
            f"{signature.name}() has no parameter {name!r}, and needs none: runs are kept here,"
            " with no account; remove it"
        )
    return f"{signature.name}() has no parameter {name!r}{did_you_mean(name, signature.parameters)}"


def _missing(signature: Signature, parameter: Parameter) -> str:
    kind = _bare(parameter.annotation)
    such = _SUCH.get(kind, "...") if isinstance(kind, type) else "..."
    return (
        f"{signature.name}() needs {parameter.name}, which has no default; add {parameter.name}:"
        f" {{value: {such}}}"
    )


# -- annotations ----------------------------------------------------------------------------------


def _bare(annotation: Any) -> Any:
    """An annotation without marks: ``int`` for ``th.Seed``."""
    while hasattr(annotation, "__metadata__"):
        annotation = typing.get_args(annotation)[0]
    return annotation


def _arms(annotation: Any) -> list[Any]:
    """The alternatives of a union; the annotation itself where it is none."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return [_bare(arm) for arm in typing.get_args(annotation)]
    return [annotation]


def _inside(annotation: Any, name: str, parts: list[str], signature: Signature) -> tuple[Any, str]:
    """The annotation of a part, ``width`` of ``model.width``; or what is wrong with the name."""
    for part in parts:
        holders = [arm for arm in _arms(annotation) if dataclasses.is_dataclass(arm)]
        if not holders:
            if any(_is_open(arm) for arm in _arms(annotation)):
                return Any, ""
            hint = f"; write {part} alone" if part in signature.parameters else ""
            return Any, f"{name} is {_called(annotation)}, and has no part {part!r}{hint}"
        fields = typing.get_type_hints(holders[0], include_extras=True)
        if part not in fields:
            return Any, f"{name} has no field {part!r}{did_you_mean(part, fields)}"
        name, annotation = f"{name}.{part}", _bare(fields[part])
    return annotation, ""


def _is_open(annotation: Any) -> bool:
    """Whether it holds anything: Any, a mapping, a class of the user's own."""
    origin = typing.get_origin(annotation) or annotation
    if origin is Any or origin in _OPEN or not isinstance(origin, type):
        return typing.get_origin(annotation) is not Literal
    return origin not in _WANTED and origin is not type(None) and not issubclass(origin, Enum)


def _called(annotation: Any) -> str:
    """An annotation as messages call it."""
    arms = [arm for arm in _arms(annotation) if arm is not type(None)]
    if len(arms) > 1:
        return " or ".join(_called(arm) for arm in arms)
    (arm,) = arms or [annotation]
    choices = _choices(arm)
    if choices:
        return f"one of {', '.join(map(written, choices))}"
    if isinstance(arm, type):
        return _WANTED.get(arm, arm.__name__)
    return str(arm).replace("typing.", "").replace("collections.abc.", "")


def _choices(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(annotation.__members__)
    return ()


def fits(annotation: Any, value: Any) -> bool:
    """Whether a parameter of this annotation takes a value.

    >>> fits(int, 64), fits(int, 64.0), fits(float, 1), fits(float | None, None), fits(str, False)
    (True, False, True, True, False)
    """
    annotation = _bare(annotation)
    arms = _arms(annotation)
    if len(arms) > 1:
        return any(fits(arm, value) for arm in arms)
    choices = _choices(annotation)
    if choices:
        return any(type(c) is type(value) and c == value for c in choices)
    if annotation is None or annotation is type(None):
        return value is None
    if annotation is bool or annotation is str:
        return isinstance(value, annotation)
    if annotation in (int, float):
        number = isinstance(value, int) or (annotation is float and isinstance(value, float))
        return number and not isinstance(value, bool) and value == value
    if dataclasses.is_dataclass(annotation) and isinstance(value, Mapping):
        fields = typing.get_type_hints(annotation, include_extras=True)
        return all(name in fields and fits(fields[name], v) for name, v in value.items())
    return _fits_many(annotation, value)


def _fits_many(annotation: Any, value: Any) -> bool:
    origin, args = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if origin in (list, set, frozenset):
        return isinstance(value, list) and all(fits(args[0], v) for v in value if args)
    if origin is tuple:
        if not isinstance(value, list) or not args:
            return isinstance(value, list)
        if args[-1] is Ellipsis:
            return all(fits(args[0], v) for v in value)
        return len(args) == len(value) and all(map(fits, args, value))
    if origin in (dict, Mapping):
        return isinstance(value, Mapping)
    return True  # a class of the user's own: only the experiment knows


# -- values ---------------------------------------------------------------------------------------


def _check(spec: SweepSpec, asked: _Asked, annotation: Any, *, seed: bool) -> list[Problem]:
    section = asked.section
    if not section:  # it has a mistake of its own, which has been said
        return []
    if "value" in section:
        return _check_value(spec, asked, annotation, f"{asked.key}.value", section["value"], seed)
    if "values" in section:
        return [
            problem
            for i, value in enumerate(section["values"])
            for problem in _check_value(
                spec, asked, annotation, f"{asked.key}.values[{i}]", value, seed
            )
        ]
    return _check_range(spec, asked, annotation, seed=seed)


def _check_value(
    spec: SweepSpec, asked: _Asked, annotation: Any, key: str, value: Any, seed: bool
) -> list[Problem]:
    place = spec.place(key)
    if not fits(annotation, value):
        came = written(value)
        fix = _fix(annotation, value, place.text)
        message = f"{asked.name} wants {_called(annotation)}, and {came} is none{fix}"
        return [Problem(place.line, key, message)]
    if seed and not 0 <= value <= MAX_SEED:
        return [Problem(place.line, key, _no_seed(value))]
    return []


def _no_seed(value: Any) -> str:
    return f"{written(value)} is no seed; give integers from 0 to 2**31 - 1 (2147483647)"


def _fix(annotation: Any, value: Any, text: str) -> str:
    arms = _arms(annotation)
    if isinstance(value, float) and value.is_integer() and fits(annotation, int(value)):
        return f"; write {int(value)}"
    if text and not isinstance(value, str) and fits(annotation, text):
        reads = "" if text == written(value) else f": YAML reads {text} as {written(value)}"
        return f"{reads}; write '{text}', in quotes"
    if isinstance(value, str):
        choices = [str(c) for arm in arms for c in _choices(arm)]
        near = did_you_mean(value, choices) if choices else ""
        if near.startswith("; did"):
            return near
        number = _number(value)
        if number is not None and fits(annotation, number):
            return f"; write {value} without quotes"
    if isinstance(value, int) and bool in arms and value in (0, 1):
        return f"; write {'true' if value else 'false'}"
    such = next((_SUCH[arm] for arm in arms if isinstance(arm, type) and arm in _SUCH), "")
    return f"; give one, such as {such}" if such else ""


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _check_range(spec: SweepSpec, asked: _Asked, annotation: Any, *, seed: bool) -> list[Problem]:
    section = asked.section
    drawn = read_distribution(section)
    kind, sample = drawn.kind, drawn.ppf(_SOMEWHERE)
    line = spec.place(asked.key).line
    if not fits(annotation, sample):
        if fits(annotation, 1):
            message = (
                f"{asked.name} is {_called(annotation)}, but {kind} draws numbers such as"
                f" {_such(section, kind, sample)}; {_whole_fix(section, kind)}"
            )
        else:
            message = (
                f"{asked.name} wants {_called(annotation)}, but {kind} draws numbers; list what it"
                f" may be: values: [{', '.join(_examples(annotation))}]"
            )
        return [Problem(line, asked.key, message)]
    if not seed:
        return []
    return [
        Problem(spec.place(f"{asked.key}.{bound}").line, f"{asked.key}.{bound}", _no_seed(value))
        for bound in ("min", "max")
        if (value := section.get(bound)) is not None and not 0 <= value <= MAX_SEED
    ]


def _such(section: Mapping[str, Any], kind: str, sample: Any) -> float:
    """A number as a distribution draws them: the step itself where they are rounded to one."""
    return section.get("q", 1.0) if kind.startswith("q_") else float(f"{sample:.4g}")


def _whole_fix(section: Mapping[str, Any], kind: str) -> str:
    if kind.startswith("q_"):
        return f"write q: {max(1, round(section.get('q', 1)))}, a whole number, so that it is whole"
    if kind == "uniform":
        low, high = (round(section[bound]) for bound in ("min", "max"))
        return f"write whole bounds: min: {low}, max: {max(high, low + 1)}"
    return (
        f"write distribution: q_{kind} with q: 1"
        if not kind.startswith("inv")
        else ("write whole numbers as min and max")
    )


def _examples(annotation: Any) -> list[str]:
    for arm in _arms(annotation):
        choices = _choices(arm)
        if choices:
            return [written(choice).strip("'") for choice in choices]
        if arm is bool:
            return ["true", "false"]
    return ["..."]
