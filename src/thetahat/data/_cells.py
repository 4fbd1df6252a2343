"""Cells of a table as numbers: missing values, thousands, decimals, and cells that do not parse."""

from __future__ import annotations

import numbers
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thetahat.core.errors import ConfigError
from thetahat.data._columns import TableColumn, from_objects

NO_VALUE = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A")
"""Text of a missing value in every CSV file."""
_GROUPS = r"[+-]?\d{{1,3}}({0}\d{{2,3}})*{0}\d{{3}}({1}\d*)?([eE][+-]?\d+)?"
_FORMATS = ((None, "."), (",", "."), (None, ","), (".", ","), (" ", "."), (" ", ","))
"""Marks of thousands and of decimals that are in use, those of one group first."""
_MOSTLY = 0.5
_SHOWN, _LONG = 3, 20


@dataclass(frozen=True)
class Cells:
    """How cells are written.

    Args:    na_values: text and numbers that stand for a missing value, beside ``NO_VALUE``.
             thousands: between groups of three digits, or None.   decimal: before the fraction.
             not_missing: words of ``NO_VALUE`` that are labels in columns of text.
    """

    na_values: tuple[str | float, ...] = ()
    thousands: str | None = None
    decimal: str = "."
    not_missing: tuple[str, ...] = ()

    @property
    def no_value(self) -> list[str]:
        """Text of a missing value."""
        return [*NO_VALUE, *(str(value) for value in self.na_values)]

    @property
    def plain(self) -> bool:
        """Whether Python's own numbers are meant."""
        return self.thousands is None and self.decimal == "."

    def read(self, column: TableColumn) -> TableColumn:
        """Return the column with its missing values, and as numbers if all its text is."""
        if column.kind == "number":
            return replace(column, values=self._without_codes(column.values))
        if column.kind == "other" or (self.plain and not self.na_values):
            return column
        marks = set(self.no_value)
        old = column.values.tolist()
        codes = set(self._codes)
        values = [None if _stands_for_nothing(v, marks, codes) else v for v in old]
        made = np.empty(len(values), object)
        made[:] = values
        column = self.with_labels(replace(column, values=made), old)
        if column.kind == "text" and (not self.plain or values != old):
            floats = [None if v is None else self.number(v) for v in values]
            if all(f is not None or v is None for f, v in zip(floats, values, strict=True)):
                column = from_objects(column.name, floats)
                return replace(column, values=self._without_codes(column.values))
        return column

    def with_labels(self, column: TableColumn, cells: Sequence[Any]) -> TableColumn:
        """Return text with the labels that were read as missing, and other such words counted.

        Args:    cells: (n,), the text of the column as it was written.
        """
        gone = np.flatnonzero(column.gone()).tolist() if column.kind == "text" else []
        kept = {i: cells[i] for i in gone if cells[i] in self.not_missing}
        words = Counter(cells[i] for i in gone if cells[i] in NO_VALUE[1:] and i not in kept)
        if kept:
            values = column.values.copy()
            values[list(kept)] = list(kept.values())
            column = replace(column, values=values)
        return replace(column, words={**column.words, **words}) if words else column

    def number(self, text: str) -> float | None:
        """Return the number of a cell, or None."""
        text = text.strip()
        if self.thousands is not None and self.thousands in text:
            mark = re.escape(self.thousands)
            if not re.fullmatch(_GROUPS.format(mark, re.escape(self.decimal)), text):
                return None
            text = text.replace(self.thousands, "")
        if self.decimal != ".":
            if "." in text:
                return None
            text = text.replace(self.decimal, ".")
        return as_number(text)

    @property
    def _codes(self) -> list[float]:
        """Numbers that stand for a missing value, also as single precision holds them."""
        codes = [c for v in self.na_values if (c := as_number(str(v))) is not None]
        with np.errstate(over="ignore"):
            return codes + [float(np.float32(c)) for c in codes]

    def _without_codes(self, values: np.ndarray) -> np.ndarray:
        codes = self._codes
        return np.where(np.isin(values, codes), np.nan, values) if codes else values


PLAIN = Cells()
"""Cells of numbers as Python writes them."""


