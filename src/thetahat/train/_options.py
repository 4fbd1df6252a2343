"""How to run, rather than what: the options of a fit, and what its progress looks like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from thetahat.core import Mode, Tracker
from thetahat.train.jax import CohortProgram


@dataclass(frozen=True)
class Progress:
    """How a cohort stands between two chunks."""

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
    memory: int | None = None
    """Bytes that a cohort may take; None for a share of what is free."""
    idle: frozenset[int] = frozenset()
    """Places of members that only keep their place: another's config may stand for theirs."""
    reasons: Mapping[int, str] = field(default_factory=dict)
    """Why members were stopped before the checkpoint to resume, by place."""


@dataclass(frozen=True)
class Cohort:
    """A traced program and the configs of its members."""

    program: CohortProgram
    configs: tuple[Mapping[str, Any], ...]
    members: tuple[int, ...]
    """Positions of the members among all the configs of the fit."""
    of: int | None = None
    """How many were alike, where these are the first of them that fit into memory."""
    seeds: tuple[str, ...] = ()
    """The experiment's seeds, traced or static."""
    experiment: Callable[..., Any] | None = None
    """What made the Tasks; None for a Task that was given as it is."""
