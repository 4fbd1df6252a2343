"""The options of a fit (how to run, not what), its progress, and its cohorts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from thetahat.core import ConfigError, Event, Mode, Tracker
from thetahat.core.files import given_path
from thetahat.train._memory import SHARE
from thetahat.train._program import Program


@dataclass(frozen=True)
class Progress:
    """The state of a cohort between two chunks, for a display."""

    epoch: int
    epochs: int
    running: int
    size: int
    record: Mapping[str, np.ndarray]
    """The last epoch's columns, (C,)."""
    seconds: float
    best_epoch: np.ndarray | None = None
    """Where each member's best state so far was, (C,)."""
    best_value: np.ndarray | None = None
    """What chooses it, at its best so far, (C,)."""
    best_by: str = "val_risk"
    """The column that chooses."""
    best_mode: Mode | None = "min"
    """Its direction; None where nothing chooses."""


@dataclass(frozen=True)
class Options:
    """How to run, rather than what."""

    trackers: tuple[Tracker, ...] = ()
    checkpoint: str | Path | None = None
    resume: bool = False
    progress: Callable[[Progress], None] | None = None
    mode: str = "auto"
    """One of ``_program.MODES``."""
    share: float = SHARE
    """Of the free memory, the share that a cohort may take."""
    idle: frozenset[int] = frozenset()
    """Positions of members that only keep their place: their configs are not compared."""
    on: tuple[Callable[[Event], Any], ...] = ()
    """The user's functions of events; their errors end the fit."""
    reasons: Mapping[int, str] = field(default_factory=dict)
    """Why members were stopped before the checkpoint to resume, by place."""

    def __post_init__(self) -> None:
        if self.resume and self.checkpoint is None:
            raise ConfigError("resume=True goes on from a checkpoint; give checkpoint=PATH too")
        if self.checkpoint is not None:
            given_path("checkpoint", self.checkpoint, "wage.ckpt")
        if self.progress is not None and not callable(self.progress):
            raise ConfigError(f"progress={self.progress!r:.80} is not a function of one Progress")


@dataclass(frozen=True)
class Cohort:
    """A traced program and the configs of its members.

    Args:    members: their positions among all the configs of the fit.
             facts: of the identity, those that do not depend on the traced parameters.
             of: how many share the program, if these are the first that fit into memory.
             seeds: the experiment's seeds, traced or static.
             noted: what the provenance of its Results has beside that of their programs.
    """

    program: Program
    configs: tuple[Mapping[str, Any], ...]
    members: tuple[int, ...]
    facts: Callable[[], Mapping[str, Any]]
    of: int | None = None
    seeds: tuple[str, ...] = ()
    noted: Mapping[str, Any] = field(default_factory=dict)
