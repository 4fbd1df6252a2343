"""A tracker of a fit: one record per run, in a file or a program of others.

The first error of a record, or of the library that writes it, is one notice; the tracker then takes
no more events, and the fit goes on.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from thetahat.core.errors import ConfigError, MissingExtra, notify
from thetahat.core.json import plain_value
from thetahat.core.run import Ended, Event, Logged, Started

EpochColumns = Mapping[str, list[Any]]
"""Lists of equal length by name; the first one counts epochs."""


class RunRecord(Protocol):
    """One run, where a tracker keeps it."""

    def log(self, columns: EpochColumns, /) -> None:
        """Keep some epochs."""
        ...

    def end(self, event: Ended, /) -> None:
        """Keep how the run ended, and close the record."""
        ...


Begin = Callable[[Started, int], RunRecord]
"""Begins the record of a run, with its number: 0, 1, 2, ... over all fits of the tracker."""


class RunTracker:
    """A function of events that keeps a record of each run; made by ``th.trackers.csv(...)``, ....

    Args:    name: for messages, as the user calls it.   begin: begins the record of a run.
             given: the arguments that made it.
    """

    def __init__(self, name: str, begin: Begin, given: Mapping[str, Any]) -> None:
        self.__name__, self._begin, self.given = name, begin, given
        self._records: dict[int | str, RunRecord] = {}
        """Of the runs that have not ended, by id or by position in the fit."""
        self._numbers: dict[int | str, int] = {}
        """Of the runs of this fit."""
        self._first = 0
        """The number of this fit's first run."""
        self.error = ""
        """Why it takes no more events, if so."""

    def __call__(self, event: Event) -> None:
        """Keep one event; nothing after the first error."""
        if self.error:
            return
        try:
            self._take(event)
        except Exception as error:  # noqa: BLE001 - a library of others may raise anything
            self._records.clear()
            said = " ".join(str(error).split()).rstrip(".")
            self.error = f"{type(error).__name__}: {said}" if said else type(error).__name__
            notify(
                f"the tracker {self.__name__} failed and is left out from here on:"
                f" {self.error}. The fit goes on"
            )

    def _take(self, event: Event) -> None:
        key = event.member if event.run is None else event.run
        if isinstance(event, Started):
            self._records[key] = self._begin(event, self._number(key))
        elif (record := self._records.get(key)) is None:
            return  # a run that crashed before it began
        elif isinstance(event, Logged):
            columns = {name: _listed(values) for name, values in event.columns.items()}
            if columns and next(iter(columns.values())):
                record.log(columns)
        else:
            del self._records[key]
            record.end(event)

    def _number(self, key: int | str) -> int:
        if key in self._numbers:  # another fit begins, or the run begins again
            self._first = max(self._numbers.values()) + 1
            self._numbers.clear()
        of_sweep = isinstance(key, str)
        number = self._first + (len(self._numbers) if of_sweep else int(key))
        self._numbers[key] = number
        return number

    def __repr__(self) -> str:
        return f"{self.__name__}(...)"


def free_path(path: Path) -> Path:
    """Make a new empty file beside ``log.csv``: ``log-1.csv``, ``log-2.csv``, ..."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        found = path.with_stem(f"{path.stem}-{number}")
        with contextlib.suppress(FileExistsError), found.open("x"):
            return found
    raise AssertionError("numbers do not end")


def check_installed(package: str, name: str, extra: str) -> None:
    """Refuse a tracker whose package is not installed.

    Raises:  MissingExtra.
    """
    if package in sys.modules:
        found = sys.modules[package] is not None
    else:  # a folder of this name, such as W&B's own, is found too, but has no file
        spec = importlib.util.find_spec(package)
        found = spec is not None and spec.origin is not None
    if not found:
        raise MissingExtra(name, extra)


def given_config(config: Any) -> dict[str, Any]:
    """Return facts of the user's that each run's config is merged over.

    Raises:  ConfigError: no mapping.
    """
    if config is not None and not isinstance(config, Mapping):
        raise ConfigError(
            f"config={config!r:.80} is not a mapping; give names and values: {{'data': 'wage1'}}"
        )
    return plain_value(dict(config or {}))


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten nested mappings, under dotted names.

    >>> flat({"lr": 0.1, "net": {"width": 8}})
    {'lr': 0.1, 'net.width': 8}
    """
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= {f"{name}.{key}": inner for key, inner in flat(value).items()}
        else:
            found[name] = value
    return found


def config_of(event: Started) -> dict[str, Any]:
    """Return a run's parameters as JSON types."""
    return plain_value(dict(event.config or {}))


def run_name(name: str | None, number: int, event: Started) -> str | None:
    """Name a run: the first ``name``, the others ``name-1``, ...; if None, as in its sweep.

    >>> begun = Started(0, {}, 1, 1, {}, name="lively-moss-4")
    >>> [run_name("wage", 0, begun), run_name("wage", 1, begun), run_name(None, 0, begun)]
    ['wage', 'wage-1', 'lively-moss-4']
    """
    if name is None:
        return event.name or None
    return f"{name}-{number}" if number else name


def _listed(values: Any) -> list[Any]:
    return values.tolist() if hasattr(values, "tolist") else list(values)
