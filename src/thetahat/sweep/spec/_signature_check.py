"""A sweep's parameters against the experiment's signature: names, types and ranges."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from thetahat.core.annotations import EXAMPLES, NAMES, arms, bare, choices_of
from thetahat.core.errors import did_you_mean
from thetahat.core.signature import MAX_SEED, Parameter, Signature, read_signature
from thetahat.core.yaml_tree import short, written
from thetahat.search import read_distribution
from thetahat.sweep.spec._coerce import ValueReader, reader_of
from thetahat.sweep.spec._diagnostics import Problem, by_line
from thetahat.sweep.spec._scheduler import tried_names
from thetahat.sweep.spec._spec import SweepSpec
from thetahat.sweep.spec._task_check import check_metric

_SOMEWHERE = 0.37
"""The probability at which a distribution is drawn once, to see its kind of number."""
_OPEN = (list, tuple, dict, set, frozenset, Mapping)


@dataclass(frozen=True)
class Examined:
    """An experiment, examined for its sweep."""

    problems: tuple[Problem, ...]
    experiment: str
    seed: str | None
    """The parameter that replicates count up."""
    first_seed: int
    traced: tuple[str, ...]
    seeds: tuple[str, ...]
    """All parameters that are seeds by their type."""
    folds: bool = False
    """Whether it has a parameter ``fold``."""


def examine(spec: SweepSpec, experiment: Callable[..., Any]) -> Examined:
    """Check a sweep's parameters and metric against an experiment, and describe the experiment.

    Raises:  ConfigError: parameters that no flag can name.
    """
    signature = read_signature(experiment)
    seeds = [p.name for p in signature.parameters.values() if p.is_seed]
    seed = next(iter(seeds), "seed" if "seed" in signature.parameters else None)
    first = signature.parameters[seed].default if seed is not None else 0
    return Examined(
        # A Task can be made only of parameters that the experiment takes.
        tuple(check_against(spec, signature) or check_metric(spec, signature, experiment)),
        signature.name,
        seed,
        first if isinstance(first, int) else 0,
        tuple(signature.traced),
        tuple(seeds),
        "fold" in signature.parameters,
    )


@dataclass(frozen=True)
class _GivenValue:
    """One parameter of the file: its names, its key, and its section."""

    names: tuple[str, ...]
    key: str
    section: Mapping[str, Any]

    @property
    def name(self) -> str:
        return ".".join(self.names)


def check_against(spec: SweepSpec, signature: Signature) -> list[Problem]:
    """List what an experiment cannot take of a sweep: unknown, missing and wrong parameters.

    Args:    signature: from ``th.core.read_signature(experiment)``.
    Returns: the mistakes in the order of the file; empty where there are none.
    """
    if spec.proposes:
        unknown = [n for n in tried_names(spec) if n.split(".")[0] not in signature.parameters]
        key, line = "scheduler.search_space", spec.place("scheduler.search_space").line
        return [Problem(line, key, _unknown(signature, name.split(".")[0])) for name in unknown]
    found: list[tuple[str, str]] = []
    named: set[str] = set()
    for given in _parameters(spec.parameters, ("parameters",), ()):
        root, *parts = given.name.split(".")
        named.add(root)
        parameter = signature.parameters.get(root)
        if parameter is None:
            found.append((given.key, _unknown(signature, root)))
            continue
        annotation, message = _part(bare(parameter.annotation), root, parts, signature)
        if message:
            found.append((given.key, message))
            continue
        reader = ValueReader(annotation) if parts else reader_of(parameter)
        seed = parameter.is_seed and not parts
        found += _wrong_values(spec, given, annotation, reader, seed)
    for parameter in signature.parameters.values():
        if parameter.required and parameter.name not in named:
            found.append(("parameters", _missing(signature, parameter)))
    return list(by_line(Problem(spec.place(key).line, key, message) for key, message in found))


def notes_against(spec: SweepSpec, signature: Signature) -> list[Problem]:
    """Note what an experiment can take, and still surprises: whole numbers alone for a float."""
    notes = []
    for given in _parameters(spec.parameters, ("parameters",), ()):
        parameter = signature.parameters.get(given.name)
        low, high = given.section.get("min"), given.section.get("max")
        if parameter is None or bare(parameter.annotation) is not float:
            continue
        if "distribution" in given.section or type(low) is not int or type(high) is not int:
            continue
        message = (
            f"{given.name} is a float, but whole bounds draw whole numbers only; for all numbers"
            f" between write min: {low}.0, max: {high}.0"
        )
        notes.append(Problem(spec.place(given.key).line, given.key, message))
    return notes


def _parameters(
    section: Mapping[str, Any], keys: tuple[str, ...], names: tuple[str, ...]
) -> Iterator[_GivenValue]:
    for name, given in section.items():
        path = (*keys, name)
        if "parameters" in given:
            yield from _parameters(given["parameters"], (*path, "parameters"), (*names, name))
        else:
            yield _GivenValue((*names, name), ".".join(path), given)


def _unknown(signature: Signature, name: str) -> str:
    hint = did_you_mean(name, signature.parameters)
    if name.startswith("wandb_"):
        hint = ", and needs none: runs are kept here, with no account; remove it"
    return f"{signature.name}() has no parameter {name!r}{hint}"


def _missing(signature: Signature, parameter: Parameter) -> str:
    kind = bare(parameter.annotation)
    such = EXAMPLES.get(kind, "...") if isinstance(kind, type) else "..."
    return (
        f"{signature.name}() needs {parameter.name}, which has no default; add {parameter.name}:"
        f" {{value: {such}}}"
    )


# -- annotations ----------------------------------------------------------------------------------


def _part(annotation: Any, name: str, parts: list[str], signature: Signature) -> tuple[Any, str]:
    """Return the annotation of a part, ``width`` of ``model.width``; or a fault of its name."""
    for part in parts:
        holders = [arm for arm in arms(annotation) if dataclasses.is_dataclass(arm)]
        if not holders:
            if any(map(_is_open, arms(annotation))):
                return Any, ""
            hint = f"; write {part} alone" if part in signature.parameters else ""
            return Any, f"{name} is {_named(annotation)}, and has no part {part!r}{hint}"
        fields = typing.get_type_hints(holders[0], include_extras=True)
        if part not in fields:
            return Any, f"{name} has no field {part!r}{did_you_mean(part, fields)}"
        name, annotation = f"{name}.{part}", bare(fields[part])
    return annotation, ""


def _is_open(annotation: Any) -> bool:
    """Check whether a type can hold anything: Any, a mapping, a class of the user's own."""
    origin = typing.get_origin(annotation) or annotation
    if origin is Any or origin in _OPEN or not isinstance(origin, type):
        return typing.get_origin(annotation) is not Literal
    return origin not in NAMES and origin is not type(None) and not issubclass(origin, Enum)


