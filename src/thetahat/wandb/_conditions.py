"""Conditions of filters, by the rules of MongoDB.

A value of another type than the condition's is never equal to it, below it or above it: true is
not 1, and the text "1" is not 1. Of a list, the list itself and each of its items are compared.

Source:  https://www.mongodb.com/docs/manual/reference/operator/query/ and its page
         "Comparison/Sort Order".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from thetahat.wandb._errors import CommError

_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}


@dataclass(frozen=True)
class Moment:
    """A time of a run: its text in whole seconds, as W&B gives it, and the exact time."""

    text: str
    exact: datetime

    def beside(self, wanted: datetime) -> datetime:
        """Return the time, in whole seconds if those that are ``wanted`` are whole."""
        return self.exact if wanted.microsecond else self.exact.replace(microsecond=0)


class KeptValues(dict[str, Any]):
    """Values of a metric by kind, such as ``{"min": 9}``: what ``define_metric`` asked for."""


class Several(KeptValues):
    """Values of a metric, none of which stands for the metric alone."""

    def __init__(self, key: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.key = key


def holds(found: Sequence[Any], wanted: Any) -> bool:
    """Whether the values of a field, none where a run lacks it, pass a condition.

    Raises:  CommError: an operator that is not answered, or a value that it does not take.
    """
    if not isinstance(wanted, Mapping) or not any(str(key).startswith("$") for key in wanted):
        return _equal(found, wanted)
    if "$options" in wanted and "$regex" not in wanted:
        raise CommError("$options is for $regex; give both, or neither")
    results = [
        _matches(found, value, wanted.get("$options", ""))
        if name == "$regex"
        else _operator(str(name))(found, value)
        for name, value in wanted.items()
        if name != "$options"
    ]
    return all(results)


def kind_of(value: Any) -> str:
    """Return the type by which MongoDB compares a value.

    Raises:  CommError: a value that is none of JSON's, or one of several of a metric.
    """
    if isinstance(value, Several):
        raise CommError(
            f"{value.key} keeps {', '.join(value)}; name one of them, such as"
            f" {value.key}.{next(iter(value))}"
        )
    kinds = (
        ("null", type(None)),
        ("boolean", bool),
        ("number", (int, float)),
        ("text", str),
        ("list", (list, tuple)),
        ("mapping", Mapping),
        ("time", (Moment, date)),
    )
    for kind, types in kinds:
        if isinstance(value, types):
            return kind
    raise CommError(
        f"a filter cannot compare with {value!r}; give a number, text, true, false, None, a list,"
        " a mapping or a time"
    )


def moment_of(wanted: Any) -> datetime:
    """Return a time that a filter gives: a datetime, a date, or ISO text; UTC unless it says.

    Raises:  CommError: another value.
    """
    try:
        found = datetime.fromisoformat(wanted.strip()) if isinstance(wanted, str) else wanted
    except ValueError:
        found = None
    if isinstance(found, date) and not isinstance(found, datetime):
        found = datetime.combine(found, time())
    if not isinstance(found, datetime):
        raise CommError(
            f"a time is compared with {wanted!r}; give ISO text such as '2026-01-31T12:00:00Z', or"
            " a datetime"
        )
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _operator(name: str) -> Callable[[Sequence[Any], Any], bool]:
    if name not in _OPERATORS:
        raise CommError(
            f"the operator {name!r} is not answered by thetahat; give one of"
            f" {', '.join([*_OPERATORS, '$regex'])}"
        )
    return _OPERATORS[name]


def _each(found: Sequence[Any]) -> Iterator[Any]:
    """Yield the values, and the items of those that are lists."""
    for value in found:
        yield value
        if isinstance(value, (list, tuple)):
            yield from value


def _equal(found: Sequence[Any], wanted: Any) -> bool:
    wanted = _plain(wanted)
    if wanted is None and not found:
        return True
    return any(_same(value, wanted) for value in _each(found))


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, Moment):
        if wanted is None:
            return False
        at = moment_of(wanted)
        return value.beside(at) == at
    kind = kind_of(value)
    if kind != kind_of(wanted):
        return False
    if kind == "list":
        return len(value) == len(wanted) and all(map(_same, value, wanted))
    if kind == "mapping":
        return set(value) == set(wanted) and all(_same(value[k], wanted[k]) for k in wanted)
    return value == wanted or (value != value and wanted != wanted)


def _compared(value: Any, wanted: Any) -> int | None:
    """Return -1, 0 or 1, as the value is below, at or above; None if they do not compare."""
    if isinstance(value, Moment):
        at = moment_of(wanted)
        mine = value.beside(at)
        return (mine > at) - (mine < at)
    kind = kind_of(value)
    if kind != kind_of(wanted) or value != value or wanted != wanted:
        return None
    if kind == "null":
        return 0
    if kind == "list":
        for mine, other in zip(value, wanted, strict=False):
            if (first := _compared(mine, other)) != 0:
                return first
        return (len(value) > len(wanted)) - (len(value) < len(wanted))
    return (value > wanted) - (value < wanted)


def _ordered(name: str, test: Callable[[int], bool]) -> Callable[[Sequence[Any], Any], bool]:
    def passes(found: Sequence[Any], wanted: Any) -> bool:
        wanted = _plain(wanted)
        if kind_of(wanted) == "mapping":
            raise CommError(f"{name} does not compare with the mapping {wanted!r}; give a value")
        if wanted is None:
            return test(0) and _equal(found, None)
        every = (_compared(value, wanted) for value in _each(found))
        return any(result is not None and test(result) for result in every)

    return passes


def _matches(found: Sequence[Any], pattern: Any, options: Any) -> bool:
    if not isinstance(pattern, str) or not isinstance(options, str) or set(options) - set(_FLAGS):
        raise CommError(
            f"$regex takes text, and $options letters of {''.join(_FLAGS)}; got {pattern!r} and"
            f" {options!r}"
        )
    flags = re.NOFLAG
    for letter in options:
        flags |= _FLAGS[letter]
    try:
        compiled = re.compile(pattern, flags)
    except re.error as error:
        raise CommError(f"$regex {pattern!r} is no regular expression ({error})") from error
    words = (value.text if isinstance(value, Moment) else value for value in _each(found))
    return any(isinstance(word, str) and compiled.search(word) is not None for word in words)


def _listed(name: str, test: Callable[[Sequence[Any], Any], bool]) -> Any:
    def passes(found: Sequence[Any], wanted: Any) -> bool:
        if not isinstance(wanted, (list, tuple)):
            raise CommError(f"{name} takes a list; got {wanted!r}: give [{wanted!r}]")
        return test(found, wanted)

    return passes


def _not(found: Sequence[Any], wanted: Any) -> bool:
    if not isinstance(wanted, Mapping) or not all(str(key).startswith("$") for key in wanted):
        raise CommError(f"$not takes a condition such as {{'$gt': 1}}; got {wanted!r}: give $ne")
    return not holds(found, wanted)


def _plain(wanted: Any) -> Any:
    """Return a number of NumPy as Python's own."""
    own = (bool, int, float, str, list, tuple, Mapping, date, type(None))
    if not isinstance(wanted, own) and callable(getattr(wanted, "item", None)):
        return wanted.item() if getattr(wanted, "ndim", 0) == 0 else wanted
    return wanted


_OPERATORS: dict[str, Callable[[Sequence[Any], Any], bool]] = {
    "$eq": _equal,
    "$ne": lambda found, wanted: not _equal(found, wanted),
    "$gt": _ordered("$gt", lambda sign: sign > 0),
    "$gte": _ordered("$gte", lambda sign: sign >= 0),
    "$lt": _ordered("$lt", lambda sign: sign < 0),
    "$lte": _ordered("$lte", lambda sign: sign <= 0),
    "$in": _listed("$in", lambda found, wanted: any(_equal(found, one) for one in wanted)),
    "$nin": _listed("$nin", lambda found, wanted: not any(_equal(found, one) for one in wanted)),
    "$all": _listed(
        "$all", lambda found, wanted: bool(wanted) and all(_equal(found, one) for one in wanted)
    ),
    "$exists": lambda found, wanted: bool(found) == bool(wanted),
    "$not": _not,
}
