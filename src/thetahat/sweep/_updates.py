"""What happens to an agent's runs, as values: its runners return them, its recorder writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from thetahat.core.run import Status
from thetahat.store import Block


@dataclass(frozen=True)
class Begun:
    """A claimed run turned out to have this config, in this cohort."""

    run: str
    config: Mapping[str, Any] | None
    """None where the config that it was claimed with stands."""
    max_epochs: int | None = None
    n_params: int | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str | None = None
    cohort: str | None = None
    member: int | None = None
    directions: Mapping[str, Any] = field(default_factory=dict)
    """Of its columns: "min" or "max", where that is known."""


@dataclass(frozen=True)
class Rows:
    """Records of a run."""

    run: str
    block: Block


@dataclass(frozen=True)
class Heard:
    """Records of a run that its own process wrote to the store: only their columns."""

    run: str
    columns: frozenset[str]


@dataclass(frozen=True)
class Described:
    """What a run's own program says of it: more of its config, a name, labels."""

    run: str
    config: Mapping[str, Any] = field(default_factory=dict)
    proposed: Mapping[str, Any] = field(default_factory=dict)
    """What the sweep proposed: its values stand, whatever the program says."""
    name: str = ""
    labels: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Closed:
    """A run has ended."""

    run: str
    status: Status
    reason: str
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    epochs: int | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Noted:
    """Something to say about a run (or about none), once."""

    run: str | None
    line: str


@dataclass(frozen=True)
class Crashed:
    """The process that trained these runs died under them."""

    runs: Sequence[str]
    reason: str
    guilt: Literal["sure", "maybe", "none"] = "sure"
    """Whether it died of these: of another's runs, for all that is known, with "none"."""


Update = Begun | Described | Rows | Heard | Closed | Noted | Crashed
