"""What an agent and its workers say to each other: values, pickled over a private socket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thetahat.core.data_files import DataFile
from thetahat.core.run import Event

if TYPE_CHECKING:
    from thetahat.sweep.spec._spec import SweepSpec


@dataclass(frozen=True)
class Job:
    """Configs to train together. They may differ in traced parameters only."""

    id: str
    configs: Sequence[Mapping[str, Any]]
    ghosts: int = 0
    """Of the last configs: how many only fill a program that is already compiled."""
    checkpoint: str | None = None
    resume: bool = False
    marks: tuple[int, ...] = ()
    """Epochs at which the agent decides."""
    mode: str = "auto"
    ended: tuple[int, ...] = ()
    """Places of members that had ended before: nobody waits for them."""
    part: tuple[str, int] | None = None
    """A cohort's checkpoint, and the place in it of the one member to go on with, alone."""


@dataclass(frozen=True)
class Stop:
    """Members of a job that need not go on, by their place, and why; the others do go on."""

    job: str
    reasons: Mapping[int, str]


@dataclass(frozen=True)
class Drop:
    """Forget a job (or all, without one): its checkpoint stands."""

    job: str | None = None


@dataclass(frozen=True)
class Check:
    """Look at the experiment with the eyes of this sweep file."""

    spec: SweepSpec


@dataclass(frozen=True)
class Quit:
    """Work no more."""


@dataclass(frozen=True)
class Ready:
    """The worker has loaded the experiment."""

    pid: int
    rss: int
    traced: frozenset[str]
    """The parameters whose values share a program."""
    defaults: Mapping[str, Any]
    """Values of the parameters that are not given, where they have a default."""


@dataclass(frozen=True)
class Timed:
    """How fast a cohort trains.

    Args:
        size: members of the program.   mode: "vmap" or "map".
        epoch_s: seconds of an epoch of all members, in the fastest chunk.
        epochs: trained so far.   compile_s: that the program took to compile; 0 where it was there.
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
class Told:
    """What happened in a job since the last word: events, and which members still train."""

    job: str
    events: Sequence[Event]
    running: Sequence[int]
    waits: bool = False
    """Whether it stands at a mark, and goes on when the agent has decided."""
    notices: Sequence[str] = field(default_factory=tuple)
    timed: Timed | None = None
    """Once it has trained long enough to tell."""


@dataclass(frozen=True)
class Files:
    """The data files that the worker has read so far."""

    read: Sequence[DataFile]


@dataclass(frozen=True)
class Over:
    """A job has ended; ``error`` where it could not even begin."""

    job: str
    rss: int
    error: str = ""
    traces: int = 0
    compile_s: float = 0.0
    mode: str = ""
    blocked: bool = False
    """Whether the place is to blame, a full disk say, and not the runs."""


@dataclass(frozen=True)
class Regroup:
    """A job was not begun: some of its parameters need a program per value."""

    job: str
    traced: frozenset[str]
    notices: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Fewer:
    """A job was not begun: not all of its members fit into memory."""

    job: str
    fits: int
    notices: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class At:
    """What the worker does from now on: said before it does it, for it may die of it."""

    job: str
    begins: bool = False
    """Whether it opens the job; otherwise it trains it."""


@dataclass(frozen=True)
class Broken:
    """The experiment cannot be loaded: no job can be done."""

    message: str
    wrong_input: bool
