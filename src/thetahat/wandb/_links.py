"""Links: versions of artifacts under the name of another collection, such as one of a registry.

A collection of links counts its versions itself, and its aliases are its own. The row of a linked
version has both, by ``project/collection``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from thetahat.wandb._artifacts import Artifact
from thetahat.wandb._collection import LINK, number_of

LINKS = "links"
"""The key of a version's links in what its row says of it."""
_ROWS = "SELECT id, detail FROM files WHERE kind = 'artifact' ORDER BY id"
_CHANGE = "UPDATE files SET detail = :detail WHERE id = :row"


class LinkedArtifact(Artifact):
    """A version under the name of a collection of links; ``source_name`` is its own."""

    _target, _source_version = "", ""
    is_link = True

    def place_at(self, target: str, place: Mapping[str, Any]) -> None:
        """Take the version and the aliases that it has in the collection ``target``."""
        self._target, self._source_version = target, self.version
        self.version = place["version"] or self.version
        self.aliases, self._known_aliases = list(place["aliases"]), list(place["aliases"])

    @property
    def name(self) -> str:
        """The name of the collection, and the version there."""
        return f"{self._target.rpartition('/')[2]}:{self.version}"

    @property
    def project(self) -> str:
        """The project of the collection."""
        return self._target.rpartition("/")[0]

    @property
    def source_name(self) -> str:
        """The name and the version that it was logged as."""
        return f"{self._name}:{self._source_version}"

    @property
    def source_version(self) -> str:
        """The version that it was logged as."""
        return self._source_version

    @property
    def source_project(self) -> str:
        """The project of the run that logged it."""
        return super().project


def target_of(path: str, project: str) -> str:
    """Return ``project/collection`` of what a program names.

    >>> target_of("me/registry/x", "p"), target_of("x", "p")
    ('registry/x', 'p/x')
    """
    parts = path.strip("/").split("/")
    return "/".join(parts[-2:]) if len(parts) > 1 else f"{project}/{parts[0]}"


def link_of(about: Mapping[str, Any], target: str, project: str) -> dict[str, Any] | None:
    """Return version and aliases of a version in a collection of links; None if it is not there.

    Args:    about: what its row says of it.   project: of its run.
    """
    if (found := about.get(LINKS, {}).get(target)) is not None:
        return found
    named = [one.removeprefix(LINK) for one in about.get("aliases", ()) if one.startswith(LINK)]
    if target in [target_of(one, project) for one in named]:  # of an older store
        return {"version": "", "aliases": []}
    return None


def give_link(
    writer: Any,
    rows: Iterable[int],
    target: str,
    aliases: Iterable[str],
    removed: Iterable[str] = (),
) -> dict[str, Any]:
    """Give a version a place in a collection of links, in a transaction; return that place.

    Its aliases there are taken from the others.

    Args:    rows: those of the version.
    """
    mine, new, gone = set(rows), list(aliases), set(removed)
    found = writer.execute(_ROWS, {}).fetchall()
    abouts = {row: json.loads(about) for row, about in found}
    linked = {row: about.get(LINKS, {}) for row, about in abouts.items()}
    there = {row: places[target] for row, places in linked.items() if target in places}
    own = next((place for row, place in there.items() if row in mine), None)
    if own is None:
        known = [number_of(place) for place in there.values()]
        own = {"version": f"v{max(known, default=-1) + 1}", "aliases": []}
    whole = [one for one in dict.fromkeys([*own["aliases"], *new]) if one not in gone]
    own = {**own, "aliases": whole}
    for row, about in abouts.items():
        if row in mine:
            place = own
        elif row in there:
            left = [one for one in there[row]["aliases"] if one not in new]
            place = {**there[row], "aliases": left}
        else:
            continue
        after = {**about, LINKS: {**linked[row], target: place}}
        if after != about:
            detail = json.dumps(after, ensure_ascii=False)
            writer.execute(_CHANGE, {"row": row, "detail": detail})
    return own
