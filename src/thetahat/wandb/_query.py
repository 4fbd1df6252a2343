"""Filters and orders of ``wandb.Api().runs``: conditions in the words of MongoDB."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thetahat.wandb._errors import CommError

_MISSING = object()
_ALIASES = {
    "jobType": "job_type",
    "job_type": "job_type",
    "group": "group",
    "display_name": "name",
    "displayName": "name",
    "name": "id",
    "sweep": "sweep_name",
    "created_at": "created_at",
    "createdAt": "created_at",
    "heartbeat_at": "heartbeat_at",
    "heartbeatAt": "heartbeat_at",
    "username": "user_name",
    "state": "state",
    "tags": "tags",
    "notes": "notes",
    "project": "project",
}
"""Names of filters, and the attributes of a run that they mean. W&B's ``name`` is the id."""


def passes(run: Any, filters: Mapping[str, Any]) -> bool:
    """Whether a run passes filters such as ``{"config.lr": {"$gt": 0.1}, "tags": "ensemble"}``.

    Raises:  CommError: an operator or a name that W&B does not know.
    """
    for key, wanted in filters.items():
        if key in ("$and", "$or", "$nor"):
            found = [passes(run, one) for one in wanted]
            good = all(found) if key == "$and" else any(found) == (key == "$or")
        elif key == "$not":
            good = not passes(run, wanted)
        else:
            good = _holds(value_at(run, key), wanted)
        if not good:
            return False
    return True


def value_at(run: Any, key: str) -> Any:
    """Return what a filter's name means for a run; ``_MISSING`` where the run lacks it."""
    section, dot, name = key.partition(".")
    if dot and section in ("config", "summary_metrics", "summary", "summaryMetrics"):
        values = run.config if section == "config" else run.summary
        found = _inside(values, name)
        if found is _MISSING and name.endswith(".value"):  # W&B's own form of a config
            found = _inside(values, name.removesuffix(".value"))
        return found
    if key in _ALIASES:
        found = getattr(run, _ALIASES[key])
        return _MISSING if found is None else found
    raise CommError(
        f"the filter {key!r} is not answered by thetahat; filter on config.NAME,"
        f" summary_metrics.NAME, or one of {', '.join(sorted(_ALIASES))}"
    )


def _inside(values: Any, name: str) -> Any:
    """Return a value by its name, or by its path through nested mappings."""
    if name in values:
        return values[name]
    for at in [k for k, letter in enumerate(name) if letter == "."]:
        inner = values.get(name[:at])
        if isinstance(inner, Mapping):
            found = _inside(inner, name[at + 1 :])
            if found is not _MISSING:
                return found
    return _MISSING


def _holds(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping) and any(str(key).startswith("$") for key in wanted):
        return all(_operator(key)(found, value) for key, value in wanted.items())
    return _equal(found, wanted)


def _operator(name: str) -> Callable[[Any, Any], bool]:
    if name not in _OPERATORS:
        raise CommError(
            f"the operator {name!r} is not answered by thetahat; give one of"
            f" {', '.join(_OPERATORS)}"
        )
    return _OPERATORS[name]


def _equal(found: Any, wanted: Any) -> bool:
    if wanted is None:
        return found is _MISSING or found is None
    if isinstance(found, (list, tuple)):
        # As in MongoDB: the list itself, or one of its items.
        return list(found) == wanted or any(item == wanted for item in found)
    return found is not _MISSING and found == wanted


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def holds(found: Any, wanted: Any) -> bool:
        try:
            return found is not _MISSING and bool(compare(found, wanted))
        except TypeError:
            return False

    return holds


def _matches(found: Any, pattern: str) -> bool:
    words = found if isinstance(found, (list, tuple)) else [found]
    return any(isinstance(word, str) and re.search(pattern, word) for word in words)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": _equal,
    "$ne": lambda found, wanted: not _equal(found, wanted),
    "$gt": _ordered(lambda a, b: a > b),
    "$gte": _ordered(lambda a, b: a >= b),
    "$lt": _ordered(lambda a, b: a < b),
    "$lte": _ordered(lambda a, b: a <= b),
    "$in": lambda found, wanted: any(_equal(found, one) for one in wanted),
    "$nin": lambda found, wanted: not any(_equal(found, one) for one in wanted),
    "$all": lambda found, wanted: all(_equal(found, one) for one in wanted),
    "$exists": lambda found, wanted: (found is not _MISSING) == bool(wanted),
    "$regex": _matches,
    "$not": lambda found, wanted: not _holds(found, wanted),
}


def in_order(runs: Sequence[Any], order: str) -> list[Any]:
    """Sort runs as ``order="-summary_metrics.acc"`` asks; those that lack the value come last."""
    name = order.lstrip("+-")
    if _ALIASES.get(name) == "created_at":  # the clock has seconds, the store has the order
        return sorted(runs, key=lambda run: run.number, reverse=order.startswith("-"))
    found = [(value_at(run, name), run) for run in runs]
    have = [pair for pair in found if pair[0] is not _MISSING and pair[0] == pair[0]]
    lack = [run for value, run in found if value is _MISSING or value != value]
    numbers = (int, float)
    have.sort(
        key=lambda pair: (0, pair[0]) if isinstance(pair[0], numbers) else (1, str(pair[0])),
        reverse=order.startswith("-"),
    )
    return [run for _, run in have] + lack
