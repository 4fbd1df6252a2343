"""A sweep file as plain data: read once, stored as JSON, and what everybody else looks at.

The plain form has the keys of the file. Numbers, true, false and null have Python's own types;
texts such as ``name``, ``program`` and the words of ``command`` have the letters of the file.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from typing import Any

from thetahat.core.yaml_tree import Unreadable, YamlNode, as_written, is_text, read_tree

TEXTS = (
    *("program", "name", "description", "project", "entity"),
    *("kind", "apiVersion", "job", "image_uri"),
)
"""Top-level keys that hold text."""
_FLOAT = "$float"
"""The key of a number that JSON does not have."""


def plain_file(root: YamlNode) -> dict[str, Any]:
    """A file that has been read as plain data; empty where it holds no keys at all."""
    if root.kind != "mapping":
        return {}
    found = dict(root.value)
    for name, at in root.inside.items():
        if name in TEXTS and is_text(at):
            found[name] = as_written(at)
        elif name == "command" and at.kind == "list":
            # W&B's agent hands words on by Python's str.
            items = at.inside.values()
            found[name] = [as_written(i) if is_text(i) else str(i.value) for i in items]
        elif name == "metric" and at.kind == "mapping":
            found[name] = _metric(at)
    return found


def read_plain(text: str) -> dict[str, Any]:
    """The text of a file as plain data, unchecked; empty where it cannot be read.

    >>> read_plain("method: grid\\nparameters: {width: {values: [010, off, 1e-3]}}")["parameters"]
    {'width': {'values': [8, False, 0.001]}}
    """
    try:
        return plain_file(read_tree(text)[0])
    except Unreadable:
        return {}


def file_json(plain: Mapping[str, Any]) -> str:
    """Plain data as strict JSON that keeps every value: 1 and 1.0, NaN and infinity too.

    >>> file_json({"x": [1, 1.0, float("inf"), None]})
    '{"x":[1,1.0,{"$float":"inf"},null]}'
    """
    # ASCII keeps a lone surrogate, which UTF-8 does not have.
    return json.dumps(_stored(plain), allow_nan=False, separators=(",", ":"))


@functools.lru_cache(maxsize=32)
def read_file_json(text: str) -> Mapping[str, Any]:
    """What ``file_json`` was given: one object for all who ask, so change nothing in it."""
    return _restored(json.loads(text))


def _metric(at: YamlNode) -> dict[str, Any]:
    section = dict(at.value)
    name = at.inside.get("name")
    if name is not None and is_text(name):
        section["name"] = as_written(name)
    if section.get("impute_while_running") is False:
        section["impute_while_running"] = "false"
    return section


def _stored(value: Any) -> Any:
    if isinstance(value, Mapping):
        # A key of the user's own that begins like ours gets a second dollar.
        return {f"${k}" if k.startswith("$") else k: _stored(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_stored(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT: str(value)}
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(v) for v in value]
    if isinstance(value, dict):
        if list(value) == [_FLOAT]:
            return float(value[_FLOAT])
        return {
            k.removeprefix("$") if k.startswith("$$") else k: _restored(v) for k, v in value.items()
        }
    return value