def _named(annotation: Any) -> str:
    """Name an annotation in a message."""
    kinds = [arm for arm in arms(annotation) if arm is not type(None)]
    if len(kinds) > 1:
        return " or ".join(map(_named, kinds))
    kind = kinds[0] if kinds else annotation
    if choices := choices_of(kind):
        return f"one of {', '.join(map(written, choices))}"
    if isinstance(kind, type) and typing.get_origin(kind) is None:
        return NAMES.get(kind, kind.__name__)
    return str(kind).replace("typing.", "").replace("collections.abc.", "")


# -- values ---------------------------------------------------------------------------------------


def _wrong_values(
    spec: SweepSpec, given: _GivenValue, annotation: Any, reader: ValueReader, seed: bool
) -> Iterator[tuple[str, str]]:
    """Yield (key, message) of each value that a parameter cannot take."""
    section = given.section
    if "value" in section or "values" in section:
        values = {f"{given.key}.values[{i}]": v for i, v in enumerate(section.get("values", ()))}
        if "value" in section:
            values = {f"{given.key}.value": section["value"]}
        for key, value in values.items():
            if not reader.fits(value):
                fix = _fix(annotation, reader, value, spec.place(key).text)
                listed = key.endswith(".value") and isinstance(value, list)
                if listed and all(map(reader.fits, value)):
                    fix = f"; did you mean values: {short(value)}?"
                kind = _named(annotation)
                yield key, f"{given.name} is {written(value)}, and must be {kind}{fix}"
            elif seed and not 0 <= value <= MAX_SEED:
                yield key, _not_a_seed(value)
    elif section:  # an empty section has a mistake of its own
        message = _wrong_range(given, annotation, reader)
        if message:
            yield given.key, message
        elif seed:
            for bound in ("min", "max"):
                value = section.get(bound)
                if value is not None and not 0 <= value <= MAX_SEED:
                    yield f"{given.key}.{bound}", _not_a_seed(value)


def _not_a_seed(value: Any) -> str:
    allowed = "give integers from 0 to 2**31 - 1 (2147483647)"
    return f"{written(value)} cannot be a seed; {allowed}"


def _fix(annotation: Any, reader: ValueReader, value: Any, text: str) -> str:
    kinds = arms(annotation)
    if isinstance(value, float) and value.is_integer() and reader.fits(int(value)):
        return f"; write {int(value)}"
    if text and not isinstance(value, str) and reader.fits(text):
        reads = "" if text == written(value) else f": YAML reads {text} as {written(value)}"
        return f"{reads}; write '{text}', in quotes"
    if isinstance(value, str):
        choices = [str(c) for kind in kinds for c in choices_of(kind)]
        near = did_you_mean(value, choices) if choices else ""
        if near.startswith("; did"):
            return near
        number = _number(value)
        if number is not None and reader.fits(number):
            return f"; write {value} without quotes"
    if isinstance(value, int) and bool in kinds and value in (0, 1):
        return f"; write {'true' if value else 'false'}"
    such = next((EXAMPLES[kind] for kind in kinds if kind in (float, int, bool, str)), "")
    return f"; give one, such as {such}" if such else ""


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _wrong_range(given: _GivenValue, annotation: Any, reader: ValueReader) -> str:
    section = given.section
    drawn = read_distribution(section)
    kind, sample = drawn.kind, drawn.ppf(_SOMEWHERE)
    if reader.fits(sample):
        return ""
    name = f"{given.name} must be {_named(annotation)}"
    if not reader.fits(1):
        examples = ", ".join(_examples(annotation))
        return f"{name}, but {kind} draws numbers; list its values: values: [{examples}]"
    # Where numbers are rounded, the step itself is an example.
    such = section.get("q", 1.0) if kind.startswith("q_") else float(f"{sample:.4g}")
    if kind.startswith("q_"):
        fix = f"write q: {max(1, round(section.get('q', 1)))}, a whole number"
    elif kind == "uniform":
        low, high = (round(section[bound]) for bound in ("min", "max"))
        fix = f"write whole bounds: min: {low}, max: {max(high, low + 1)}"
    elif kind.startswith("inv"):
        fix = "write whole numbers as min and max"
    else:
        fix = f"write distribution: q_{kind} with q: 1"
    return f"{name}, but {kind} draws numbers such as {such}; {fix}"


def _examples(annotation: Any) -> list[str]:
    for kind in arms(annotation):
        if choices := choices_of(kind):
            return [written(choice).strip("'") for choice in choices]
        if kind is bool:
            return ["true", "false"]
    return ["..."]
