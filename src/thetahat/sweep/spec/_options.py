"""The flags beside a sweep file: how to search and how to run."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from thetahat.core.choices import OTHER_SAMPLERS, STUDY_SAMPLERS
from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.files import refuse_special
from thetahat.search import Constraint

MODES = ("auto", "cohort", "exact", "worker", "process")

_MOST = {"replicates": 1_000_000, "folds": 1000, "count": 2**31 - 1}
"""The replicates of a setting are created together; a store counts the runs."""


@dataclass(frozen=True)
class SweepOptions:
    """The flags of a sweep, stored with it, so that every agent follows them.

    Args:
        seed: of the search: the same seed, file and history propose the same configs.
        count: runs in all, at most, over all agents (the smaller of it and the file's run_cap).
        replicates: the number of seeds of each setting.
        shuffle: a grid in a seeded random order.
        sampler: behind ``method: bayes``, or of the study of ``method: custom``.
        retries: the number of times that a failed run is tried again.
        enqueue: points to run first, before the search proposes any.
        constraints: conditions between parameters, such as "width <= 4 * depth".
        folds: runs of each setting, which differ in the parameter ``fold`` (0 to folds - 1); the
            search sees their mean and spread.
        prior: earlier runs with their results, each {"config": ..., "metrics": ...}.
        asha: asynchronous successive halving in place of Hyperband's rule.
        mode: "cohort", "exact" (a cohort whose members are bitwise equal to fits alone),
            "worker" (one run at a time) or "process"; "auto" takes the fastest that is possible.
        cohort: runs trained together, at most; None lets the agent choose.
        keep: how many of the best runs (or settings, where they are replicated) keep their model.
        timeout_s: seconds after which a process is ended; None for never.
    Raises:  ConfigError: a value that is not allowed.
    """

    seed: int = 0
    count: int | None = None
    replicates: int = 1
    shuffle: bool = False
    sampler: str | None = None
    retries: int = 0
    enqueue: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    constraints: Sequence[str] = ()
    folds: int = 1
    prior: Sequence[Mapping[str, Any]] = ()
    asha: bool = False
    mode: str = "auto"
    cohort: int | None = None
    timeout_s: float | None = None
    keep: int = 1
    extended: bool = False
    """Whether the sweep has had another file after its first."""
    limit: int | None = None
    """Runs that a sweep had when it ended early: while its failed ones are tried again, no others
    begin."""

    def __post_init__(self) -> None:
        least = {"seed": 0, "count": 1, "replicates": 1, "retries": 0, "cohort": 1, "keep": 0}
        least["folds"] = 1
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < low):
                raise ConfigError(f"--{name}={value!r}: give a whole number of at least {low}")
        for name, high in _MOST.items():
            value = getattr(self, name)
            if value is not None and value > high:
                raise ConfigError(f"--{name}={value}: give a whole number of at most {high}")
        known = dict.fromkeys((*OTHER_SAMPLERS, *STUDY_SAMPLERS))
        if self.sampler is not None and self.sampler not in known:
            hint = did_you_mean(self.sampler, known)
            raise ConfigError(f"--sampler={self.sampler}: unknown sampler{hint}")
        if self.folds > 1 and self.replicates > 1:
            raise ConfigError(
                f"--folds={self.folds} and --replicates={self.replicates} exclude each other: a"
                " setting runs over folds or over seeds; give one of them"
            )
        if isinstance(self.constraints, str):
            raise ConfigError(f"constraints={self.constraints!r}: give a list of conditions")
        for text in self.constraints:
            Constraint(text)  # raises if it cannot be read
        if self.mode not in MODES:
            raise ConfigError(f"--mode={self.mode}: unknown mode{did_you_mean(self.mode, MODES)}")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise ConfigError(f"--timeout={self.timeout_s:g}: give seconds above zero")

    @property
    def each(self) -> int:
        """The number of runs of each setting."""
        return max(self.replicates, self.folds)

    def as_json(self) -> dict[str, Any]:
        """Return the options in JSON's own types."""
        lists = {name: list(getattr(self, name)) for name in ("enqueue", "constraints", "prior")}
        return {**asdict(self), **lists}


def options_from_json(stored: Mapping[str, Any]) -> SweepOptions:
    """Read the options that ``as_json`` wrote; those of a later version are left out."""
    known = {
        name: value for name, value in stored.items() if name in SweepOptions.__dataclass_fields__
    }
    if stored.get("exact"):  # of an earlier version
        known["mode"] = "exact"
    lists = {name: tuple(known.get(name) or ()) for name in ("enqueue", "constraints", "prior")}
    return SweepOptions(**{**known, **lists})


def read_points(path: str | Path, flag: str = "--enqueue") -> list[dict[str, Any]]:
    """Read points to run first: a CSV file whose columns are parameters.

    Args:    flag: begins messages.

    Values are read as numbers, true, false or null where possible, and otherwise as words.

    Raises:  ConfigError: a missing file, no header, a row of another length.
    """
    try:
        refuse_special(path)
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except OSError as error:
        raise ConfigError(f"{flag}={path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{flag}={path} is not a CSV file in UTF-8: {error}") from error
    if len(rows) < 2:
        raise ConfigError(
            f"{flag}={path} holds no points; give a line of parameter names, such as lr,width,"
            " and a line for each point"
        )
    names = [name.strip() for name in rows[0]]
    if len(set(names)) < len(names) or not all(names):
        raise ConfigError(f"{flag}={path}: its first line must name each column once")
    points = []
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(names):
            raise ConfigError(
                f"{flag}={path}, line {number}: {len(row)} values for {len(names)} columns"
            )
        points.append({name: _value(cell.strip()) for name, cell in zip(names, row, strict=True)})
    return points


def nested(point: Mapping[str, Any], paths: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Nest a flat point as a config: ``paths`` are the columns' paths in it."""
    config: dict[str, Any] = {}
    for name, value in point.items():
        at = config
        *above, last = paths.get(name, (name,))
        for part in above:
            at = at.setdefault(part, {})
        at[last] = value
    return config


def _value(cell: str) -> Any:
    words = {"true": True, "false": False, "null": None, "none": None}
    if cell.lower() in words:
        return words[cell.lower()]
    for read in (json.loads, float):
        with contextlib.suppress(ValueError):
            return read(cell)
    return cell
