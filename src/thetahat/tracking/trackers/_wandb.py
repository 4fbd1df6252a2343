"""``th.trackers.wandb``: the runs of a fit in Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thetahat.core.errors import ConfigError, check_choice
from thetahat.core.json import merge
from thetahat.core.run import Ended, Started
from thetahat.tracking.trackers._tracker import (
    EpochColumns,
    RunTracker,
    check_installed,
    config_of,
    given_config,
    run_name,
)

MODES = ("online", "offline", "disabled")


def wandb(
    project: str | None = None,
    *,
    mode: str | None = None,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
    **init: Any,
) -> RunTracker:
    """Keep each run in Weights & Biases: its config, each epoch as a step, and its numbers at the
    best state as the summary.

    Args:    project: of W&B's.
             mode: "online", "offline" (``wandb sync`` sends the run later) or "disabled"; by
             default W&B's own: WANDB_MODE, else "online".
             name: of the first run; the others are ``name-1``, ``name-2``, ....
             config: facts beside the run's parameters.   tags: of each run.
             init: passed on to ``wandb.init``: entity, group, dir, notes, settings, ....
    Returns: a function of events, for ``th.fit(..., on=[...])``.
    Raises:  MissingExtra: wandb is not installed.   ConfigError: another mode; tags in no list.
    """
    if mode is not None:
        check_choice("mode", mode, MODES)
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
        raise ConfigError(f"tags={tags!r:.80} is not a list of words; give tags=['wage1']")
    facts = given_config(config)
    check_installed("wandb", "th.trackers.wandb()", "wandb")
    given = {"project": project, "mode": mode, "tags": list(tags) or None, **init}

    def begin(event: Started, number: int) -> _WandbRun:
        import wandb as library

        whole = merge(facts, config_of(event))
        # Runs of one fit are open at a time.
        named = run_name(name, number, event)
        made = library.init(name=named, config=whole, **{"reinit": "create_new", **given})
        made.summary["n_params"] = event.n_params
        return _WandbRun(made)

    return RunTracker("th.trackers.wandb", begin, {**given, "tags": tags, "config": facts})


class _WandbRun:
    """One run."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, columns: EpochColumns) -> None:
        names = list(columns)
        for row in zip(*columns.values(), strict=True):
            # Without commit, the last row is sent by finish(), over the summary.
            self._run.log(dict(zip(names, row, strict=True)), step=int(row[0]), commit=True)

    def end(self, event: Ended) -> None:
        how = {"status": str(event.status), "reason": event.reason}
        if "best_epoch" in event.detail:
            how["best_epoch"] = event.detail["best_epoch"]
        self._run.summary.update({**event.metrics, **how})
        self._run.finish(exit_code=0 if event.status.well else 1)
