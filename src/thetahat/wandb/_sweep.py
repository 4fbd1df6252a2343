"""``wandb.sweep`` and ``wandb.agent``: a sweep of the local store, and an agent for it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from thetahat.core.errors import ConfigError, StoreError
from thetahat.store import Store, SweepRow, find_sweep, open_store
from thetahat.sweep import SweepOptions, Work, sweep_from
from thetahat.sweep.agent import (
    AgentEvent,
    Ended,
    Found,
    FunctionCalls,
    Noted,
    Remarked,
    find_out,
    new_sweep,
    work_on,
)
from thetahat.wandb._errors import CommError
from thetahat.wandb._run import UsageError, current, stop_check, warn

FUNCTION = "the function of wandb.agent"


def sweep(
    sweep: Mapping[str, Any] | Callable[[], Any],
    entity: str | None = None,
    project: str | None = None,
    prior_runs: Any = None,
) -> str:
    """Create a sweep from a dict with the keys of a sweep file, and return its id.

    Raises:  UsageError: every mistake of the dict.
    """
    if prior_runs:
        raise UsageError(
            "wandb.sweep(prior_runs=) is not answered by thetahat; take earlier runs along by"
            " thetahat sweep FILE --prior"
        )
    plain = dict(sweep() if callable(sweep) else sweep)
    if project and not plain.get("project"):
        plain["project"] = project
    plain.pop("entity", None)

    def function() -> None:
        """Stand for the function, which ``agent`` is given later."""

    function.__name__ = FUNCTION
    program = plain.get("program")
    try:
        given = sweep_from(str(program) if program else function, plain)
        options = SweepOptions()
        found = find_out(given.spec, options) if program else Found()
        with open_store(None) as store:
            name = plain.get("name") or Path(sys.argv[0]).stem or "sweep"
            row = new_sweep(store, given.spec, options, str(name), found=found)
    except ConfigError as error:
        raise UsageError(f"wandb.sweep: {error}") from error
    warn(f"created the sweep {row.id} in {store.path}; see it by: thetahat ui")
    return row.id


def agent(
    sweep_id: str,
    function: Callable[[], Any] | None = None,
    entity: str | None = None,
    project: str | None = None,
    count: int | None = None,
    forward_signals: bool = False,
) -> None:
    """Work on a sweep: call the function for each run, or run the sweep's program.

    Raises:  CommError: the store has no such sweep.   UsageError: it cannot be worked on.
    """
    with open_store(None) as store:
        try:
            row = find_sweep(store, sweep_id.rpartition("/")[2])
        except StoreError as error:
            raise CommError(f"Could not find sweep {sweep_id!r}: {error}") from error
        try:
            if function is None:
                work_on(store, row, Work(count=count), _say)
            else:
                _call(store, row, function, count)
        except ConfigError as error:
            raise UsageError(f"wandb.agent: {error}") from error


def _call(store: Store, row: SweepRow, function: Callable[[], Any], count: int | None) -> None:
    """Let an agent claim runs in a thread, and call the function for each in this one."""
    runner = FunctionCalls(store, row)
    leave = threading.Event()
    problem: list[BaseException] = []

    def work() -> None:
        try:
            work_on(store, row, Work(count=count), _say, runner, stops=leave.is_set)
        except BaseException as error:  # noqa: BLE001 (raised again in the other thread)
            problem.append(error)

    thread = threading.Thread(target=work, name=f"agent-{row.id}", daemon=True)
    thread.start()

    def run() -> None:
        try:
            function()
        finally:
            while current:
                current[-1].finish()

    try:
        for call in runner.serve(run, thread):
            stop_check[:] = [call.check]
    finally:
        stop_check.clear()
        leave.set()
        thread.join()
    if problem:
        raise problem[0]


def controller(*_: Any, **__: Any) -> Any:
    """A controller of a sweep: not answered, since each agent searches itself."""
    raise UsageError("wandb.controller is not answered by thetahat: each agent searches itself")


def _say(event: AgentEvent) -> None:
    if isinstance(event, (Noted, Remarked)):
        warn(event.line)
    elif isinstance(event, Ended) and event.reason:
        warn(f"run {event.name}: {event.status}: {event.reason}")
