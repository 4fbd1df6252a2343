"""Signature of an experiment: command line, schema of sweeps and columns of tables.

The annotation decides compilation: ``float`` and ``th.Seed`` parameters are traced, so that any
number of values of them run as one compiled program; every other parameter is static.
"""

from __future__ import annotations

import dataclasses
import inspect
import numbers
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, TypeVar

from thetahat.core.annotations import bare, refuse_text
from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.nested import fields_of, nest, revived
from thetahat.core.numbers import is_number
from thetahat.core.task import Task


def refuse_parameters(call: str, given: Mapping[str, Any]) -> None:
    """Refuse parameters beside a Task that is given as it is.

    Raises:  ConfigError: which, and where they belong.
    """
    if not given:
        return
    own = [name for name in given if name in Task.__dataclass_fields__]
    fix = f"Give {own[0]} to the Task: th.Task(..., {own[0]}=...)" if own else ""
    fix = fix or f"Give the function that builds the task instead: {call}(experiment, ...)"
    raise ConfigError(f"{call}(task) takes no parameters; got {', '.join(given)}. {fix}")


@dataclass(frozen=True)
class _Mark:
    name: str


_SEED = _Mark("seed")
_STATIC = _Mark("static")
_T = TypeVar("_T")

Seed = Annotated[int, _SEED]
"""Int that feeds random keys only: traced, so that many seeds run as one program."""

Static = Annotated[_T, _STATIC]
"""``Static[float]``: float that Python must know; a new value compiles a new program.

``Static[Seed]`` is an int that is averaged out as a seed is, such as the number of a fold."""

MAX_SEED = 2**31 - 1
_REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """One parameter of an experiment: ``traced`` parameters share a compiled program."""

    name: str
    annotation: Any
    default: Any
    traced: bool
    is_seed: bool

    @property
    def required(self) -> bool:
        """Whether a config must contain it."""
        return self.default is _REQUIRED

    @property
    def bare_type(self) -> Any:
        """The annotation without our marks: ``int`` for ``th.Seed``."""
        marks = getattr(self.annotation, "__metadata__", ())
        if marks and all(isinstance(mark, _Mark) for mark in marks):
            return typing.get_args(self.annotation)[0]
        return self.annotation

    def cast(self, value: Any) -> Any:
        """Convert the value of a traced parameter to a float or a seed; return others unchanged.

        Raises:  ConfigError: not a number, a seed outside 0 .. 2**31 - 1, or text where the
                 annotation is ``bool``, ``int`` or ``float``.
        """
        if self.is_seed:
            return _as_seed(self.name, value)
        if self.traced:
            return _as_float(self.name, value)
        if isinstance(value, str) and value is not self.default:
            refuse_text(self.name, value, self.bare_type)
        return value


