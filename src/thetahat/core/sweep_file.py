"""A sweep file as plain data: read once, stored as JSON, and read by agents, pages and reports.

The plain form has the keys of the file. Numbers, true, false and null have Python's own types;
texts such as ``name``, ``program`` and the words of ``command`` have the letters of the file.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from typing import Any

from thetahat.core.yaml_tree import Unreadable, YamlNode, read_tree

TEXTS = (
    *("program", "name", "description", "project", "entity"),
    *("kind", "apiVersion", "job", "image_uri"),
)
"""Top-level keys that hold text."""
_FLOAT = "$float"
"""The key of a number that JSON lacks."""


def plain_file(root: YamlNode) -> dict[str, Any]:
    """Return a file as plain data; empty where it has no keys."""
    if root.kind != "mapping":
        return {}
    plain = {
        name: _letters(node) if name in TEXTS else node.value for name, node in root.inside.items()
    }
    command, metric = root.inside.get("command"), root.inside.get("metric")
    metrics, scheduler = root.inside.get("metrics"), root.inside.get("scheduler")
    if command is not None and command.kind == "list":
        # W&B's agent passes words on by Python's str.
        plain["command"] = [str(_letters(word)) for word in command.inside.values()]
    if metric is not None and metric.kind == "mapping":
        plain["metric"] = _metric(metric)
    if metrics is not None and metrics.kind == "list":
        plain["metrics"] = [
            _metric(one) if one.kind == "mapping" else one.value for one in metrics.inside.values()
        ]
    if scheduler is not None and scheduler.kind == "mapping":
        plain["scheduler"] = {name: _letters(node) for name, node in scheduler.inside.items()}
    return plain


def _metric(node: YamlNode) -> dict[str, Any]:
    found = {**node.value}
    if "name" in node.inside:
        found["name"] = _letters(node.inside["name"])
    if found.get("impute_while_running") is False:
        found["impute_while_running"] = "false"
    return found


def _letters(node: YamlNode) -> Any:
    return node.value if node.letters is None else node.letters


def read_plain(text: str) -> dict[str, Any]:
    """Read the text of a file as plain data, unchecked; empty where it cannot be read.

    >>> read_plain("method: grid\\nparameters: {width: {values: [010, off, 1e-3]}}")["parameters"]
    {'width': {'values': [8, False, 0.001]}}
    """
    try:
        return plain_file(read_tree(text)[0])
    except Unreadable:
        return {}


def file_json(plain: Mapping[str, Any]) -> str:
    """Write plain data as strict JSON that keeps every value: 1 and 1.0, NaN and infinity too.

    >>> file_json({"x": [1, 1.0, float("inf"), None]})
    '{"x":[1,1.0,{"$float":"inf"},null]}'
    """
    # ASCII keeps a lone surrogate, which UTF-8 lacks.
    return json.dumps(_stored(plain), allow_nan=False, separators=(",", ":"))


@functools.lru_cache(maxsize=32)
def read_file_json(text: str) -> Mapping[str, Any]:
    """Read the JSON of ``file_json``. All callers share one object; do not change it."""
    return _restored(json.loads(text))


def _stored(value: Any) -> Any:
    if isinstance(value, Mapping):
        # A user's key that begins with a dollar gets a second one.
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
