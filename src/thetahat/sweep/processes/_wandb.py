"""An unmodified ``import wandb`` program, offline: its environment, and its metrics read back.

The program writes ``offline-run-*/run-*.wandb`` into the run's folder; this module reads the file
while it grows, without wandb.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from thetahat.core.yaml_words import flow
from thetahat.sweep.processes._wandb_file import (
    Exit,
    LogTail,
    Named,
    Row,
    WandbConfig,
    WandbRecord,
    WandbSummary,
    read_record,
)
from thetahat.sweep.processes._wandb_summary import FileSummary

FLUSH_S = 0.5
"""Seconds until wandb writes its file; the default of wandb is 15 s."""

PARAMETERS = "sweep_params.yaml"
"""The file in the run's folder with the sweep's values for wandb."""

_SAVED = re.compile(r"Run data is saved locally in (\S.*)")
_PROJECT = re.compile(r"Ignoring project '(.*)' when running a sweep")
"""In a sweep W&B ignores the program's project and prints this."""
_MODE = re.compile(
    r"""(?:\bmode\s*=\s*|WANDB_MODE["']\s*(?:\]\s*=|,)\s*)["'](disabled|online|shared)["']"""
)
_LONGEST_PROGRAM = 2**20


def wandb_settings(folder: Path, *, sweep_id: str, run_id: str) -> dict[str, str]:
    """Return the environment in which wandb runs offline, with the sweep's config."""
    return {
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(folder),
        "WANDB_SWEEP_ID": sweep_id,
        "WANDB_RUN_ID": run_id,
        "WANDB_SWEEP_PARAM_PATH": str(folder / PARAMETERS),
    }


def wandb_preferences(name: str) -> dict[str, str]:
    """Return settings that the user's environment overrides.

    Args:    name: the run's; a program may build the names of its files with it.
    """
    return {
        **({"WANDB_NAME": name} if name else {}),
        "WANDB__TRANSACTION_LOG_FLUSH_INTERVAL": str(FLUSH_S),
        # Crash reports need the internet.
        "WANDB_ERROR_REPORTING": "false",
    }


def write_parameters(config: Mapping[str, Any], folder: Path) -> Path:
    """Write a config as wandb reads it in a sweep: ``{name: {value: v}}`` in YAML 1.1."""
    path = folder / PARAMETERS
    lines = ["wandb_version: 1"]
    lines += [f"{flow(str(k))}:\n  value: {flow(v)}" for k, v in config.items()]
    path.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    return path


def mode_note(program: Path) -> str | None:
    """Return a note if a program sets wandb's mode itself, else None.

    >>> mode_note(Path("no such file"))
    """
    try:
        with program.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_LONGEST_PROGRAM)
    except OSError:
        return None
    found = _MODE.search(text) if "wandb" in text else None
    if found is None:
        return None
    line = text.count("\n", 0, found.start()) + 1
    where, mode = f"{program.name}, line {line}", found[1]
    if mode == "disabled":
        return (
            f"{where} sets wandb's mode to 'disabled': then it writes no metrics to read back."
            " Leave the mode out (a sweep runs offline), or log with th.log or a JSON line"
        )
    return (
        f"{where} sets wandb's mode to {mode!r}: then it needs an account and the internet."
        " Leave the mode out; a sweep runs offline, without either"
    )


