"""Note runs of a sweep that read other data than its first runs: a file may change meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thetahat.core.run import Started
from thetahat.store import RunRow, Store, first_data_files
from thetahat.sweep._events import Noted, RunEvent


class DataFiles:
    """The data files of a sweep, as its first run read each of them."""

    def __init__(self, store: Store, sweep_id: str) -> None:
        self._store, self._sweep_id = store, sweep_id
        self._first: dict[str, tuple[str, str]] | None = None
        """Digest and run, by the name of the file."""
        self._noted: set[tuple[str, str]] = set()

    def notes(self, events: Sequence[RunEvent], runs: Mapping[str, RunRow]) -> list[Noted]:
        """Return a note for each run that starts with other data, once.

        Args:    runs: of this agent, by their ids.
        """
        found = []
        for event in events:
            if not isinstance(event, Started) or event.run is None:
                continue
            for name, digest in event.provenance.get("data_files", {}).items():
                if self._first is None:
                    self._first = first_data_files(self._store, self._sweep_id)
                mine = runs[event.run].name if event.run in runs else event.run
                was, first = self._first.setdefault(name, (digest, mine))
                if was != digest and (event.run, name) not in self._noted:
                    self._noted.add((event.run, name))
                    line = (
                        f"{name} is not as run {first} of this sweep read it: numbers of runs"
                        " before and after the change are of different data"
                    )
                    found.append(Noted(event.run, line))
        return found
