"""Python values as JSON types and as strict JSON text.

None, bool, int, str, finite float    as they are
NaN and infinity                      null in metrics; "nan", "inf", "-inf" in configs
mappings, lists, tuples, sets         objects (keys as text) and arrays; sets sorted as text
Results, loaded models                a word and a key of their numbers
dataclasses                           objects of their fields
paths, enum members                   their text; the member's value
NumPy, JAX and other scalars, arrays  number or nested arrays (by ``tolist``)
functions and classes                 "module.qualname"
anything else                         its ``repr``, without memory addresses
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any


def to_json(value: Any, *, numbers: bool = False) -> str:
    """Write ``value`` as strict JSON text; ``numbers=True`` makes NaN and infinity null.

    >>> to_json({"lr": 0.1, "widths": (64, 64), "loss": max, "bad": float("nan")})
    '{"lr":0.1,"widths":[64,64],"loss":"builtins.max","bad":"nan"}'
    >>> to_json({"val_risk": float("inf")}, numbers=True)
    '{"val_risk":null}'
    """
    if isinstance(value, dict) and not value:
        return "{}"
    plain = plain_value(value, numbers=numbers)
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Databases store UTF-8; a lone surrogate (a file name in another code) has no such bytes.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def from_json(text: str | None) -> Any:
    """Read JSON text; return an empty object for None or an empty text."""
    return json.loads(text) if text and text != "{}" else {}


_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


def plain_value(value: Any, *, numbers: bool = False) -> Any:
    """Convert ``value`` to JSON types, by the rules above."""
    if value is None or type(value) in (bool, str):
        return value
    if isinstance(value, Enum):
        return plain_value(value.value, numbers=numbers)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return None if numbers else str(float(value))
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): plain_value(v, numbers=numbers) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(v, numbers=numbers) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain_value(v, numbers=numbers) for v in value), key=str)
    return _other(value, numbers)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two nested mappings; values of ``above`` replace those of ``below``.

    >>> merge({"lr": 1, "net": {"depth": 2}}, {"lr": 3, "net": {"width": 8}})
    {'lr': 3, 'net': {'depth': 2, 'width': 8}}
    """
    merged = dict(below)
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(name), Mapping):
            merged[name] = merge(merged[name], value)
        else:
            merged[name] = value
    return merged


def _other(value: Any, numbers: bool) -> Any:
    if not isinstance(value, type) and callable(of := getattr(value, "as_start", None)):
        return str(of())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return plain_value(named, numbers=numbers)
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if hasattr(value, "tolist") and hasattr(value, "dtype") and not isinstance(value, type):
        listed = value.tolist()
        if isinstance(listed, (bool, int, float, str, list)):
            return plain_value(listed, numbers=numbers)
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return _ADDRESS.sub("", repr(value))
