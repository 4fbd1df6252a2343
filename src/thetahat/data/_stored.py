"""A table's transform as JSON and arrays, and back: for files that hold a fitted model.

Only the frozen dataclasses of the transform and the encoder are made, by name; their fields may be
text, numbers, dates, tuples, arrays, or one of these classes. Nothing else can come from a file.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from thetahat.core.errors import ConfigError
from thetahat.data import _cells, _classes, _encoder, _transform

KINDS: dict[str, Any] = {
    name: kind
    for module in (_transform, _encoder, _classes, _cells)
    for name, kind in vars(module).items()
    if dataclasses.is_dataclass(kind) and getattr(kind, "__module__", "") == module.__name__
}
_DATES: dict[str, Any] = {
    "datetime": datetime.datetime,
    "date": datetime.date,
    "time": datetime.time,
}


def to_stored(given: Any, arrays: dict[str, np.ndarray], name: str) -> Any:
    """Convert a transform, or a part of one, to JSON types; arrays go into ``arrays`` by name.

    Raises:  ConfigError: a value of a type that a file cannot hold.
    """
    value: Any = given
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, tuple):
        return {"tuple": [to_stored(v, arrays, f"{name}/{n}") for n, v in enumerate(value)]}
    if isinstance(value, np.str_):
        return str(value)
    if isinstance(given, (np.ndarray, np.generic)) and given.dtype.kind in "fiub":
        arrays[name] = np.asarray(given)
        return {"array": name}
    if type(value).__name__ in KINDS and type(value) is KINDS[type(value).__name__]:
        fields = {
            field.name: to_stored(getattr(value, field.name), arrays, f"{name}/{field.name}")
            for field in dataclasses.fields(value)
        }
        return {"kind": type(value).__name__, "fields": fields}
    for word, kind in _DATES.items():
        if type(value) is kind:
            return {word: value.isoformat()}
    raise ConfigError(
        f"{name} is a {type(value).__name__}, which a file cannot hold; use text or numbers"
    )


def from_stored(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Undo ``to_stored``.

    Raises:  ValueError, TypeError, KeyError: the file does not hold what it should.
    """
    if value is None or type(value) in (bool, int, str, float):
        return value
    if "kind" in value:
        fields = {name: from_stored(part, arrays) for name, part in value["fields"].items()}
        return KINDS[value["kind"]](**fields)
    ((word, held),) = value.items()
    if word == "tuple":
        return tuple(from_stored(part, arrays) for part in held)
    if word == "array":
        return arrays[held]
    return float(held) if word == "float" else _DATES[word].fromisoformat(held)
