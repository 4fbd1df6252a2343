"""What an agent has done, and whether the first runs of its sweep all failed."""

from __future__ import annotations

from dataclasses import dataclass

from thetahat.core.errors import InputError
from thetahat.store import SweepRow

RUNNING = "running"
FIRST_FAILURES = 3
"""If so many runs fail, and none has worked, the agent stops."""


@dataclass
class Tally:
    """What an agent has done."""

    claimed: int = 0
    ended: int = 0
    failed: int = 0
    interrupted: bool = False
    state: str = RUNNING
    last_failure: str = ""


class FirstRunsFailed(InputError):
    """The first runs of a sweep all failed, for ``reason``."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(f"{reason}. Fix it, and {fix}")
        self.reason = reason


def check_first_failures(tally: Tally, sweep: SweepRow) -> None:
    """Stop if the first runs all fail: probably all will.

    Raises:  FirstRunsFailed.
    """
    if tally.failed == tally.ended >= FIRST_FAILURES:
        raise FirstRunsFailed(
            f"the first {tally.ended} runs all failed, the last because:"
            f" {tally.last_failure.rstrip('.')}",
            f"run all again with: thetahat sweep {sweep.id} --retry-failed --run; or run the others"
            " all the same with --keep-going",
        )
