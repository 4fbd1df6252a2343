"""A sweep's values as an experiment wants them: words become Enum members, mappings dataclasses."""

from __future__ import annotations

import typing
from argparse import ArgumentError
from collections.abc import Mapping
from typing import Any

from thetahat.core.errors import ConfigError
from thetahat.core.signature import Parameter, Seed, Signature

_PLAIN = (bool, int, float, str, Any, type(None))
_MARK = type(typing.get_args(Seed)[1])
_REFUSALS = (ArgumentError, TypeError, ValueError, KeyError)
"""What jsonargparse raises for a value of the wrong type."""


def typed(signature: Signature, config: Mapping[str, Any]) -> dict[str, Any]:
    """A config from YAML with the types of the signature.

    Dotted names reach into a parameter: ``optimizer.lr`` is ``lr`` of the parameter ``optimizer``.

    Raises:  ConfigError: a value that the parameter's type cannot take.
    """
    found = _gathered(signature, config)
    for name, value in found.items():
        parameter = signature.parameters.get(name)
        if parameter is not None and _bare(parameter) not in _PLAIN:
            found[name] = _read(signature, parameter, value)
    return found


def _gathered(signature: Signature, config: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in config.items():
        root, dot, _ = name.partition(".")
        if not dot or name in signature.parameters or root not in signature.parameters:
            found[name] = value
            continue
        at = found.setdefault(root, {})
        *above, last = name.split(".")[1:]
        for part in above:
            at = at.setdefault(part, {})
        at[last] = value
    return found


def _bare(parameter: Parameter) -> Any:
    """The annotation without our marks: ``int`` for ``th.Seed``."""
    metadata = getattr(parameter.annotation, "__metadata__", ())
    if metadata and all(isinstance(mark, _MARK) for mark in metadata):
        return typing.get_args(parameter.annotation)[0]
    return parameter.annotation


def _read(signature: Signature, parameter: Parameter, value: Any) -> Any:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False, default_env=False, add_help=False)
    default = None if parameter.required else parameter.default
    try:
        parser.add_argument("--value", type=_bare(parameter), default=default)
    except ValueError:
        return value  # a type that no flag could write either
    try:
        return parser.instantiate(parser.parse_object({"value": value})).value
    except _REFUSALS as error:
        raise ConfigError(
            f"{parameter.name}={value!r} of the sweep does not fit {signature.name}(), where it is"
            f" annotated as {parameter.annotation}"
        ) from error
