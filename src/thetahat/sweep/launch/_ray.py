"""Agents as tasks of Ray: one task for each agent, which Ray starts elsewhere if its node dies.

The task is the agent itself, in the main thread of Ray's worker. Ray cancels a task by Ctrl-C, at
which an agent returns its runs to the queue of the sweep.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from thetahat.core.errors import ConfigError, InputError, MissingExtra
from thetahat.core.places import Place, given_place
from thetahat.sweep.launch._sharing import check_shared

AUTO = "auto"
"""The address of the cluster that this machine is part of, or that RAY_ADDRESS names."""
_ADDRESS = re.compile(r"auto|(ray://)?[^\s/:]+:\d+")
WAIT_S = 0.5


@dataclass(frozen=True)
class RayTasks:
    """What is asked of Ray: ``agents`` tasks, each with these resources.

    Args:    address: of the cluster.   workers: of each agent; by default one for each core, or
             each GPU.
    Raises:  ConfigError: something that is not an address.
    """

    address: str = AUTO
    agents: int = 1
    cpus: int = 1
    gpus: int = 0
    workers: int | None = None
    keep_going: bool = False

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.address):
            raise ConfigError(
                f"--ray={self.address}: give the address of Ray's head, such as 10.0.0.1:6379, or"
                " no address for the cluster of this machine"
            )


@dataclass(frozen=True)
class AgentEnded:
    """What an agent on Ray has done.

    Args:    failed: runs that failed.   error: why it ended early, if it did.
    """

    failed: int = 0
    interrupted: bool = False
    error: str = ""


def work_on_ray(
    tasks: RayTasks, place: Place, sweep: str, folder: str, look: Callable[[int], bool]
) -> list[AgentEnded]:
    """Have agents on Ray work on a sweep until it is done.

    Args:    folder: where the agents start.
             look: called now and then with the number of agents that have not ended; whether they
             are to stop.
    Returns: how each agent ended.
    Raises:  MissingExtra: Ray is not installed.   ConfigError: there is no cluster.
    """
    ray = _connected(tasks.address)
    try:
        check_shared(place, {n["NodeManagerHostname"] for n in ray.nodes() if n["Alive"]})
        each = {"num_cpus": tasks.cpus, "num_gpus": tasks.gpus, "scheduling_strategy": "SPREAD"}
        started = ray.remote(max_retries=-1, retry_exceptions=False, **each)(_be_agent)
        workers = tasks.workers or (None if tasks.gpus else tasks.cpus)
        how = {"workers": workers, "keep_going": tasks.keep_going}
        open_ = [
            started.remote(given_place(place), sweep, folder, how) for _ in range(tasks.agents)
        ]
        ended: list[AgentEnded] = []
        stopped = False
        while open_:
            done, open_ = ray.wait(open_, num_returns=1, timeout=WAIT_S)
            ended += [_result(ray, one) for one in done]
            if look(len(open_)) and not stopped:
                stopped = True
                for one in open_:
                    ray.cancel(one, force=False)
        return ended
    finally:
        ray.shutdown()


def _connected(address: str) -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("thetahat launch --ray", "ray") from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (ConnectionError, TimeoutError, RuntimeError, ValueError) as error:
        why = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"no cluster of Ray answers at {address} ({why}); start one with: ray start --head, and"
            " on other machines: ray start --address=HEAD:6379"
        ) from error
    return ray


def _result(ray: Any, task: Any) -> AgentEnded:
    try:
        return AgentEnded(**ray.get(task))
    except ray.exceptions.TaskCancelledError:
        return AgentEnded(interrupted=True)
    except ray.exceptions.RayError as error:
        return AgentEnded(error=str(error).strip().rpartition("\n")[2])


def _be_agent(place: str, sweep: str, folder: str, how: Mapping[str, Any]) -> dict[str, Any]:
    """Work on a sweep, in a worker of Ray; return the fields of ``AgentEnded``."""
    from thetahat.store import find_sweep, open_store
    from thetahat.sweep import Work
    from thetahat.sweep.agent import is_done, work_on

    if os.path.isdir(folder):
        os.chdir(folder)
    try:
        with open_store(place, create=False) as store:
            row = find_sweep(store, sweep)
            if is_done(store, row):
                return {}
            tally = work_on(store, row, Work(**how), lambda event: None)
        return {"failed": tally.failed, "interrupted": tally.interrupted}
    except InputError as error:
        # A message: errors with fields of their own may not reach another process.
        return {"error": str(error)}
