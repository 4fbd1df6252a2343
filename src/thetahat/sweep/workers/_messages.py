"""The messages between an agent and its workers: values, pickled over a private socket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thetahat.core.data_files import DataFile
from thetahat.core.run import Event
from thetahat.sweep.workers._kept import Models

if TYPE_CHECKING:
    from thetahat.sweep.spec._spec import SweepSpec

ADDRESS, KEY = "THETAHAT_WORKER_ADDRESS", "THETAHAT_WORKER_KEY"
SHARE, PROGRAM = "THETAHAT_WORKER_SHARE", "THETAHAT_WORKER_PROGRAM"
"""The environment of a worker: its socket, its share of the free memory, the user's file."""
FUNCTION = "THETAHAT_WORKER_FUNCTION"
"""The experiment in the user's file, by name; empty for the one that is passed to ``th.main``."""


# -- to the worker --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """Configs to train together. They may differ in traced parameters only."""

    id: str
    configs: Sequence[Mapping[str, Any]]
    runs: Sequence[str | None]
    """Ids of the members' runs; None for a member that only fills its place."""
    cohort: str = ""
    """Name of the runs that began together: it stays when another agent goes on with them."""
    checkpoint: str | None = None
    resume: bool = False
    part: tuple[str, int] | None = None
    """A cohort's checkpoint, and the place in it of the one member to go on with, alone."""
    marks: tuple[int, ...] = ()
    """Epochs at which the job waits for the agent's decision."""
    mode: str = "auto"
    models: Models | None = None
    """Which models the worker keeps."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Of every run: the program's code, among others."""


@dataclass(frozen=True)
class Stop:
    """End members of a job, by place and reason; the others go on, also from a mark."""

    job: str
    reasons: Mapping[int, str]


@dataclass(frozen=True)
class Drop:
    """Forget a job (or all, without one): its checkpoint stands."""

    job: str | None = None


@dataclass(frozen=True)
class Examine:
    """Check the experiment against this sweep file; the answer is ``Examined`` or ``Broken``."""

    spec: SweepSpec


@dataclass(frozen=True)
class Quit:
    """End the process."""


# -- from the worker ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """The worker has loaded the experiment.

    Args:    traced: the parameters whose values share a program.
    """

    pid: int
    traced: frozenset[str]


@dataclass(frozen=True)
class Broken:
    """The experiment cannot be loaded: no job can be done."""

    message: str


@dataclass(frozen=True)
class JobPhase:
    """What the worker does from now on: sent before it begins, because it may crash there.

    Args:    opens: whether it opens (and compiles) the job; otherwise it trains it.
    """

    job: str
    opens: bool = False


@dataclass(frozen=True)
class Timed:
    """How fast a cohort trains.

    Args:
        size: members of the program.   mode: "vmap" or "exact".
        epoch_s: seconds of an epoch of all members, in the fastest chunk.
        epochs: trained so far.   compile_s: seconds of compiling; 0 if the program was there.
    """

    size: int
    mode: str
    epoch_s: float
    epochs: int = 0
    compile_s: float = 0.0

    @property
    def each_s(self) -> float:
        """Seconds of a member's epoch."""
        return self.epoch_s / self.size


@dataclass(frozen=True)
class JobReport:
    """What happened in a job since the last report."""

    job: str
    events: Sequence[Event]
    running: Sequence[int]
    """Places of the members that still train."""
    waits: bool = False
    """Whether the job stands at a mark, and waits for the agent's decision."""
    notices: Sequence[str] = ()
    timed: Timed | None = None
    """Its speed, once it has trained long enough to tell."""


@dataclass(frozen=True)
class Regroup:
    """A job was not begun: some of its parameters need a program per value."""

    job: str
    traced: frozenset[str]
    notices: Sequence[str] = ()


@dataclass(frozen=True)
class Fewer:
    """A job was not begun: only so many of its members fit into memory."""

    job: str
    fits: int
    notices: Sequence[str] = ()


@dataclass(frozen=True)
class FilesRead:
    """The data files that the worker has read so far."""

    read: Sequence[DataFile]


@dataclass(frozen=True)
class Over:
    """A job has ended.

    Args:    rss: bytes of memory that the worker holds.
             error: why it could not even begin.
             blocked: whether the place is the reason, such as a full disk, and not the runs.
    """

    job: str
    rss: int
    traces: int = 0
    compile_s: float = 0.0
    error: str = ""
    blocked: bool = False
