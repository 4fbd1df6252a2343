"""A sweep of the store, as ``wandb.Api`` gives it: its state, its runs, its best run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thetahat.store import SweepRow
from thetahat.wandb._api_asked import AskedApi
from thetahat.wandb._api_run import ApiRun
from thetahat.wandb._api_runs import Runs
from thetahat.wandb._errors import CommError
from thetahat.wandb._query import in_order, order_of_sweep, values_at


class ApiSweep:
    """A sweep of the store."""

    def __init__(self, api: AskedApi, row: SweepRow) -> None:
        self._api, self._row = api, row
        self.id, self.name = row.id, row.name
        self.config: dict[str, Any] = dict(row.spec)

    @property
    def state(self) -> str:
        """``RUNNING``, ``PAUSED``, ``CANCELED`` or ``FINISHED``."""
        return {"cancelled": "CANCELED"}.get(self._row.state, self._row.state.upper())

    @property
    def project(self) -> str:
        """The project."""
        return str(self._row.project or "uncategorized")

    @property
    def entity(self) -> str:
        """The entity: a store has none."""
        return "local"

    @property
    def path(self) -> list[str]:
        """Entity, project and id."""
        return [self.entity, self.project, self.id]

    @property
    def url(self) -> str:
        """The path, in place of an address: a store has no server."""
        return "/".join(self.path)

    @property
    def expected_run_count(self) -> int | None:
        """The number of points of a grid."""
        return self._row.points

    @property
    def order(self) -> str | None:
        """The order of ``best_run``, by the metric of the sweep."""
        metric = self.config.get("metric")
        if not isinstance(metric, Mapping) or "name" not in metric:
            return None
        sign = "-" if metric.get("goal") == "maximize" else "+"
        return f"{sign}summary_metrics.{metric['name']}"

    @property
    def runs(self) -> Runs:
        """Its runs."""
        rows = self._api.store.runs(sweep_id=self.id)
        return Runs(self._api, rows, None, "+created_at")

    def best_run(self, order: str | None = None) -> ApiRun | None:
        """Return the best run by the metric of the sweep; a failed run is never best.

        By a metric that ``define_metric`` gave a summary, the run is the best by that.

        Args:    order: such as ``+val_loss``; without a sign high values are best, as in W&B.
        Raises:  CommError: the sweep has no metric, and no order is given.
        """
        order = order_of_sweep(order) if order else self.order
        if order is None:
            raise CommError(f"the sweep {self.id} has no metric; give best_run(order=)")
        well = [run for run in self.runs if run._row.status.well or not run._row.status.over]
        found = [run for run in well if values_at(run, order[1:], order[0])]
        return in_order(found, [order], best=True)[0] if found else None

    def __repr__(self) -> str:
        return f"<Sweep {'/'.join(self.path)} ({self.state})>"
