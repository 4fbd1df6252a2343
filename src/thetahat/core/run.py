"""The status of a run, and the events that training sends: to trackers, the store and the screen.

Events are values. A tracker is a function of events; it returns nothing and changes nothing in
training. A worker adds the ids of the runs; the agent writes the same events to the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import ConfigError

if TYPE_CHECKING:
    from thetahat.core.packed_table import PackedTable


class Status(StrEnum):
    """How a run stands, or how it ended."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    DIVERGED = "diverged"
    UNMOVED = "unmoved"
    REJECTED = "rejected"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Whether the run has ended (an interrupted run can be resumed)."""
        return self not in (Status.QUEUED, Status.RUNNING)

    well: bool
    """Whether the run ended as it was meant to: only such a run's numbers count."""
    failed: bool
    """Whether the run failed, diverged, or was rejected by a check of its solution."""

    def __init__(self, word: str) -> None:
        self.well = word in ("finished", "stopped")
        self.failed = word in ("failed", "diverged", "rejected")

    @property
    def unfinished(self) -> bool:
        """Whether the run neither ended well nor failed: it is not over, was cut short, or nothing
        moved. Every run is one of well, failed and unfinished."""
        return not self.well and not self.failed


@dataclass(frozen=True)
class Started:
    """A run begins, or goes on from a checkpoint."""

    member: int
    """Position of the run in its cohort."""
    config: Mapping[str, Any] | None
    """All parameters; None where the store has them already."""
    epochs: int | None
    """Epochs the run may take at most."""
    n_params: int | None
    provenance: Mapping[str, Any]
    checkpoint: str | None = None
    """Where the cohort's checkpoint is written, if anywhere."""
    resumed: int | None = None
    """Epochs that the checkpoint holds; None where there was none."""
    directions: Mapping[str, str] = field(default_factory=dict)
    """Of its columns: "min" or "max", where that is known."""
    run: str | None = None
    """Id of the run, in a sweep."""
    cohort: str | None = None
    """Name of the cohort, in a sweep."""
    part: str = ""
    """A word for the run's name, if the user gave one: "member", of a bag."""
    name: str = ""
    """Name of the run, in a sweep."""


@dataclass(frozen=True)
class Logged:
    """A chunk of epochs of one run.

    Args:    columns: arrays of equal length, one number per epoch; the first one counts them.
             Empty arrays name columns that the run's program wrote to the store itself.
             run: id of the run, in a sweep.
    """

    member: int
    columns: Mapping[str, Any]
    run: str | None = None


@dataclass(frozen=True)
class Ended:
    """A run has ended, with a status, the reason, and its Result's numbers."""

    member: int
    status: Status
    reason: str = ""
    epochs: int | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)
    run: str | None = None
    """Id of the run, in a sweep."""
    name: str = ""
    """Name of the run, once the store has given it one."""
    tables: Mapping[str, PackedTable] = field(default_factory=dict)
    """The tables of its Task at the best state, packed."""


Event = Started | Logged | Ended
Tracker = Callable[[Event], None]


def functions_of(on: Any) -> tuple[Callable[[Event], Any], ...]:
    """Return the functions of events that a user gave: one, several or none.

    Raises:  ConfigError: something that is not a function.
    """
    given = (on,) if callable(on) else () if on is None else on
    found = tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(map(callable, found)):
        raise ConfigError(
            f"on={on!r:.80} is not a function; give a function of one event, on=print, or a list"
            " of them"
        )
    return found