@dataclass(frozen=True)
class Signature:
    """Parameters of an experiment, in order, and its description."""

    name: str
    doc: str
    parameters: Mapping[str, Parameter]

    @cached_property
    def leaves(self) -> Mapping[str, Parameter]:
        """The parameters, with the fields of a dataclass in its place: ``net.width``."""
        return {leaf.name: leaf for p in self.parameters.values() for leaf in _leaves(p)}

    @property
    def traced(self) -> tuple[str, ...]:
        """Names of the traced leaves."""
        return tuple(leaf.name for leaf in self.leaves.values() if leaf.traced)

    def config(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the full config: given values over the defaults, each value cast.

        Nested parameters are taken as instances, as mappings and by dotted names.

        Raises:  ConfigError: an unknown name (the nearest is offered), a missing one, a bad value.
        """
        if not isinstance(given, Mapping):
            raise ConfigError(
                f"a config of {self.name}() is a mapping from parameters to values, such as"
                f" {{'lr': 0.01}}; got {given!r:.80}"
            )
        given = nest(given, self.parameters)
        for name in given:
            if name not in self.parameters:
                hint = did_you_mean(name, self.parameters)
                if not hint.startswith("; did") and name in Task.__dataclass_fields__:
                    hint = f"; the Task that {self.name}() returns has: th.Task(..., {name}=...)"
                raise ConfigError(f"{self.name}() has no parameter {name!r}{hint}")
        missing = [p.name for p in self.parameters.values() if p.required and p.name not in given]
        if missing:
            raise ConfigError(
                f"{self.name}() needs {', '.join(missing)}; give {missing[0]}=..."
                f" (--{missing[0]}=...)"
            )
        return {
            n: p.cast(revived(p.annotation, given.get(n, p.default), n, p.default))
            for n, p in self.parameters.items()
        }

    def flat(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return a full config with the fields of dataclasses in their place, cast as leaves."""
        if len(self.leaves) == len(self.parameters):
            return dict(config)
        found: dict[str, Any] = {}
        for name, value in config.items():
            found |= _parts(self.parameters[name].annotation, name, value)
        return {n: self.leaves[n].cast(v) if n in self.leaves else v for n, v in found.items()}

    def arguments(self, flat: Mapping[str, Any]) -> dict[str, Any]:
        """Return a flat config as the arguments of the experiment: dataclasses again."""
        if len(self.leaves) == len(self.parameters):
            return dict(flat)
        found = nest(flat, self.parameters)
        for name in found.keys() - flat.keys():
            parameter = self.parameters[name]
            found[name] = revived(parameter.annotation, found[name], name, parameter.default)
        return found


def _parameters_of(experiment: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(experiment).parameters.values())
    except ValueError:  # of Python's own
        raise ConfigError(
            f"{name}() names no parameters; give a function of your own that returns a th.Task"
        ) from None


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 and "\n" not in shown else f"a {type(value).__name__}"


def read_signature(experiment: Callable[..., Any]) -> Signature:
    """Read an experiment's signature.

    Args:    experiment: a typed function that returns a Task.
    Returns: its parameters and its description.
    Raises:  ConfigError: ``*args`` or positional-only parameters, which flags cannot name.
    """
    if not callable(experiment):
        if isinstance(experiment, Task):
            raise ConfigError(
                "a th.Task is one fit, without parameters; give the function that returns it"
            )
        raise ConfigError(
            f"{_short(experiment)} is not an experiment; give a th.Task, or a function that returns"
            " one"
        )
    name = getattr(experiment, "__name__", type(experiment).__name__)
    try:
        hints = typing.get_type_hints(experiment, include_extras=True)
    except NameError as error:
        raise ConfigError(
            f"an annotation of {name}() cannot be read: {error}; import its names at the top of"
            " the file, not inside a function"
        ) from error
    parameters: dict[str, Parameter] = {}
    for p in _parameters_of(experiment, name):
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.POSITIONAL_ONLY):
            raise ConfigError(
                f"{name}() has the parameter {p}; a flag can set named parameters only:"
                " write it as a plain keyword parameter"
            )
        annotation = hints.get(p.name, type(p.default) if p.default is not p.empty else Any)
        parameters[p.name] = _parameter(p.name, annotation, p.default)
    return Signature(name=name, doc=inspect.getdoc(experiment) or "", parameters=parameters)


def _expanded(annotation: Any) -> Mapping[str, Any]:
    """The fields of a dataclass parameter; empty for any other, and for ``Static[...]``."""
    marks = getattr(annotation, "__metadata__", ())
    return {} if _STATIC in marks else fields_of(bare(annotation))


def _parts(annotation: Any, name: str, value: Any) -> dict[str, Any]:
    """A value by the names of its leaves; an instance of a subclass stays whole."""
    fields = _expanded(annotation)
    if not fields or type(value) is not bare(annotation):
        return {name: value}
    found: dict[str, Any] = {}
    for field, inner in fields.items():
        found |= _parts(inner, f"{name}.{field}", getattr(value, field))
    return found


def _leaves(parameter: Parameter) -> Iterator[Parameter]:
    """The parameter itself, or those of its dataclass's fields."""
    fields = _expanded(parameter.annotation)
    if not fields:
        yield parameter
        return
    kind = bare(parameter.annotation)
    defaults = {f.name: f.default for f in dataclasses.fields(kind)}
    for name, annotation in fields.items():
        default = getattr(parameter.default, name, defaults[name])
        default = _REQUIRED if default is dataclasses.MISSING else default
        yield from _leaves(_parameter(f"{parameter.name}.{name}", annotation, default))


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    marks = getattr(annotation, "__metadata__", ())
    is_seed = _SEED in marks
    traced = annotation is float or (is_seed and _STATIC not in marks)
    return Parameter(name, annotation, default, traced, is_seed)


def _as_float(name: str, value: Any) -> float:
    if not is_number(value):
        raise ConfigError(f"{name}={value!r} is not a number; give one, such as {name}=0.01")
    return float(value)


def _as_seed(name: str, value: Any) -> int:
    whole = type(value) is int or (isinstance(value, numbers.Integral) and is_number(value))
    if not whole or not 0 <= int(value) <= MAX_SEED:
        raise ConfigError(
            f"{name}={value!r} is not a seed; give an integer from 0 to 2**31 - 1, such as"
            f" {name}=42"
        )
    return int(value)
