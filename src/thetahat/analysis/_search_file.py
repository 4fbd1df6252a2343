"""The metric and the parameters of a sweep file, from the parsed spec in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SHOWN = 12


@dataclass(frozen=True)
class Swept:
    """One parameter of a sweep: whether it is drawn on a log scale, whether it has one value."""

    name: str
    log: bool | None
    """Whether its scale is logarithmic; None where only values are listed."""
    constant: bool
    says: str = ""
    """Where it was searched, in words."""

    def listing(self) -> dict[str, Any]:
        """As JSON gives it."""
        return {"name": self.name, "log": self.log, "constant": self.constant}


@dataclass(frozen=True)
class SweepFile:
    """The parts of a sweep file that pages and reports show."""

    method: str = ""
    metric: str | None = None
    goal: str = "minimize"
    objectives: tuple[tuple[str, str], ...] = ()
    """Names and goals, where the file has several metrics; the first is ``metric``."""
    parameters: tuple[Swept, ...] = ()
    description: str = ""
    program: str = ""
    stops: bool = False
    """Whether it stops runs early."""


def read_file(spec: Mapping[str, Any]) -> SweepFile:
    """Read the parts of a sweep file that readers need from ``sweep.spec`` of the store.

    >>> read_file({"method": "grid", "parameters": {"lr": {"values": [0.1, 0.2]}}}).method
    'grid'
    """
    several = spec.get("metrics")
    several = several if isinstance(several, (list, tuple)) else ()
    metric = spec.get("metric") or next(iter(several), None)
    metric = metric if isinstance(metric, Mapping) else {}
    goal = str(metric.get("goal", "minimize"))
    return SweepFile(
        method=str(spec.get("method", "")),
        metric=str(metric["name"]) if metric.get("name") is not None else None,
        goal="maximize" if goal == "maximize" else "minimize",
        objectives=tuple((str(one["name"]), str(one.get("goal", "minimize"))) for one in several),
        parameters=tuple(_parameters(spec.get("parameters"))),
        description=str(spec.get("description") or ""),
        program=str(spec.get("program") or ""),
        stops=bool(spec.get("early_terminate")),
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
        spread = bool(kind) or "min" in entry
        log = "log" in kind if spread else None
        constant = "value" in entry or few
        yield Swept(f"{above}{name}", log, constant, _range(entry, kind, values))


def _range(entry: Mapping[Any, Any], kind: str, values: Any) -> str:
    """Say in words where a parameter is searched: its bounds and its distribution."""
    if "value" in entry:
        return _value_word(entry["value"])
    if isinstance(values, (list, tuple)):
        listed = [_value_word(value) for value in values[:_SHOWN]]
        more = f", and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
        return ", ".join(listed) + more
    law = kind.replace("_", " ")
    if "min" in entry or "max" in entry:
        low, high = _value_word(entry.get("min", "...")), _value_word(entry.get("max", "..."))
        return f"{low} to {high}" + (f" ({law})" if law else "")
    numbers = ", ".join(f"{k} {_value_word(entry[k])}" for k in ("mu", "sigma", "q") if k in entry)
    return f"{law} ({numbers})" if law and numbers else law or numbers


def _value_word(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
