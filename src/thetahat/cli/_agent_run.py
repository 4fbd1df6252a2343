"""A fit in a process that an agent started: its run is there already, and the agent ends it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import StoreError
from thetahat.core.run import Ended, Event, Logged

if TYPE_CHECKING:
    from thetahat.store import ManualRun, Unkept

RUN_ID = "THETAHAT_RUN_ID"


def is_under_agent() -> bool:
    """Whether an agent started this process for one of its runs."""
    return bool(os.environ.get(RUN_ID) and os.environ.get("THETAHAT_STORE"))


class AgentKeeper:
    """The tracker of a fit under an agent: logs to the agent's run, and tells how it ended."""

    def __init__(self) -> None:
        from thetahat.store import start

        self._run: ManualRun = start()

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, Logged):
            names = list(event.columns)
            refused: StoreError | None = None
            for values in zip(*event.columns.values(), strict=True):
                row = dict(zip(names, values, strict=True))
                refused = self._log(row) or refused
            if refused is not None:
                raise refused
        elif isinstance(event, Ended):
            self._run.finish(event.status, event.reason, event.metrics)

    def _log(self, row: Mapping[str, Any]) -> StoreError | None:
        """Log a row; what was wrong with those before it, which wait: this one waits too."""
        refused: StoreError | None = None
        # The first try may only say what went wrong before it; after the second the row is there.
        for _ in range(2):
            try:
                self._run.log(row, step=int(row["epoch"]))
                break
            except StoreError as error:
                refused = error
        return refused

    def broke(self, configs: Sequence[Mapping[str, Any]], error: Exception) -> None:
        """A fit that broke before it began: the process fails, which tells the agent."""

    def note(self, lines: Sequence[str]) -> None:
        """Notices are in the process's log already."""

    def settle(self) -> Sequence[Unkept]:
        """A program that cannot write its records fails, which tells the agent."""
        return ()

    def name(self, member: int) -> str | None:
        """The run's name."""
        del member
        return self._run.name
