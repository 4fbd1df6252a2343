"""Nested parameters: a dataclass in a config, and the flat names of its fields, ``net.width``."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

from thetahat.core.annotations import arms, bare
from thetahat.core.errors import ConfigError, did_you_mean

_PLAIN = frozenset({int, float, str, bool, type(None)})


def flat_config(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Flatten a config: nested names are joined with dots.

    >>> flat_config({"lr": 0.1, "net": {"width": 8, "act": {"name": "relu"}}})
    {'lr': 0.1, 'net.width': 8, 'net.act.name': 'relu'}
    """
    if not above and _PLAIN.issuperset(map(type, config.values())):
        return dict(config)
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if type(value) not in _PLAIN and isinstance(value, Mapping) and value:
            flat |= flat_config(value, f"{above}{name}.")
        else:
            flat[f"{above}{name}"] = value
    return flat


@lru_cache(maxsize=256)
def fields_of(kind: Any) -> dict[str, Any]:
    """Return the annotations of a dataclass's fields; empty for another type, and for a dataclass
    that its fields alone do not make."""
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return {}
    names = [f.name for f in dataclasses.fields(kind) if f.init]
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
        made_of = list(inspect.signature(kind).parameters)
    except (NameError, TypeError, ValueError):
        return {}
    return {name: hints[name] for name in names} if made_of == names else {}


def revived(annotation: Any, value: Any, name: str, default: Any = None) -> Any:
    """Give a value that went through JSON the type of its annotation, if another is expected.

    Args:    default: whose fields a mapping for a dataclass may leave out.
    Raises:  ConfigError: a mapping with a field that the dataclass lacks, or without a needed one.
    """
    if value is default or type(value) is float:
        return value
    annotation = bare(annotation)
    if annotation is type(value) is int:
        return value
    if len(kinds := arms(annotation)) > 1:
        return _one_of(kinds, value, name, default)
    if isinstance(value, Mapping) and (fields := fields_of(annotation)):
        return _instance(annotation, fields, value, name, default)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _member(annotation, value)
    if isinstance(value, list) and (typing.get_origin(annotation) or annotation) is tuple:
        return tuple(value)
    if isinstance(value, str) and isinstance(annotation, type) and issubclass(annotation, Path):
        return annotation(value)
    return value


def _one_of(kinds: list[Any], value: Any, name: str, default: Any) -> Any:
    for arm in kinds:
        if isinstance(value, Mapping) and value.keys() - fields_of(arm).keys():
            continue
        same = default if type(default) is arm else None
        found = revived(arm, value, name, same)
        if found is not value or (isinstance(arm, type) and type(value) is arm):
            return found
    return value


def _instance(
    kind: Any, fields: Mapping[str, Any], value: Mapping[str, Any], name: str, default: Any
) -> Any:
    given = {}
    for field, part in value.items():
        if field not in fields:
            raise ConfigError(f"{name} has no field {field!r}{did_you_mean(field, fields)}")
        before = getattr(default, field, None)
        given[field] = revived(fields[field], part, f"{name}.{field}", before)
    if type(default) is kind:
        return dataclasses.replace(default, **given)
    try:
        return kind(**given)
    except TypeError as error:
        made_of = ", ".join(given) or "nothing"
        raise ConfigError(f"{name} cannot be made of {made_of}: {error}") from error


def _member(kind: type[Enum], value: Any) -> Any:
    """The member of an enum with this name or value."""
    if isinstance(value, str) and value in kind.__members__:
        return kind[value]
    return next((m for m in kind if m.value == value and type(m.value) is type(value)), value)


def nest(config: Mapping[str, Any], roots: Mapping[str, Any]) -> dict[str, Any]:
    """Nest the dotted names of a config whose first part is among ``roots``.

    >>> nest({"lr": 0.1, "net.width": 8, "net.act": "relu"}, {"lr": 0, "net": 0})
    {'lr': 0.1, 'net': {'width': 8, 'act': 'relu'}}
    """
    found: dict[str, Any] = {}
    for name, value in config.items():
        root, *parts = name.split(".")
        if name in roots or not parts or root not in roots:
            found[name] = value
            continue
        inner = found.setdefault(root, {})
        if dataclasses.is_dataclass(inner):
            inner = found[root] = {f: getattr(inner, f) for f in fields_of(type(inner))}
        for part in parts[:-1]:
            inner = inner.setdefault(part, {})
        inner[parts[-1]] = value
    return found
