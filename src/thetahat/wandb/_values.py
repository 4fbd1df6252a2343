"""Values that a program logs or configures, as plain ones: numbers, words and nested mappings.

This module is loaded by every run of a program with ``wandb``: it loads nothing itself.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any


def load(name: str) -> Any:
    """Load a module of this room that only some programs need, such as ``_media``."""
    return importlib.import_module(f"thetahat.wandb.{name}")


_PLAIN = (int, float, str, bool, type(None))


def plain(value: Any) -> Any:
    """Return a value as JSON types; those of NumPy, PyTorch and others by ``plain_value``."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return {str(k): plain(v) for k, v in value.items()}
    if kind in (list, tuple):
        return [plain(v) for v in value]
    from thetahat.core.json import plain_value

    if callable(getattr(value, "detach", None)):  # a tensor of PyTorch
        value = value.detach().cpu().numpy()
    return plain_value(value)


def as_mapping(given: Any) -> dict[str, Any]:
    """Return what a program gives as config: a mapping, a namespace, flags, or a file of YAML.

    Raises:  TypeError: it is something else.
    """
    if given is None:
        return {}
    if isinstance(given, str):
        return _from_yaml(given)
    if hasattr(given, "flag_values_dict"):  # absl
        return given.flag_values_dict()
    if hasattr(given, "items"):
        return {str(k): v for k, v in given.items()}
    if hasattr(given, "__dict__") and not isinstance(given, type):
        return dict(vars(given))
    raise TypeError(f"config={given!r} is not a mapping; give names and values: {{'lr': 0.1}}")


def _from_yaml(path: str) -> dict[str, Any]:
    """Read a file of W&B: ``{name: value}`` or ``{name: {value: v, desc: ...}}``."""
    from thetahat.core.yaml_tree import read_tree

    with open(path, encoding="utf-8") as file:
        read = dict(read_tree(file.read())[0].value or {})
    read.pop("wandb_version", None)
    return {
        name: v["value"] if isinstance(v, dict) and set(v) <= {"value", "desc"} and v else v
        for name, v in read.items()
    }


def number_in(value: Any) -> float | None:
    """Return a number, or the one number of an array, as float; None for other values."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    if getattr(value, "size", None) == 1 or callable(getattr(value, "numel", None)):
        try:
            one = value.item()
        except (ValueError, RuntimeError, AttributeError, TypeError):
            return None
        return None if isinstance(one, bool) or not isinstance(one, (int, float)) else float(one)
    return float(value) if hasattr(value, "__float__") and not hasattr(value, "shape") else None


def leaves(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a nested mapping, under names such as ``val.rmse``."""
    for key, value in values.items():
        if hasattr(value, "items") and not hasattr(value, "iloc"):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def nested(flat: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the values whose names begin with ``prefix``, nested again at the dots."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        if name.startswith(prefix):
            *path, last = name[len(prefix) :].split(".")
            at = found
            for word in path:
                inner = at.setdefault(word, {})
                at = inner if isinstance(inner, dict) else {}
            at[last] = value
    return found