class WandbTail:
    """The metrics of one program's wandb runs, read while it runs. Create it before the start.

    Args:
        folder: the run's folder, which is WANDB_DIR.
        cwd: where the program runs: some loggers set ``dir="."``.
        run_id: WANDB_RUN_ID.
    """

    def __init__(self, folder: Path, cwd: Path, run_id: str) -> None:
        self._summary = FileSummary()
        self.values = self._summary.values
        """What its summary has beside the numbers of the rows."""
        self.media: dict[str, str] = {}
        """Kinds of the images, tables and other media that it logged, by name."""
        self.config: dict[str, Any] = {}
        self.name = ""
        """The name of the run: the program's, else the one that it was given."""
        self.labels: dict[str, Any] = {}
        """group, job_type, tags, notes and project, if the program set them."""
        self.exit_code: int | None = None
        self._cwd = cwd
        self._places = ((folder / "wandb", "*"), (cwd / "wandb", f"*-{run_id}"))
        # An earlier attempt of the run may have left files.
        self._known = {place.resolve() for place in self._found()}
        self._announced: list[Path] = []
        self._tails: list[_Tail] = []
        self._notes: list[str] = []

    @property
    def summary(self) -> Mapping[str, float]:
        """Numbers that the summary has beside those of the rows."""
        return self.values.numbers

    @property
    def words(self) -> Mapping[str, Any]:
        """The last of all logged or summary values that are not numbers."""
        return self.values.words

    def take_stderr(self, line: str) -> None:
        """Take a line of stderr, in which wandb prints where its files are."""
        found = _SAVED.search(line)
        if found is not None:
            self._announced.append(self._cwd / found[1].strip())
        found = _PROJECT.search(line)
        if found is not None:
            self.labels["project"] = found[1]

    def new(self) -> list[dict[str, float]]:
        """Return the rows of history since the last call; ``step`` is their axis."""
        for folder in [*self._found(), *self._announced]:
            for path in self._logs(folder):
                start = max((tail.last for tail in self._tails), default=-1) + 1
                self._tails.append(_Tail(path, start))
                if folder.name.startswith("run-"):
                    self._notes.append(
                        "the program ran wandb online, by its own mode=; its metrics were read back"
                    )
        return [row for tail in self._tails for row in self._rows(tail)]

    def notes(self) -> list[str]:
        """Return notes for the user, each once."""
        notes, self._notes = self._notes, []
        return notes

    def _found(self) -> Iterable[Path]:
        for place, end in self._places:
            yield from sorted(place.glob(f"offline-run-{end}"))
            yield from sorted(place.glob(f"run-{end}"))

    def _logs(self, folder: Path) -> list[Path]:
        # The printed path and the found one may be links to one folder.
        place = folder.resolve()
        if place in self._known:
            return []
        logs = sorted(folder.glob("run-*.wandb"))
        if logs:
            self._known.add(place)
        return logs

    def _rows(self, tail: _Tail) -> Iterable[dict[str, float]]:
        for record in tail.new():
            if isinstance(record, Row) and record.values:
                yield {**record.values, "step": tail.place(record.step)}
            self._take(record)
        if tail.log.problem and not tail.reported:
            tail.reported = True
            self._notes.append(tail.log.problem)

    def _take(self, record: WandbRecord) -> None:
        if isinstance(record, Row | WandbSummary):
            self._summary.take(record)
            self.media.update({name: str(m.get("_type")) for name, m in record.media.items()})
        if isinstance(record, Exit):
            self.exit_code = record.code
        elif isinstance(record, Named):
            self.name = record.name or self.name
            self.labels.update(record.labels)
            self._change(record.config)
        elif isinstance(record, WandbConfig):
            self._change(record)

    def _change(self, config: WandbConfig) -> None:
        for path, value in config.values:
            put_path(self.config, path, value)
        for path in config.removed:
            at: Any = self.config
            for name in path[:-1]:
                at = at.get(name) if isinstance(at, dict) else None
            if isinstance(at, dict):
                at.pop(path[-1], None)


class _Tail:
    """One wandb run of the program; its steps follow those of the run before."""

    def __init__(self, path: Path, start: int) -> None:
        self.log = LogTail(path)
        self.last = start - 1
        self.reported = False
        self._start = start

    def place(self, step: int) -> int:
        self.last = max(self.last, self._start + step)
        return self._start + step

    def new(self) -> Iterable[WandbRecord]:
        for data in self.log.new():
            try:
                record = read_record(data)
            except (ValueError, RecursionError) as error:
                self.log.problem = self.log.problem or (
                    f"{self.log.path.name} has a record that cannot be read ({error}); such records"
                    " are left out"
                )
                continue
            if record is not None:
                yield record


def put_path(config: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value into a nested mapping, at the names of ``path``."""
    at = config
    for name in path[:-1]:
        inner = at.get(name)
        at[name] = at = inner if isinstance(inner, dict) else {}
    at[path[-1]] = value
