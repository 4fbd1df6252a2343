"""Calls the user's functions with the events of an agent's runs, once these are written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from thetahat.core.run import Ended, Event, Logged, Started, Status, Tracker
from thetahat.store import RunRow
from thetahat.sweep._events import Crashed, RunEvent
from thetahat.sweep.agent._recorder import judged


class Followers:
    """The user's functions of events, and the events that wait for them."""

    def __init__(self, functions: Sequence[Tracker]) -> None:
        self._functions = functions
        self._waiting: list[Event] = []

    def take(
        self, events: Sequence[RunEvent], runs: Mapping[str, RunRow], metric: str | None
    ) -> None:
        """Translate events before they are written: later, the rows of ended runs are gone.

        Args:    runs: those that the agent holds.   metric: what the sweep tunes.
        """
        if self._functions:
            self._waiting = [told for event in events for told in _translated(event, runs, metric)]

    def call(self, lost: Collection[str]) -> None:
        """Send the events, but not those of runs that another agent took.

        Raises:  whatever the functions raise.
        """
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            if event.run not in lost:
                for function in self._functions:
                    function(event)


def _translated(event: RunEvent, runs: Mapping[str, RunRow], metric: str | None) -> Iterator[Event]:
    match event:
        case Started(run=str(run)) if run in runs:
            config = runs[run].config if event.config is None else event.config
            yield replace(event, config=config, name=runs[run].name)
        case Logged(run=str(run)) if run in runs and event.columns:
            yield event
        case Ended(run=str(run)) if run in runs:
            yield replace(judged(event, metric), name=runs[run].name)
        case Crashed():
            for run in event.runs:
                if run in runs:
                    yield Ended(0, Status.FAILED, event.reason, run=run, name=runs[run].name)
