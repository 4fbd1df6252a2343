"""The metric that a sweep searches by, as its runs log it: what is wrong is said at once.

An agent that noticed it after the last run would have searched for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.search import Objective
from thetahat.store import Store, set_state
from thetahat.sweep._updates import Begun, Closed, Heard, Rows, Update

PAUSED = "paused"


class LoggedMetric:
    """What the runs of a sweep have logged so far, for one agent."""

    def __init__(self, store: Store, sweep_id: str) -> None:
        self.store, self.sweep_id = store, sweep_id
        self.seen = False
        """Whether some run has logged the metric."""
        self._columns: set[str] = set()
        self._directions: dict[str, str] = {}

    def hear(self, update: Update) -> None:
        """Take in what happened to a run."""
        if isinstance(update, Rows):
            self._columns |= set(update.block.columns)
        elif isinstance(update, Begun):
            self._directions |= update.directions
        elif isinstance(update, Heard):
            self._columns |= update.columns

    def check(
        self, metric: Objective, closed: Sequence[Closed], columns: frozenset[str] | None
    ) -> None:
        """See that runs log the metric, and that it is better in the sweep's direction.

        Args:    closed: runs that have just ended.
                 columns: metrics that a run can have beside its records; None where only its end
                 tells.
        Raises:  ConfigError: they do not.
        """
        if self.seen:
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
        done = [c for c in closed if not c.status.failed]
        seen = self._columns.union(*(one.metrics for one in done))
        # What an experiment's records lack may still be among the risks of its end.
        known = columns if self._columns else None
        if metric.name in seen:
            self.seen = True
        elif done or (known is not None and metric.name not in known):
            logged = sorted((seen | (known or set())) - {"epoch", "step", "seconds"})
            said = f"they log {', '.join(logged)}" if logged else "they log nothing"
            hint = did_you_mean(metric.name, logged)
            hint = hint if hint.startswith("; did") else ""
            reason = f"no run logs the metric {metric.name!r}: {said}{hint}"
            self._pause(reason, "fix metric.name in the file")

    def _pause(self, reason: str, fix: str) -> NoReturn:
        """Raises:  ConfigError: the sweep is paused, and can go on with another file."""
        set_state(self.store, self.sweep_id, PAUSED, reason)
        raise ConfigError(
            f"{reason}. The sweep {self.sweep_id} is paused; {fix}, and give it with: thetahat"
            f" sweep {self.sweep_id} --extend FILE"
        )
