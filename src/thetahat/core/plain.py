"""Python values in JSON's own types, by rules that hold for any value a config may have.

None, bool, int, str, finite float    as they are
NaN and infinity                      null in metrics; "nan", "inf", "-inf" in configs
mappings, lists, tuples, sets         objects (keys as text) and arrays; sets sorted as text
dataclasses                           objects of their fields
paths, enum members                   their text; the member's value
NumPy, JAX and other scalars, arrays  number or nested arrays (by ``tolist``)
functions and classes                 "module.qualname"
anything else                         its ``repr``, without memory addresses
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


def plain_value(value: Any, *, numbers: bool = False) -> Any:
    """``value`` in JSON's own types, by the rules above."""
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
    """Two nested mappings as one; where both have a value, that of ``above`` stands.

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
