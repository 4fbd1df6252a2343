"""How a message names rows: as the user's table or arrays have them, whatever a split made of them.

Rows of a table count from 1, as in the file of ``thetahat fit --predict``; a header does not count.
Positions in an array count from 0, as its index does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class NamedRows:
    """What the rows of a part are called.

    Args:    kind: "table": rows of a table. "arrays": of arrays that were split. "part": of a part
             of a table, by a split that is not known. "given": of the array itself.
             rows: where in the table or the arrays each row of the part stands, (N,); None: where
             it stands in the part.
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
        """What stands before them: in rows, at indices."""
        return "in" if self.kind == "table" else "at"

    def of(self, at: np.ndarray) -> np.ndarray:
        """Where rows of the part stand in what the user gave, (n,)."""
        return at if self.rows is None else np.asarray(self.rows[at])

    def said(self, at: Sequence[int] | np.ndarray, count: int) -> str:
        """Some rows by their names, which ``of`` gave; ``count`` is of all such."""
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
