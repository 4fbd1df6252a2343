"""``th.start`` and ``th.log``: track a program that is not an experiment, number by number.

If an agent started the program, THETAHAT_RUN_ID names its run: the numbers go to that run, and the
agent ends it. Then this module must load nothing that the program does not need: most programs of a
sweep run for seconds.
"""

from __future__ import annotations

import os

from thetahat.tracking._agent_run import ROWS, AgentRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from thetahat.store import ManualRun, Store

_latest: list[ManualRun | AgentRun] = []
"""The run that this process started last, for ``log``."""


def start(
    config: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    project: str | None = None,
    store: Store | str | os.PathLike[str] | None = None,
) -> ManualRun | AgentRun:
    """Begin a tracked run of any program; log numbers to it, then finish it.

    In a program that an agent started, this is the agent's run in the sweep's store: it gets this
    name, and its config is ``config`` updated by the sweep's values. The project is used if the
    sweep has none.

    Args:
        config: the parameters of the run, for tables and filters.
        name: by default a memorable one.
        project: a word to group runs by.
        store: a store or its path; else THETAHAT_STORE, else ``.thetahat/`` here.
    Returns: the run, also a context manager: an exception inside makes it ``failed``.
    Raises:  StoreError: the store cannot be opened or written.

    >>> import tempfile
    >>> with start({"lr": 0.1}, store=tempfile.mkdtemp()) as run:
    ...     for step in range(3):
    ...         run.log({"loss": 1.0 / (1 + step)})
    >>> run.name
    'bright-magnolia-1'
    """
    # Only the store can tell whether another run has the name.
    run = None if name else _of_agent(config, project)
    if run is None:
        from thetahat.store._live_run import begin_run

        run = begin_run(config, name=name, project=project, store=store)
    _latest[:] = [run]
    return run


def log(metrics: Mapping[str, Any], step: int | None = None) -> None:
    """Log one row of numbers to the run that this program started last, or to the agent's run.

    The first call begins a run if there is none; it is finished when the program ends.

    Args:
        metrics: numbers by name.
        step: counts up from 0 unless given, here or as ``metrics["step"]``.
    Raises:  ConfigError: a value that is not a number, or the run has been finished.
             StoreError: the store cannot be written.
    """
    if not hasattr(metrics, "keys"):  # refused before a run begins
        from thetahat.core.logged import check_names

        check_names(metrics)
    if not _latest:
        start().quiet_end = True
    _latest[0].log(metrics, step)


def _of_agent(config: Mapping[str, Any] | None, project: str | None) -> AgentRun | None:
    """Return the run that an agent reads from a file; None if there is none."""
    path = os.environ.get(ROWS)
    if not path or not os.environ.get("THETAHAT_RUN_ID"):
        return None
    try:
        run = AgentRun(path)
    except (OSError, ValueError):
        return None
    if config is not None or project is not None:
        run.describe(config, project)
    return run
