"""A fit in a process that an agent started: its run is there already, and the agent ends it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
            for values in zip(*event.columns.values(), strict=True):
                row = dict(zip(names, values, strict=True))
                self._run.log(row, step=int(row["epoch"]))
        elif isinstance(event, Ended):
            self._run.finish(event.status, event.reason, event.metrics)

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
