"""Start an experiment's workers before anything else is loaded.

A worker takes a second or two to load JAX. So this module opens no store: the workers start, and
meanwhile their agent loads the database's library, checks the file and creates the sweep.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from thetahat.core.choices import SPREADS
from thetahat.core.errors import ConfigError, StoreError, did_you_mean
from thetahat.core.places import Server, locate
from thetahat.core.run import Tracker
from thetahat.search import Constraint, accepts_all, feasible_points
from thetahat.sweep.spec._options import SweepOptions
from thetahat.sweep.spec._program import experiment_names, find_program
from thetahat.sweep.spec._spec import SweepSpec
from thetahat.sweep.workers._connection import WorkerProcess, count_cores
from thetahat.sweep.workers._devices import cpus, gpus, memory_fraction, only
from thetahat.sweep.workers._fork_server import CAN_FORK, ForkServer, preloads, spawn
from thetahat.sweep.workers._spread import COHORTS, WORKERS, DeviceSpread

_COUNTED = 100_000
"""Points of a grid that are checked against constraints to count the feasible ones."""
MEM_FRACTION = "XLA_PYTHON_CLIENT_MEM_FRACTION"
"""JAX's own setting: what a process takes of a GPU's memory when it starts."""
StartWorker = Callable[[int], WorkerProcess]


@dataclass(frozen=True)
class Work:
    """How one agent works.

    Raises:  ConfigError: a spread that is not known, or that does not fit the number of workers.
    """

    count: int | None = None
    workers: int | None = None
    devices: Sequence[str] = field(default_factory=tuple)
    keep_going: bool = False
    on: Sequence[Tracker] = ()
    """The user's functions of events."""
    spread: str = "auto"
    """How runs lie on several devices."""

    def __post_init__(self) -> None:
        if self.spread not in SPREADS:
            raise ConfigError(
                f"--spread={self.spread}: unknown{did_you_mean(self.spread, SPREADS)}"
            )
        if self.spread == COHORTS and self.workers not in (None, 1):
            raise ConfigError(
                f"--spread=cohorts has one worker, and --workers={self.workers} asks for more;"
                " leave out one of them"
            )


def start_early(
    spec: SweepSpec, plan: SweepOptions, work: Work, store: str | None
) -> list[WorkerProcess]:
    """Start workers that load the experiment; none for a program that is not an experiment."""
    if plan.mode == "process" or not is_experiment(spec):
        return []
    size = size_of(work, points_of(spec, plan), experiment=True)
    begun: list[WorkerProcess] = []
    try:
        place = locate(store)
        logs = place.folder if isinstance(place, Server) else place.parent
        if logs is None:
            return []  # only the database knows its folder
        start = starter(spec, Path.cwd(), logs, f"p{os.getpid()}", size, work)
        begun += map(start, range(size))
    except StoreError:
        pass  # opening the store says what is wrong with its folder
    return begun


def starter(
    spec: SweepSpec, folder: Path, store: Path, label: str, size: int, work: Work
) -> StartWorker:
    """Return a function that starts a worker by its number: of one device, or of all.

    Args:    store: the store's folder, for the workers' logs.   label: begins a log's name.
    """
    file = find_program(spec, folder)
    assert file is not None
    file = file.absolute()
    process = ForkServer(preloads(file)).fork if CAN_FORK and size > 1 else spawn
    devices, ours = devices_of(work), all_devices(work)
    fraction = memory_fraction(size, len(devices))
    wide = work.spread == COHORTS

    def start(k: int) -> WorkerProcess:
        log = store / "logs" / f"{label}.worker-{k}.log"
        own = dict(only(ours if wide else [ours[k % len(ours)]])) if ours else {}
        if fraction is not None and MEM_FRACTION not in os.environ:
            own[MEM_FRACTION] = fraction
        # Devices have a memory of their own.
        share = 1.0 if devices else 1 / size
        return WorkerProcess(file, folder, log, own, share, process, spec.function)

    return start


def devices_of(work: Work) -> Sequence[str]:
    """Return the GPUs that workers use in turn: as given, else all of this machine."""
    return work.devices or gpus()


def all_devices(work: Work) -> Sequence[str]:
    """Return the devices that an experiment's workers use: GPUs, else those made of the CPU."""
    return devices_of(work) or cpus()


def spread_of(
    work: Work, size: int, start: StartWorker, start_wide: StartWorker, *, fixed: bool
) -> DeviceSpread | None:
    """Return how runs lie on several devices; None where there are not several, or other workers.

    Args:    size: workers.   start: starts those of one device.   start_wide: starts one of all.
             fixed: whether the cohort size was chosen by the user, or by how the search learns.
    """
    n = len(all_devices(work))
    starts = {WORKERS: start, COHORTS: start_wide}
    if n < 2 or (work.spread != COHORTS and size != n):
        return None
    if work.spread == COHORTS:
        return DeviceSpread(n, starts, COHORTS, settled=True)
    return DeviceSpread(n, starts, WORKERS, settled=fixed or work.spread == WORKERS)


def points_of(spec: SweepSpec, plan: SweepOptions) -> int | None:
    """Return how many runs a sweep will have; None if it is endless."""
    cap = cap_of(spec, plan)
    points = spec.points
    if points is not None and plan.constraints:
        accepts = accepts_all([Constraint(text) for text in plan.constraints])
        points = feasible_points(spec.space, accepts, _COUNTED)
    points = None if points is None else points * plan.each
    known = [n for n in (cap, points) if n is not None]
    return min(known) if known else None


def cap_of(spec: SweepSpec, plan: SweepOptions) -> int | None:
    """Return how many runs a sweep may have at most."""
    caps = [cap for cap in (spec.run_cap, plan.count, plan.limit) if cap is not None]
    return min(caps) if caps else None


def is_experiment(spec: SweepSpec, folder: Path | None = None) -> bool:
    """Whether the program is an experiment, by its text alone."""
    if spec.command is not None or spec.program is None:
        return False
    file = find_program(spec, folder)
    if file is None or file.suffix != ".py":
        return False
    return spec.function is not None or experiment_names(file) is not None


def size_of(work: Work, points: int | None, *, experiment: bool = False) -> int:
    """Return the limit of runs at a time: as given, else one per device, else one per core.

    Args:    experiment: whether workers train an experiment, which also uses the devices that are
             made of a CPU, and all of them by one worker if that is asked for.
    """
    devices = all_devices(work) if experiment else devices_of(work)
    if experiment and work.spread == COHORTS and len(devices) > 1:
        return 1
    size = work.workers or len(devices) or count_cores()
    return size if points is None else max(1, min(size, points))
