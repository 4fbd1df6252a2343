"""Names of rows in messages: their positions in the user's table or arrays, before any split.

Rows of a table count from 1, without the header, as in the file of ``thetahat fit --predict``;
positions in an array count from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True)
class NamedRows:
    """Names of the rows of a part.

    Args:    kind: "table": rows of a table. "arrays": rows of split arrays. "part": rows of a part
             of a table, after an unknown split. "given": rows of the array itself.
             rows: position of each row of the part in the table or the arrays, (N,); None: its
             position in the part.
    >>> names = NamedRows("table", np.array([7, 2, 4]))
    >>> names.said(names.of(np.array([1, 2])), 2)
    'rows 3, 5 of the table, counted from 1'
    >>> NamedRows().said([1], 4)
    'index 1, ...'
    """

    kind: str = "given"
    rows: Any = None

    @property
    def word(self) -> str:
        """Preposition before the names: in rows, at indices."""
        return "in" if self.kind == "table" else "at"

    def of(self, at: np.ndarray) -> np.ndarray:
        """Return the positions of rows of the part in the user's data, (n,)."""
        return at if self.rows is None else np.asarray(self.rows[at])

    def said(self, at: Sequence[int] | np.ndarray, count: int) -> str:
        """Name some rows, at positions from ``of``, out of ``count`` such rows."""
        shift = int(self.kind == "table")
        one, many = ("row", "rows") if shift else ("index", "indices")
        listed = ", ".join(str(int(row) + shift) for row in at)
        tail = {
            "table": " of the table, counted from 1",
            "arrays": " of what was split",
            "part": " of the part, in the order of the split",
        }
        more = ", ..." if count > len(at) else ""
        return f"{one if len(at) == 1 else many} {listed}{more}{tail.get(self.kind, '')}"


class LaterRows(Mapping[str, Any]):
    """The rows of each part, found when they are asked for.

    >>> LaterRows(lambda: {"train": np.arange(3)})["train"]
    array([0, 1, 2])
    """

    def __init__(self, find: Callable[[], Mapping[str, Any]]) -> None:
        self._find = find

    @cached_property
    def _rows(self) -> Mapping[str, Any]:
        return self._find()

    def __getitem__(self, part: str) -> Any:
        return self._rows[part]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
