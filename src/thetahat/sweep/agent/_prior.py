"""Earlier runs with their results, from which the search of a new sweep learns (``--prior``)."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.json import plain_value
from thetahat.core.nested import flat_config
from thetahat.store import Store, find_sweep, tried_runs
from thetahat.sweep.spec._options import nested, read_points
from thetahat.sweep.spec._spec import SweepSpec

MOST = 10_000
"""Earlier runs that a sweep keeps with its flags."""


@dataclass(frozen=True)
class Prior:
    """Earlier runs, each {"config": ..., "metrics": ...}, and how many were left out."""

    runs: tuple[dict[str, Any], ...]
    left_out: int
    source: str

    @property
    def says(self) -> str:
        """What was read, in words."""
        n = len(self.runs)
        left = f"; {self.left_out:,} left out, without a number or a parameter"
        return f"the search learns from {n:,} runs of {self.source}{left if self.left_out else ''}"


def read_prior(
    store: Store, spec: SweepSpec, given: str | os.PathLike[str] | Sequence[Mapping[str, Any]]
) -> Prior:
    """Read earlier runs: of a sweep, of a CSV file, or a list of mappings.

    A row of a file or a list has the searched parameters, by their names, and every metric.

    Raises:  ConfigError: no run has all of them.   StoreError: no such sweep.
    """
    if isinstance(given, (str, os.PathLike)):
        source = os.fspath(given)
        if source.endswith(".csv") or Path(source).is_file():
            rows = read_points(source, "--prior")
        else:
            sweep = find_sweep(store, source)
            rows = [
                {**flat_config(run.setting), **run.metrics}
                for run in tried_runs(store, sweep.id)
                if run.status.well
            ]
    else:
        source, rows = "the list", [flat_config(row) for row in given]
    known = dict.fromkeys(name for row in rows for name in row)
    metrics = [one.name for one in spec.objectives]
    if not metrics:
        raise ConfigError("--prior: the file has no metric, so results teach nothing; add metric:")
    for name in metrics:
        if name not in known:
            what = f"--prior={source}: its runs have no {name!r}"
            raise ConfigError(f"{what}{did_you_mean(name, list(known))}")
    runs = [one for row in rows if (one := _run(spec, row, metrics)) is not None]
    if not runs:
        needed = ", ".join(".".join(d.path) for d in spec.space.searched)
        raise ConfigError(
            f"--prior={source}: none of its {len(rows):,} runs has a number for"
            f" {' and '.join(metrics)} and values that the file allows for {needed}"
        )
    if len(runs) > MOST:
        raise ConfigError(f"--prior={source} has {len(runs):,} runs; give at most {MOST:,}")
    return Prior(tuple(runs), len(rows) - len(runs), source)


def _finite(value: Any) -> float | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else None


def _run(spec: SweepSpec, row: Mapping[str, Any], metrics: Sequence[str]) -> dict[str, Any] | None:
    """Return a row as a run; None if it lacks a number, or a searched parameter."""
    numbers = {name: _finite(row.get(name)) for name in metrics}
    if None in numbers.values():
        return None
    if spec.proposes:
        flat = {name: value for name, value in row.items() if name not in metrics}
        return {"config": plain_value(flat), "metrics": numbers}
    paths = {".".join(d.path): d.path for d in spec.space.dimensions}
    config = nested({name: row[name] for name in paths if name in row}, paths)
    if spec.space.encode(config) is None:
        return None
    return {"config": plain_value(config), "metrics": numbers}
