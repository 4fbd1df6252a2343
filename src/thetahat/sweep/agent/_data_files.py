"""Whether the runs of a sweep read the same data files: a file may change while a sweep runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thetahat.store import RunRow, Store, first_data_files
from thetahat.sweep.agent._recorder import Begun, Noted, Update


class DataFiles:
    """What the first run of a sweep read of each data file, and who read something else."""

    def __init__(self, store: Store, sweep_id: str) -> None:
        self._store, self._sweep_id = store, sweep_id
        self._first: dict[str, tuple[str, str]] | None = None
        """Digest and run, by the name of the file."""
        self._told: set[tuple[str, str]] = set()

    def notes(self, updates: Sequence[Update], runs: Mapping[str, RunRow]) -> list[Noted]:
        """What is to be said of runs that begin, once: it is kept with each.

        Args:    runs: those that this agent holds, by their ids.
        """
        found = []
        for update in updates:
            if not isinstance(update, Begun) or not update.provenance.get("data_files"):
                continue
            if self._first is None:
                self._first = first_data_files(self._store, self._sweep_id)
            for name, digest in update.provenance["data_files"].items():
                mine = runs[update.run].name if update.run in runs else update.run
                was, run = self._first.setdefault(name, (digest, mine))
                if was != digest and (update.run, name) not in self._told:
                    self._told.add((update.run, name))
                    line = (
                        f"{name} is not as run {run} of this sweep read it: numbers of runs before"
                        " and after the change are of different data"
                    )
                    found.append(Noted(update.run, line))
        return found
