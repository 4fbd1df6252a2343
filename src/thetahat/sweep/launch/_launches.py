"""What was launched: a small file for each launch, in the folder of the store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thetahat.core.errors import StoreError
from thetahat.core.files import replacing

FOLDER = "launches"


@dataclass(frozen=True)
class Launched:
    """A launch of agents on Slurm.

    Args:    job: the id of the array.   sweep: the id of the sweep.
             logs: the pattern of the files of its output.   submitted: when, in UTC.
    """

    job: str
    sweep: str
    agents: int
    logs: str
    submitted: str = field(
        default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds")
    )


def record_launch(folder: Path, launched: Launched) -> None:
    """Write the file of a launch.

    Args:    folder: of the store.
    Raises:  StoreError: it cannot be written.
    """
    path = folder / FOLDER / f"{launched.job}.json"
    try:
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as new:
            new.write_text(json.dumps(asdict(launched)), encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"the job {launched.job} was submitted, but {path} cannot be written"
            f" ({error.strerror or error}): thetahat launch --status will not show it; squeue does"
        ) from error


def read_launches(folder: Path) -> list[Launched]:
    """Return the launches of a store, the latest first; files that are none are left out."""
    found = [_launch(path) for path in (folder / FOLDER).glob("*.json")]
    known = [launched for launched in found if launched is not None]
    return sorted(known, key=lambda launched: launched.submitted, reverse=True)


def _launch(path: Path) -> Launched | None:
    try:
        read: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        words = {name: str(read[name]) for name in ("job", "sweep", "logs", "submitted")}
        return Launched(agents=int(read["agents"]), **words)
    except (OSError, ValueError, TypeError, LookupError):
        return None
