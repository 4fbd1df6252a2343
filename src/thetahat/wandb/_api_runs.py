"""The runs of a project, as ``wandb.Api`` gives them: filtered, in order, with histories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thetahat.store import RunRow
from thetahat.wandb._api_asked import AskedApi
from thetahat.wandb._api_run import SAMPLES, ApiRun, RunDetails
from thetahat.wandb._query import in_order, passes


class Runs(Sequence[ApiRun]):
    """Runs of a project, in an order."""

    def __init__(
        self,
        api: AskedApi,
        rows: Sequence[RunRow],
        filters: Mapping[str, Any] | None,
        order: str | Sequence[str] | None,
    ) -> None:
        details = RunDetails(api.store)
        found = [ApiRun(api, row, details) for row in rows]
        self._runs = in_order([run for run in found if passes(run, filters or {})], order)
        self._rest: Iterator[ApiRun] = iter(self._runs)

    def __iter__(self) -> Iterator[ApiRun]:
        return iter(self._runs)

    def __next__(self) -> ApiRun:
        return next(self._rest)

    next = __next__

    def __getitem__(self, index: Any) -> Any:
        return self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def objects(self) -> list[ApiRun]:
        """The runs as a list."""
        return self._runs

    def histories(
        self,
        samples: int = SAMPLES,
        keys: Sequence[str] | None = None,
        x_axis: str = "_step",
        format: str = "default",
        stream: str = "default",
    ) -> Any:
        """Return the histories of all runs under each other, with a column ``run_id``."""
        import pandas as pd

        frames = [
            run.history(samples, keys, x_axis).assign(run_id=run.id).reset_index(drop=True)
            for run in self._runs
        ]
        frames = [frame for frame in frames if len(frame)]
        whole = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        return whole if format != "default" else whole.to_dict("records")

    def __repr__(self) -> str:
        return f"<Runs {len(self)} of the local store>"
