"""Resume a cohort that was returned to the queue: its places, and a checkpoint for each attempt.

The agent before may be dead while its worker still writes its last chunk. So no other process
writes into that checkpoint: an attempt begins with a copy.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import CheckpointError, StoreError
from thetahat.core.files import replacing

if TYPE_CHECKING:
    from thetahat.store import RunRow, Store

CHECKPOINTS = "checkpoints"
_REASONS = ".reasons"


def places_of(
    store: Store, group: Sequence[RunRow], proposed: Callable[[RunRow], Mapping[str, Any]]
) -> tuple[list[Mapping[str, Any]], list[str | None]]:
    """Return the configs and runs of a whole cohort by place; None for a run not in ``group``.

    A checkpoint holds all members, also those that have ended. If a run has left its cohort,
    another's config fills its place.
    """
    whole = list(group)
    if group[0].cohort is not None:
        whole = store.runs(cohort=group[0].cohort)
    if any(run.member is None for run in whole):
        whole = list(group)
        by_place = dict(enumerate(whole))
    else:
        by_place = {run.member: run for run in whole if run.member is not None}
    mine = {run.id for run in group}
    runs = [by_place.get(k, group[-1]) for k in range(max(by_place) + 1)]
    found = [by_place.get(k) for k in range(len(runs))]
    members = [run.id if run is not None and run.id in mine else None for run in found]
    return [proposed(run) for run in runs], members


def copy_checkpoint(old: str | Path, new: str | Path) -> bool:
    """Copy a cohort's checkpoint; return whether there was one.

    Raises:  StoreError: the copy cannot be written.
    """
    # A worker that still appends to it changes nothing that was committed before the copy.
    try:
        shutil.copyfile(old, new)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _not_written(Path(new).parent, error) from error
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(f"{old}{_REASONS}", f"{new}{_REASONS}")
    return True


def take_member(old: str, place: int, new: str) -> None:
    """Write one member of a cohort's checkpoint as the checkpoint of a fit alone.

    Raises:  CheckpointError: there is none, or it is corrupt; then the new one is a copy of it.
    """
    from thetahat.train import Checkpoint, member_identity, read_checkpoint, write_checkpoint

    try:
        found = read_checkpoint(old)
    except CheckpointError:
        copy_checkpoint(old, new)
        raise
    own = slice(place, place + 1)
    facts = dict(found.header)
    # A fit alone has one mapping only.
    facts |= {"size": 1, "mode": "exact", "provenance": facts["provenance"][own]}
    facts["identity"] = member_identity(facts["identity"], place)
    arrays = {name: array[own] for name, array in found.arrays.items()}
    write_checkpoint(new, Checkpoint(facts, arrays, found.records[own]))
    reasons = read_reasons(old)
    if place in reasons:
        keep_reasons(new, {0: reasons[place]})


def checkpoint_path(store: Store, name: str) -> str:
    """Return where a job's checkpoint lies.

    Raises:  StoreError: its folder cannot be made.
    """
    folder = store.folder / CHECKPOINTS
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise _not_written(folder, error) from error
    return str(folder / f"{name}.ckpt")


def _not_written(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"checkpoints cannot be written to {folder} ({error.strerror or error}); give another store"
        " with store= (--store) or THETAHAT_STORE"
    )


def keep_reasons(checkpoint: str | None, reasons: Mapping[int, str]) -> None:
    """Write beside a checkpoint why members are stopped: its state holds only that they are."""
    if checkpoint is None:
        return
    every = {**read_reasons(checkpoint), **reasons}
    # Without it a resumed run only has a shorter reason for its end.
    with contextlib.suppress(OSError), replacing(Path(f"{checkpoint}{_REASONS}")) as new:
        new.write_text(json.dumps(every), encoding="utf-8")


def read_reasons(checkpoint: str | None) -> dict[int, str]:
    """Read what ``keep_reasons`` wrote."""
    try:
        text = Path(f"{checkpoint}{_REASONS}").read_text(encoding="utf-8")
        return {int(place): str(reason) for place, reason in json.loads(text).items()}
    except (OSError, ValueError):
        return {}


def remove_checkpoints(store: Store, cohort: str) -> None:
    """Remove the checkpoints of all attempts of a cohort that has ended."""
    # Names with a leading point are of files that a worker was writing when it was killed.
    for pattern in (f"{cohort}.*", f".{cohort}.*"):
        for path in (store.folder / CHECKPOINTS).glob(pattern):
            path.unlink(missing_ok=True)