def cells_of(
    na_values: Sequence[str | float] | str | float | None,
    thousands: str | None,
    decimal: str,
    not_missing: Sequence[str] | str | None = None,
) -> Cells:
    """Check how cells are written.

    Raises:  ConfigError: marks that are not one character, or clash; words that are no labels.
    """
    if na_values is None:
        marks: tuple[str | float, ...] = ()
    elif isinstance(na_values, (str, numbers.Real)):
        marks = (na_values,)  # pyright: ignore[reportAssignmentType]
    else:
        marks = tuple(na_values) if isinstance(na_values, Iterable) else (na_values,)
    if isinstance(na_values, Mapping) or not all(isinstance(v, str | numbers.Real) for v in marks):
        raise ConfigError(f"na_values={na_values!r:.80}; give text and numbers, such as ['.', -99]")
    if decimal is None:
        raise ConfigError("decimal=None; give one character such as '.' or ','")
    for name, mark in (("thousands", thousands), ("decimal", decimal)):
        if mark is not None and (not isinstance(mark, str) or len(mark) != 1 or mark.isalnum()):
            raise ConfigError(f"{name}={mark!r}; give one character such as ',' or '.'")
    if thousands == decimal:
        other = "," if thousands == "." else "."
        raise ConfigError(f"thousands and decimal are both {decimal!r}; give decimal={other!r}")
    labels = (not_missing,) if isinstance(not_missing, str) else not_missing or ()
    words = NO_VALUE[1:]
    if not isinstance(labels, list | tuple) or any(v not in words or v in marks for v in labels):
        raise ConfigError(
            f"not_missing={not_missing!r}; give words that are labels although they mean a missing"
            f" value elsewhere, and are not in na_values: some of {', '.join(words)}"
        )
    labels = tuple(labels)
    return Cells(marks, thousands, decimal, labels)


def _stands_for_nothing(value: Any, marks: set[str], codes: set[float]) -> bool:
    """Whether a value of a column of text, or a category, means a missing value."""
    if isinstance(value, str):
        return value.strip() in marks
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and value in codes


def as_number(text: str) -> float | None:
    """Return the number that text is, or None; unlike in Python, 1_000 is none.

    >>> as_number(" 1e3 "), as_number("1_000"), as_number(".")
    (1000.0, None, None)
    """
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def odd_cells(
    column: TableColumn, before: int, cells: Cells, *, labels: bool = False
) -> str | None:
    """Describe the cells of a column of numbers that are no numbers, and the fix.

    Args:    before: rows of the table before the column's first.
             labels: whether the column may hold labels, so that the fix names ``categorical`` too.
    Returns: None if fewer than half of the cells are numbers.
    """
    there = [(i, v) for i, v in enumerate(column.values.tolist()) if v is not None]
    odd = [(i, v) for i, v in there if isinstance(v, str) and cells.number(v) is None]
    rest = [v for _, v in there if not isinstance(v, (str, numbers.Real))]
    marks = list(dict.fromkeys(v for _, v in odd))
    few = max(1, int(_MOSTLY * len(there)))
    fix = _other_format([v for _, v in there if isinstance(v, str)], cells, few) if odd else None
    if rest or not odd or (fix is None and len(odd) > few):
        return None
    shown = ", ".join(f"row {before + i + 1}: {v!r}" for i, v in odd[:_SHOWN])
    more = ", ..." if len(odd) > _SHOWN else ""
    many = f"{len(odd)} row{'s' * (len(odd) > 1)}"
    said = f"column {column.name!r} holds numbers, and text in {many} ({shown}{more})"
    return f"{said}; {fix or _fix(column.name, marks, labels)}"


def words_read(words: Mapping[str, Mapping[str, int]]) -> str:
    """Say which words of text were read as missing values, and how to keep them; "" for none.

    Args:    words: by column, how often each was.
    """
    said = ", ".join(
        f"{word!r} of {name!r} (in {n:,} row{'s' * (n > 1)})"
        for name, counts in words.items()
        for word, n in counts.items()
    )
    every = list(dict.fromkeys(word for counts in words.values() for word in counts))
    are, labels = ("is", "it is a label") if len(every) == 1 else ("are", "they are labels")
    return (
        f"; {said} {are} read as missing; if {labels}, give not_missing={every!r}"
        f" (--not-missing {','.join(every)})"
    ) * bool(every)


def _other_format(text: list[str], cells: Cells, few: int) -> str | None:
    """Suggest marks of thousands or decimals that make all cells of a column numbers, but a few
    that may mean a missing value."""
    for thousands, decimal in _FORMATS:
        other = Cells((), thousands, decimal)
        left = [v for v in text if other.number(v) is None]
        gone = list(dict.fromkeys(left))
        if len(left) <= few and len(left) < len(text) and not any(map(_has_digits, gone)):
            marks = {"thousands": thousands, "decimal": decimal}
            given = {k: v for k, v in marks.items() if v is not None and v != getattr(cells, k)}
            python = ", ".join(f"{k}={v!r}" for k, v in given.items())
            flags = " ".join(f"--{k}={v!r}" for k, v in given.items())
            if gone:
                python += f", na_values={gone!r}"
                flags += f" --na-values={','.join(gone)}"
            return f"give {python} ({flags})" if given else None
    return None


def _has_digits(text: str) -> bool:
    return bool(re.search(r"[\d,]", text)) or len(text) > _LONG


def _fix(name: str, marks: Sequence[str], labels: bool) -> str:
    odd = any(len(v) > _LONG or not v.isprintable() or re.search(r"[\d,]", v) for v in marks)
    declared = f"categorical=[{name!r}] (--categorical {name})"
    if odd or len(marks) > _SHOWN:
        return f"correct these cells, or declare it with {declared}"
    flag = ",".join(marks)
    missing = f"give na_values={list(marks)!r} (--na-values={flag}) if they mean a missing value"
    return missing + f", or {declared} if all its cells are labels" * labels
