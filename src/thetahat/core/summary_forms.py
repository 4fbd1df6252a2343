"""A value and a mapping under one name exclude each other in a summary: the last one stands.

Names of values inside a mapping have dots: ``log({"val": {"rmse": 1}})`` makes ``val.rmse``. As in
W&B, a mapping that is logged adds to one that was logged before, and one that is put into the
summary takes its place.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


KEPT = frozenset({"min", "max", "mean", "best", "last", "first"})
"""What ``define_metric`` may ask for: ``loss.min`` stands beside the numbers of ``loss``."""


class Forms:
    """Counts which names have been mappings, and which of them were put whole.

    Args:    mappings: those of the run so far.
    """

    def __init__(self, mappings: Collection[str] = ()) -> None:
        self.mappings = dict.fromkeys(mappings)
        self._whole: set[str] = set()

    def log(self, known: Mapping[str, object], name: str, inner: Collection[str]) -> list[str]:
        """Return which values no longer stand once a row has this name.

        Args:    known: the summary by flat names.   inner: flat names inside, if it is a mapping.

        >>> forms = Forms()
        >>> forms.log({"a": 1}, "a", ["a.x"]), forms.log({"a.x": 1, "a.y": 2}, "a", [])
        (['a'], ['a.x', 'a.y'])
        """
        if inner:
            self.mappings[name] = None
        elif name not in self.mappings:
            return []
        whole, paths = name in self._whole, {*inner} or {name}
        self._whole.discard(name)
        if not whole and all(path in known for path in paths):
            return []
        mine = [one for one in known if one == name or one.startswith(f"{name}.")]
        if whole:
            return [one for one in mine if one not in paths]
        above = {part for path in paths for part in _above(path, name)}
        return [
            one
            for one in mine
            if one in above or (one not in paths and not paths.isdisjoint(_above(one, name)))
        ]

    def put(
        self, known: Mapping[str, object], names: Collection[str], mappings: Collection[str]
    ) -> list[str]:
        """Return which values no longer stand once the program has put values into the summary.

        Args:    names: the values put, by flat names.   mappings: the names of whole mappings.
        """
        self.mappings |= dict.fromkeys(mappings)
        gone: list[str] = []
        for name in self.mappings:
            self._whole |= {name} & {*mappings}
            if name in mappings or name in names:
                mine = [one for one in known if one == name or one.startswith(f"{name}.")]
                gone += [one for one in mine if one not in names]
        return gone


def _above(path: str, name: str) -> list[str]:
    """Return the names above a path, down from ``name``."""
    return [path[:k] for k in range(len(name), len(path)) if path[k] == "."]
