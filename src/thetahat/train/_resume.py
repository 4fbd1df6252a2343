"""Resume from a checkpoint, if it belongs to the same fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thetahat.core import CheckpointError
from thetahat.train._checkpoint import Checkpoint, read_checkpoint
from thetahat.train._identity import compare, compare_arrays, identity_of, refusal
from thetahat.train._options import Cohort, Options
from thetahat.train._program import CohortStatus, Program


@dataclass
class ResumedFit:
    """A checkpoint from which a cohort is resumed.

    Args:    identity: of the cohort now; of idle members, the old one.
             notes: differences that are allowed.   new_rules: whether the stopping rules differ.
    """

    checkpoint: Checkpoint
    identity: dict[str, Any]
    notes: tuple[str, ...]
    new_rules: bool
    epoch: int
    """The epoch from which training goes on: the last that any member has completed."""

    @property
    def mode(self) -> str:
        """The mode that the members were trained in; "map" is its old name for "exact"."""
        mode = str(self.checkpoint.header["mode"])
        return "exact" if mode == "map" else mode

    @property
    def records(self) -> np.ndarray:
        """The records (C, epoch, columns)."""
        return self.checkpoint.records[:, : self.epoch]

    @property
    def note(self) -> str:
        """The addition to a run's reason: the epoch and the differences, if there are any."""
        if not self.notes:
            return ""
        return f"; resumed at epoch {self.epoch}: {'; '.join(self.notes)}"

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """Of every member, as it began."""
        return list(self.checkpoint.header["provenance"])


def resumed(cohort: Cohort, options: Options) -> ResumedFit | None:
    """The checkpoint to resume from, if there is one and the options ask for it.

    Raises:  CheckpointError: it is damaged, or of another fit: every difference is named.
    """
    if not options.resume or options.checkpoint is None or not Path(options.checkpoint).exists():
        return None
    found, program = read_checkpoint(options.checkpoint), cohort.program
    header = found.header
    if header["size"] != program.size:
        raise CheckpointError(
            f"the checkpoint {options.checkpoint} holds {header['size']} members, and"
            f" {program.size} were asked for; give the configs it was made with"
        )
    now, before = identity_of(cohort), header["identity"]
    compared = compare(before, now, options.idle, program.used)
    if compared.refused:
        raise CheckpointError(refusal(options.checkpoint, compared.refused))
    epochs = program.task.epochs
    if epochs < found.epoch:
        raise CheckpointError(
            f"the checkpoint {options.checkpoint} holds {found.epoch} epochs, and {epochs} were"
            f" asked for; give at least {found.epoch}, or another checkpoint"
        )
    for k in options.idle:
        now["configs"][k] = before["configs"][k]
    return ResumedFit(found, now, compared.notes, compared.new_rules, found.epoch)


_PLACES = {"device": "unknown", "matrix_products": "highest", "members_per_device": "all"}
"""What moves a fit's last digits and is stated, and what it is where provenance does not say."""


def resume_state(program: Program, found: ResumedFit, options: Options) -> Any:
    """The state that a checkpoint holds; new stopping rules have seen its records.

    Raises:  CheckpointError: the data or the first parameters are others.
    """
    checkpoint = found.checkpoint
    first = program.init()
    before, now = found.provenance, program.facts(first)
    differ = compare_arrays(before, now, options.idle)
    if differ:
        raise CheckpointError(refusal(options.checkpoint, differ))
    for name, none in _PLACES.items():
        moved = [(a.get(name, none), b.get(name, none)) for a, b in zip(before, now, strict=True)]
        found.notes += tuple(
            f"{name.replace('_', ' ')} was {a}, is {b}" for a, b in dict.fromkeys(moved) if a != b
        )
    state = program.unpack(checkpoint.arrays, first, new_rules=found.new_rules)
    if not found.new_rules:
        return state
    names = checkpoint.header["columns"]
    state = program.replay(state, {n: checkpoint.records[..., i] for i, n in enumerate(names)})
    found.epoch = _goes_on_at(program.status(state), found, options)
    return state


def _goes_on_at(status: CohortStatus, found: ResumedFit, options: Options) -> int:
    """The epoch at which members go on: those that other rules had stopped, where they stood.

    Raises:  CheckpointError: they stand at several, and an epoch is the same for all.
    """
    at = sorted({int(n) for n in status.epochs[status.active]})
    last = int(status.epochs.max())
    if not at or at == [last]:
        return last if at else found.epoch
    raise CheckpointError(
        f"the checkpoint {options.checkpoint} holds members that stand at the epochs"
        f" {', '.join(map(str, sorted({*at, last})))}, and under other stopping rules they would go"
        " on from there together; keep the rules that it was made with, or fit them anew"
    )
