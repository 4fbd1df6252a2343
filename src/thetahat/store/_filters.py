"""Filter and sort runs by conditions such as ``val_risk<0.1`` or ``config.lr>=0.01``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.store._rows import LISTED, RunRow

_CONDITION = re.compile(r"\s*([^\s<>=!~]+)\s*(<=|>=|!=|==|=|<|>|~)\s*(.*?)\s*", re.DOTALL)
_LIST = re.compile(r"\s*([^\s<>=!~]+)\s+in\s*[(\[{](.*)[)\]}]\s*", re.DOTALL)
_PAIR = re.compile(r"\s*([^\s<>=!~:]+):\s*(\S.*?)\s*", re.DOTALL)
_JOINED = re.compile(r"\s(and|or|&&?|\|\|?)\s+\S+\s*[<>=!~]")
SECTIONS = ("metrics", "config", "labels")
OWN = tuple(name for name in LISTED if name not in (*SECTIONS, "seconds"))


@dataclass(frozen=True)
class Condition:
    """One test of a run: a column, a comparison, a value."""

    column: str
    operator: str
    value: Any

    def holds(self, run: RunRow) -> bool:
        """Whether a run passes; without the column it passes only ``!=``."""
        return self.passes(value_of(run, self.column))

    def passes(self, found: Any) -> bool:
        """Whether a run passes with this value in the column; None is a missing value."""
        if self.operator == "in":
            return any(_equal(found, value) for value in self.value)
        if self.operator in ("=", "!="):
            return _equal(found, self.value) == (self.operator == "=")
        if found is None:
            return False
        if self.operator == "~":
            return str(self.value).lower() in str(found).lower()
        return _ordered(found, self.operator, self.value)


def read_condition(text: str) -> Condition:
    """Parse a condition of the command line.

    >>> read_condition("config.lr>=0.01")
    Condition(column='config.lr', operator='>=', value=0.01)

    Raises:  ConfigError: no comparison.
    """
    if (match := _LIST.fullmatch(text)) is not None:
        words = [word.strip() for word in match[2].split(",")]
        return Condition(match[1], "in", [_read_value(_unquoted(word)) for word in words if word])
    match = _CONDITION.fullmatch(text)
    if match is None and (pair := _PAIR.fullmatch(text)) is not None:
        return Condition(pair[1], "=", _read_value(pair[2]))
    if match is None or _is_typo(match[2], match[3]):
        raise ConfigError(
            f"{text!r} is not a condition; write a column, one of = != < <= > >= ~ and a value,"
            " such as 'status=finished' or 'config.lr>=0.01'"
        )
    column, operator, value = match.groups()
    if _JOINED.search(value):
        raise ConfigError(f"{text!r} holds two conditions; give --where for each of them")
    return Condition(column, "=" if operator == "==" else operator, _read_value(value))


def _unquoted(word: str) -> str:
    quoted = len(word) > 1 and word[0] == word[-1] and word[0] in "'\""
    return word[1:-1] if quoted else word


def _is_typo(operator: str, value: str) -> bool:
    """Detect a typing error such as ``lr>>1``, ``lr=>1``, ``lr>``, which holds for no run."""
    doubled = value.startswith(("<", ">", "=", "!", "~"))
    return operator != "~" and (doubled or (not value and operator[0] in "<>"))


def value_of(run: RunRow, column: str) -> Any:
    """Return a run's value in a column: its own, a metric or a config value; else None."""
    if column == "seconds":
        return run.total_seconds
    if column in OWN:
        return getattr(run, column)
    section, dot, name = column.partition(".")
    if dot and section in (*SECTIONS, "seconds"):
        return _inside(getattr(run, section), name)
    for section in SECTIONS:
        found = _inside(getattr(run, section), column)
        if found is not None:
            return found
    return None


def known_columns(listed: Iterable[RunRow]) -> list[str]:
    """Return the columns that any run has, own columns first."""
    names: dict[str, None] = dict.fromkeys((*OWN, "seconds"))
    for run in listed:
        for section in SECTIONS:
            keys = getattr(run, section)
            names.update(dict.fromkeys(keys))
            names.update(dict.fromkeys(f"{section}.{key}" for key in keys))
        names.update(dict.fromkeys(f"seconds.{key}" for key in run.seconds))
    return list(names)


def check_columns(asked: Iterable[str], listed: Sequence[RunRow]) -> None:
    """Refuse a column that no run has.

    Raises:  ConfigError: an unknown column; the nearest is offered.
    """
    asked = list(asked)
    if not listed or all(column in OWN for column in asked):
        return
    known = known_columns(listed)
    for column in asked:
        if column not in known and all(value_of(run, column) is None for run in listed):
            short = [name for name in known if "." not in name]
            raise ConfigError(f"no run has a column {column!r}{did_you_mean(column, short)}")


def _key(found: Any) -> tuple[int, Any]:
    """Sort numbers by size, then texts."""
    return (0, found) if isinstance(found, (int, float)) else (1, str(found))


def ordered(listed: Sequence[RunRow], sort: str) -> list[RunRow]:
    """Sort runs by a column, ``-column`` in descending order; missing values come last."""
    if sort == "number":
        return sorted(listed, key=attrgetter("number"))
    values = [value_of(run, sort.removeprefix("-")) for run in listed]
    return [listed[i] for i in places(values, descending=sort.startswith("-"))]


def places(values: Sequence[Any], *, descending: bool) -> list[int]:
    """Return the places of values in their order; equal values stay as they are, None is last."""
    have = [i for i, value in enumerate(values) if _present(value)]
    lack = [i for i, value in enumerate(values) if not _present(value)]
    have.sort(key=lambda i: _key(values[i]), reverse=descending)
    return have + lack


def _present(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _inside(section: Mapping[str, Any], name: str) -> Any:
    if name in section:
        return section[name]
    found: Any = section
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def _read_value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # text, or a number with more digits than Python reads
        return {"True": True, "False": False, "None": None}.get(text, text)


def _equal(found: Any, value: Any) -> bool:
    if isinstance(found, list) and not isinstance(value, list):
        # One of several tags.
        return any(_equal(item, value) for item in found)
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value or str(found) == value
    return found == value or (found is not None and str(found) == str(value))


def _ordered(found: Any, operator: str, value: Any) -> bool:
    number = (int, float)
    if not (isinstance(found, number) and isinstance(value, number)):
        found, value = str(found), str(value)
    compare = {"<": found < value, "<=": found <= value, ">": found > value, ">=": found >= value}
    return compare[operator]
