"""Values of a sweep as an experiment needs them: words become Enum members, mappings dataclasses.

jsonargparse decides what fits an annotation, for the check of a file and for a run alike.
"""

from __future__ import annotations

import copy
import typing
from argparse import ArgumentError
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from thetahat.core.annotations import arms
from thetahat.core.errors import ConfigError
from thetahat.core.signature import Parameter, Signature
from thetahat.sweep.spec._options import nested

_PLAIN = (bool, int, float, str, Any, type(None))
_REFUSALS = (ArgumentError, TypeError, ValueError, KeyError)
"""The errors of jsonargparse for a value of the wrong type."""


def typed(signature: Signature, config: Mapping[str, Any]) -> dict[str, Any]:
    """Give a config from YAML the types of the signature.

    Dotted names reach into a parameter: ``optimizer.lr`` is ``lr`` of the parameter ``optimizer``.

    Raises:  ConfigError: a value that the parameter's type cannot take.
    """
    known = signature.parameters
    dotted = {name: path for name in config if (path := name.split("."))[0] in known}
    found = nested(config, {name: dotted[name] for name in dotted if name not in known})
    for name, value in found.items():
        parameter = signature.parameters.get(name)
        if parameter is None or parameter.bare_type in _PLAIN:
            continue
        try:
            found[name] = reader_of(parameter).read(value)
        except _REFUSALS as error:
            raise ConfigError(
                f"{name}={value!r} of the sweep does not fit {signature.name}(), where it is"
                f" annotated as {parameter.annotation}"
            ) from error
    return found


class ValueReader:
    """Values for one annotation.

    >>> [ValueReader(int).fits(v) for v in (64, 64.0, "64", True, None)]
    [True, False, False, False, False]
    >>> ValueReader(float).fits(1), ValueReader(float | None).fits(None)
    (True, True)
    """

    def __init__(self, annotation: Any, default: Any = None) -> None:
        self._annotation, self._default = annotation, default
        self._arms = arms(annotation)

    def fits(self, value: Any) -> bool:
        """Check whether a value has this type, and is not only written as it could be."""
        if Any in self._arms or (type(value) in self._arms and value == value):
            return True
        if type(value) is int and float in self._arms:
            return True
        if value is None or value != value or self._arms == [type(None)]:
            return False
        if self._parser is None:
            return True
        literals = [a for a in self._arms if typing.get_origin(a) is Literal]
        if literals and len(literals) == len([a for a in self._arms if a is not type(None)]):
            choices = [choice for arm in literals for choice in typing.get_args(arm)]
            return any(type(c) is type(value) and c == value for c in choices)
        try:
            return _unchanged(value, self._parsed(value)["value"])
        except _REFUSALS:
            return False

    def read(self, value: Any) -> Any:
        """Return a value as the annotation's type. Values of types that no flag can write pass."""
        if self._parser is None:
            return value
        return self._parser.instantiate(self._parsed(value)).value

    def _parsed(self, value: Any) -> Any:
        # jsonargparse changes lists and mappings in place.
        return self._parser.parse_object({"value": copy.deepcopy(value)})

    @cached_property
    def _parser(self) -> Any:
        from jsonargparse import ArgumentParser

        parser = ArgumentParser(exit_on_error=False, default_env=False, add_help=False)
        try:
            parser.add_argument("--value", type=self._annotation, default=self._default)
        except ValueError:
            return None  # a type that no flag could write either
        return parser


def reader_of(parameter: Parameter) -> ValueReader:
    """Return the reader of a parameter's values."""
    return ValueReader(parameter.bare_type, None if parameter.required else parameter.default)


def _unchanged(value: Any, parsed: Any) -> bool:
    """Check that parsing made no number of a text."""
    if isinstance(value, str):
        return parsed is not None and not isinstance(parsed, (bool, int, float))
    if isinstance(value, Mapping):
        parts = parsed if isinstance(parsed, Mapping) else vars(parsed)
        return all(_unchanged(part, parts.get(name)) for name, part in value.items())
    if isinstance(value, list):
        return not isinstance(parsed, (list, tuple)) or all(map(_unchanged, value, parsed))
    return value == value
