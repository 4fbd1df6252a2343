"""Filters and orders of ``wandb.Api().runs``: which values of a run they name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from thetahat.core.errors import did_you_mean
from thetahat.wandb._conditions import KeptValues, Moment, Several, holds, kind_of
from thetahat.wandb._errors import CommError
from thetahat.wandb._run import warn

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
    "entity": "entity",
    "state": "state",
    "tags": "tags",
    "notes": "notes",
    "project": "project",
}
"""Names of filters, and the attributes of a run that they mean. W&B's ``name`` is the id."""
_SUMMARY = ("summary_metrics", "summary", "summaryMetrics")
_GROUPS = ("$and", "$or", "$nor")
_OF_GOAL = {"+": ("min", "best", "last"), "-": ("max", "best", "last")}
"""Which of a metric's kept values is best, if low values are (``+``) or high ones."""
_RANKS = {"number": 0, "text": 1, "boolean": 2, "time": 3}
"""Values of several types, in MongoDB's order."""


def passes(run: Any, filters: Mapping[str, Any]) -> bool:
    """Whether a run passes filters such as ``{"config.lr": {"$gt": 0.1}, "tags": "ensemble"}``.

    Raises:  CommError: an operator or a name that is not answered, or a value that it does not
             take.
    """
    good = True
    for key, wanted in filters.items():  # all of them: each may be one that is refused
        if key in _GROUPS:
            good = _group_passes(run, key, wanted) and good
        elif key == "$not":
            good = not passes(run, wanted) and good
        else:
            good = holds(values_at(run, key), wanted) and good
    return good


def _group_passes(run: Any, key: str, wanted: Any) -> bool:
    parts = isinstance(wanted, (list, tuple)) and all(isinstance(one, Mapping) for one in wanted)
    if not parts or not (wanted or key == "$and"):  # W&B's page writes an empty $and for no filter
        raise CommError(f"{key} takes a list of filters, at least one; got {wanted!r}")
    found = [passes(run, one) for one in wanted]
    return all(found) if key == "$and" else any(found) == (key == "$or")


def values_at(run: Any, key: str, sign: str = "") -> list[Any]:
    """Return what a name means for a run: nothing where the run lacks it.

    A path through a list has a value for each item that has it.

    Args:    sign: of a metric for which ``define_metric`` keeps several values, which one is
             meant: ``+`` if low ones are best, ``-`` if high ones are.
    Raises:  CommError: a name that is not answered.
    """
    section, dot, name = key.partition(".")
    if dot and section == "config":
        values = run.rawconfig
        found = list(_inside(values, name))
        if not found and "value" in (parts := name.split("."))[1:]:  # W&B's own form of a config
            parts.pop(parts.index("value", 1))
            found = list(_inside(values, ".".join(parts)))
        return found
    if dot and section in _SUMMARY:
        return [_standing(key, value, sign) for value in _inside(run.summary, name)]
    if key not in _ALIASES:
        what = "operator" if key.startswith("$") else "filter"
        raise CommError(
            f"the {what} {key!r} is not answered by thetahat{did_you_mean(key, _ALIASES)}; filter"
            " on config.NAME, summary_metrics.NAME, or one of"
            f" {', '.join(sorted(_ALIASES))}, {', '.join(_GROUPS)}"
        )
    found = getattr(run, _ALIASES[key])
    if found is None:
        return []
    return [_moment(run, found) if _ALIASES[key].endswith("_at") else found]


def _moment(run: Any, found: str) -> Moment:
    """Return a time of a run: when it began is known exactly."""
    exact = datetime.fromisoformat(run.began if found == run.created_at else found)
    exact = exact.replace(tzinfo=UTC) if exact.tzinfo is None else exact.astimezone(UTC)
    return Moment(found, exact)


def _standing(key: str, value: Any, sign: str) -> Any:
    """Return the value that stands for a metric: the one that is kept, or the best of several."""
    if not isinstance(value, KeptValues):
        return value
    if len(value) == 1:
        return next(iter(value.values()))
    best = next((kind for kind in _OF_GOAL.get(sign, ()) if kind in value), None)
    return Several(key, value) if best is None else value[best]


def _inside(values: Any, name: str) -> Iterator[Any]:
    """Yield the values at a name, or at a path through nested mappings and lists."""
    if isinstance(values, Mapping):
        if name in values:
            yield values[name]
            return
        for at in [k for k, letter in enumerate(name) if letter == "."]:
            found = list(_inside(values.get(name[:at]), name[at + 1 :]))
            if found:
                yield from found
                return
    elif isinstance(values, (list, tuple)):
        first, _, rest = name.partition(".")
        if first.isdecimal() and int(first) < len(values):
            item = values[int(first)]
            yield from _inside(item, rest) if rest else (item,)
        for item in values:
            if isinstance(item, Mapping):
                yield from _inside(item, name)


# -- orders -------------------------------------------------------------------------------------


def in_order(
    runs: Sequence[Any], order: str | Sequence[str] | None, best: bool = False
) -> list[Any]:
    """Sort runs as ``order="-summary_metrics.acc"`` asks; those that lack the value come last.

    Args:    order: several are separated by commas: ``"+config.n,-summary_metrics.acc"``.
             best: whether the first run is to be the best one, by a metric's best kept value.
    Raises:  CommError: a name that is not answered, or one of a mapping.
    """
    words = [order or "+created_at"] if order is None or isinstance(order, str) else order
    parts = [part for one in words for part in re.split(r",(?=\s*[+-])", one)]
    found = list(runs)
    for part in reversed(parts):
        found = _sorted(found, part.strip(), best)
    return found


def order_of_sweep(order: str) -> str:
    """Return an order with a sign, by W&B's rules: descending, and by a metric, unless it says."""
    sign, name = (order[0], order[1:]) if order[:1] in ("+", "-") else ("-", order)
    if name in _ALIASES or name.partition(".")[0] in ("config", *_SUMMARY):
        return f"{sign}{name}"
    return f"{sign}summary_metrics.{name}"


def _sorted(runs: list[Any], order: str, best: bool) -> list[Any]:
    descending, name = order.startswith("-"), order.removeprefix("+").removeprefix("-")
    if _ALIASES.get(name) == "created_at":  # the clock has seconds, the store has the order
        return sorted(runs, key=lambda run: run.number, reverse=descending)
    sign = ("-" if descending else "+") if best else ""
    ranked: list[tuple[Any, Any]] = []
    lack: list[Any] = []
    for run in runs:
        ranks = [_rank(one, name) for value in values_at(run, name, sign) for one in _items(value)]
        if ranks:
            # Of a list, as in MongoDB: its smallest item, or its largest.
            ranked.append((max(ranks) if descending else min(ranks), run))
        else:
            lack.append(run)
    if lack and not ranked:
        warn(f"order={order!r}: no run has {name}; the runs come in the order of their creation")
    ranked.sort(key=lambda pair: pair[0], reverse=descending)
    return [run for _, run in ranked] + lack


def _items(value: Any) -> list[Any]:
    every = value if isinstance(value, (list, tuple)) else [value]
    return [one for one in every if one is not None and one == one]


def _rank(value: Any, name: str) -> tuple[Any, ...]:
    kind = kind_of(value)
    if kind == "list":
        return (4, str(value))
    if kind == "mapping":
        raise CommError(
            f"order by {name}: it is a mapping; name one of its values, such as"
            f" {name}.{next(iter(value), 'NAME')}"
        )
    return (_RANKS[kind], value.exact if isinstance(value, Moment) else value)
