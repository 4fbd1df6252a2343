"""Check the metric that a sweep searches by against what its runs log, as soon as they log.

If the agent checked only after the last run, the whole search would be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.run import Ended, Logged, Started
from thetahat.search import Objective
from thetahat.store import Store, set_state
from thetahat.sweep._events import RunEvent

PAUSED = "paused"


class LoggedMetric:
    """What the runs of a sweep have logged so far, for one agent."""

    def __init__(self, store: Store, sweep_id: str) -> None:
        self.store, self.sweep_id = store, sweep_id
        self.seen: set[str] = set()
        """The metrics of the sweep that some run has logged."""
        self._columns: set[str] = set()
        self._directions: dict[str, str] = {}

    def take(self, event: RunEvent) -> None:
        """Take in an event of a run."""
        match event:
            case Logged(columns=columns):
                self._columns |= set(columns)
            case Started(directions=directions):
                self._directions |= directions

    def check(
        self, metric: Objective, ended: Sequence[Ended], columns: frozenset[str] | None
    ) -> None:
        """Check that runs log the metric, and that it is better in the sweep's direction.

        Args:    ended: runs that have just ended.
                 columns: metrics that a run can have beside its records; None if only its end
                 tells.
        Raises:  ConfigError: they do not.
        """
        if metric.name in self.seen:
            return
        mode = self._directions.get(metric.name)
        if mode is not None and mode != ("max" if metric.goal == "maximize" else "min"):
            right = "maximize" if mode == "max" else "minimize"
            better = "larger" if mode == "max" else "smaller"
            self._pause(
                f"{metric.name} is better the {better} it is, and the sweep's goal is"
                f" {metric.goal}",
                f"write goal: {right} in the file",
            )
        # A run that was cut short may not have logged anything yet.
        done = [event for event in ended if not (event.status.failed or event.status.unfinished)]
        seen = self._columns.union(*(event.metrics for event in done))
        # A metric that an experiment's records lack may still be among the risks of its end.
        # What the test part says, only its end tells.
        known = columns if self._columns and not metric.name.startswith("test_") else None
        if metric.name in seen:
            self.seen.add(metric.name)
        elif done or (known is not None and metric.name not in known):
            logged = sorted((seen | (known or set())) - {"epoch", "step", "seconds"})
            listed = f"they log {', '.join(logged)}" if logged else "they log nothing"
            hint = did_you_mean(metric.name, logged)
            hint = hint if hint.startswith("; did") else ""
            reason = f"no run logs the metric {metric.name!r}: {listed}{hint}"
            self._pause(reason, "fix metric.name in the file")

    def _pause(self, reason: str, fix: str) -> NoReturn:
        """Pause the sweep, which can go on with another file.

        Raises:  ConfigError: always.
        """
        set_state(self.store, self.sweep_id, PAUSED, reason)
        end = "" if reason.endswith("?") else "."
        raise ConfigError(
            f"{reason}{end} The sweep {self.sweep_id} is paused; {fix}, and give it with: thetahat"
            f" sweep {self.sweep_id} --extend FILE"
        )
