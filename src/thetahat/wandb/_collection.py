"""The versions of one artifact in a project, and their aliases: an alias belongs to one version.

Several runs may have logged one version: each has a row of it, and all rows have its aliases.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

KIND, PART = "artifact", "artifact file"
LINK = "link:"
"""Begins an alias that is a name elsewhere, such as in a registry: several versions may have it."""
_ROWS = (
    "SELECT f.id, f.detail FROM files f JOIN runs r ON r.id = f.run_id WHERE f.kind = 'artifact'"
    " AND json_extract(f.detail, '$.artifact') = :name AND r.project IS"
    " (SELECT project FROM runs WHERE id = :run) ORDER BY f.id"
)
_CHANGE = "UPDATE files SET detail = :detail WHERE id = :row"


class Collection:
    """The versions of the artifact ``name`` in the project of a run, in a transaction."""

    def __init__(self, writer: Any, name: str, run: str) -> None:
        self._writer = writer
        found = writer.execute(_ROWS, {"name": name, "run": run}).fetchall()
        self._rows: dict[int, dict[str, Any]] = {row: json.loads(about) for row, about in found}

    def rows_of(self, version: str) -> list[int]:
        """Return the rows of a version: one for each run that logged it."""
        return [row for row, about in self._rows.items() if about.get("version") == version]

    def version_of(self, digest: str) -> str:
        """Return the latest version with these contents, else the next one."""
        known = [number_of(about) for about in self._rows.values()]
        same = [number_of(about) for about in self._rows.values() if about.get("digest") == digest]
        return f"v{max(same) if same else max(known, default=-1) + 1}"

    def give(
        self,
        version: str,
        aliases: Iterable[str],
        removed: Iterable[str] = (),
        changes: dict[str, Any] | None = None,
    ) -> list[str]:
        """Give aliases to a version, in place of another that has them; return all that it has.

        Args:    changes: other facts of the version, such as its description.
        """
        new, gone = list(aliases), set(removed)
        moved = {alias for alias in new if not alias.startswith(LINK)}
        mine = [about for about in self._rows.values() if about.get("version") == version]
        before = [alias for about in mine for alias in current_aliases(about, self._rows.values())]
        whole = [one for one in dict.fromkeys([*before, *new]) if one not in gone or one in new]
        for row, about in self._rows.items():
            if about.get("version") == version:
                after = {**about, **(changes or {}), "aliases": whole}
            else:
                left = [alias for alias in about.get("aliases", ()) if alias not in moved]
                after = {**about, "aliases": left}
            if after != about:
                detail = json.dumps(after, ensure_ascii=False)
                self._writer.execute(_CHANGE, {"row": row, "detail": detail})
        return whole


def number_of(about: Any) -> int:
    """Return the number of a version.

    >>> number_of({"version": "v12"})
    12
    """
    return int(str(about["version"])[1:])


def current_aliases(about: Any, collection: Iterable[Any]) -> list[str]:
    """Return the aliases of a version that no later version has: older stores leave them in all."""
    later = [one for one in collection if number_of(one) > number_of(about)]
    taken = {alias for one in later for alias in one.get("aliases", ())}
    given = [str(alias) for alias in about.get("aliases", ())]
    return [alias for alias in given if alias not in taken or alias.startswith(LINK)]
