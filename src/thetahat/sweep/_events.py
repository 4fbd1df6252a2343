"""The events of an agent's runs: those of training, and the few that only an agent needs.

Runners return events, the recorder writes them to the store, and the screen draws from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from thetahat.core.run import Ended, Logged, Started

if TYPE_CHECKING:
    from thetahat.store import SweepRow


@dataclass(frozen=True)
class Described:
    """What a run's own program reports: more of its config, a name, labels."""

    run: str
    config: Mapping[str, Any] = field(default_factory=dict)
    proposed: Mapping[str, Any] = field(default_factory=dict)
    """Values that the sweep proposed: these stand, also where the program reports others."""
    name: str = ""
    labels: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Noted:
    """A line about a run, or about the whole sweep: kept in the store, and shown once."""

    run: str | None
    line: str


@dataclass(frozen=True)
class Crashed:
    """The process that trained these runs crashed.

    Args:    cause: whether one of them caused that: with "other", another run of the worker did.
    """

    runs: Sequence[str]
    reason: str
    cause: Literal["certain", "possible", "other"] = "certain"


@dataclass(frozen=True)
class Remarked:
    """A line about the agent's work, for the screen only.

    Args:    again: show it also when the same line was shown before.
    """

    line: str
    again: bool = False


@dataclass(frozen=True)
class Alive:
    """The agent works on this sweep: sent once a second."""

    agent: str
    sweep: SweepRow


RunEvent = Started | Logged | Ended | Described | Noted | Crashed
"""What a runner returns."""
AgentEvent = Ended | Noted | Remarked | Alive
"""What an agent sends to the screen."""
