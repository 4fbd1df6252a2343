"""What readers need of a sweep file: its metric and its parameters. A file that cannot be read, or
a part of it, is left out; checking files is the business of ``thetahat check``."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Swept:
    """One parameter of a sweep: whether it is drawn on a log scale, whether it has one value."""

    name: str
    log: bool
    constant: bool

    def listing(self) -> dict[str, Any]:
        """As JSON gives it."""
        return {"name": self.name, "log": self.log, "constant": self.constant}


@dataclass(frozen=True)
class SweepFile:
    """The parts of a sweep file that pages and reports show."""

    method: str = ""
    metric: str | None = None
    goal: str = "minimize"
    parameters: tuple[Swept, ...] = ()
    description: str = ""


@functools.lru_cache(maxsize=64)
def read_file(text: str) -> SweepFile:
    """A sweep file as far as it can be read.

    >>> read_file("method: grid\\nparameters: {lr: {values: [0.1, 0.2]}}").method
    'grid'
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    reader = YAML(typ="safe", pure=True)
    reader.allow_duplicate_keys = True
    try:
        found = reader.load(text)
    except (YAMLError, ValueError, TypeError, RecursionError):
        return SweepFile()
    if not isinstance(found, Mapping):
        return SweepFile()
    metric = found.get("metric")
    metric = metric if isinstance(metric, Mapping) else {}
    goal = str(metric.get("goal", "minimize"))
    return SweepFile(
        method=str(found.get("method", "")),
        metric=str(metric["name"]) if metric.get("name") is not None else None,
        goal="maximize" if goal == "maximize" else "minimize",
        parameters=tuple(_parameters(found.get("parameters"))),
        description=str(found.get("description") or ""),
    )


def _parameters(section: Any, above: str = "", depth: int = 0) -> Iterator[Swept]:
    if not isinstance(section, Mapping) or depth > 20:
        return
    for name, entry in section.items():
        if not isinstance(entry, Mapping):
            continue
        if isinstance(entry.get("parameters"), Mapping):
            yield from _parameters(entry["parameters"], f"{above}{name}.", depth + 1)
            continue
        kind = str(entry.get("distribution", ""))
        values = entry.get("values")
        few = isinstance(values, (list, tuple)) and len(values) < 2
        yield Swept(f"{above}{name}", "log" in kind, "value" in entry or few)
