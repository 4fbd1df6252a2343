"""``th.trackers.mlflow``: the runs of a fit in MLflow."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from thetahat.core.errors import ConfigError
from thetahat.core.run import Ended, Started, Status
from thetahat.tracking.trackers._tracker import (
    EpochColumns,
    RunTracker,
    check_installed,
    config_of,
    flat,
    run_name,
)

_METRICS, _PARAMS, _LONGEST = 1000, 100, 6000
"""Metrics and parameters that MLflow takes at once; characters of a parameter's value."""


def mlflow(
    uri: str = "sqlite:///mlflow.db",
    *,
    experiment: str = "thetahat",
    name: str | None = None,
    tags: Mapping[str, Any] | None = None,
) -> RunTracker:
    """Keep each run in MLflow: its parameters, a value per epoch of each column, how it ended.

    The numbers of the Result are metrics named ``result/val_risk``, ....

    Args:    uri: of the database or server: ``mlflow ui --backend-store-uri URI`` shows it.
             experiment: of MLflow's; made if it does not exist.
             name: of the first run; the others are ``name-1``, ``name-2``, ....
             tags: of each run.
    Returns: a function of events, for ``th.fit(..., on=[...])``.
    Raises:  MissingExtra: neither mlflow nor mlflow-skinny is installed.
    """
    check_installed("mlflow", "th.trackers.mlflow()", "mlflow")
    for key, value in (("uri", uri), ("experiment", experiment)):
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{key}={value!r} is not a text; give one, as {key}='thetahat'")
    if tags is not None and not isinstance(tags, Mapping):
        raise ConfigError(f"tags={tags!r:.80} is not a mapping; give tags={{'data': 'wage1'}}")
    labels = {str(k): str(v) for k, v in (tags or {}).items()}
    opened: list[tuple[Any, str]] = []

    def begin(event: Started, number: int) -> _MlflowRun:
        if not opened:
            opened.append(_open(uri, experiment))
        client, experiment_id = opened[0]
        named = run_name(name, number, event)
        run = client.create_run(experiment_id, run_name=named, tags=labels)
        return _MlflowRun(client, run.info.run_id, event)

    given = {"uri": uri, "experiment": experiment, "name": name, "tags": labels}
    return RunTracker("th.trackers.mlflow", begin, given)


def _open(uri: str, experiment: str) -> tuple[Any, str]:
    """Return a client, and the id of the experiment."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    return client, client.create_experiment(experiment) if found is None else found.experiment_id


class _MlflowRun:
    """One run."""

    def __init__(self, client: Any, run_id: str, event: Started) -> None:
        from mlflow.entities import Param

        self._client, self._id = client, run_id
        facts = {"n_params": event.n_params}
        known = {**facts, **flat(config_of(event))}
        params = [Param(name, str(value)[:_LONGEST]) for name, value in known.items()]
        for at in range(0, len(params), _PARAMS):
            client.log_batch(run_id, params=params[at : at + _PARAMS])

    def log(self, columns: EpochColumns) -> None:
        epochs, *_ = columns.values()
        names = list(columns)[1:]
        self._log(
            (name, value, epoch)
            for name in names
            for epoch, value in zip(epochs, columns[name], strict=True)
        )

    def end(self, event: Ended) -> None:
        known = {k: v for k, v in event.metrics.items() if v is not None}
        self._log((f"result/{name}", value, event.epochs or 0) for name, value in known.items())
        for key, value in (("status", str(event.status)), ("reason", event.reason)):
            self._client.set_tag(self._id, key, value)
        self._client.set_terminated(self._id, _ended(event.status))

    def _log(self, values: Iterable[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value, step in values]
        for at in range(0, len(metrics), _METRICS):
            self._client.log_batch(self._id, metrics=metrics[at : at + _METRICS])


def _ended(status: Status) -> str:
    """MLflow's word for a status."""
    if status.well:
        return "FINISHED"
    return "KILLED" if status in (Status.INTERRUPTED, Status.CANCELLED) else "FAILED"
