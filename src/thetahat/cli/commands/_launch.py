"""``thetahat launch``: agents on a cluster, as an array of Slurm jobs or as tasks of Ray."""

from __future__ import annotations

import argparse
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._errors import INTERRUPTED, print_note
from thetahat.cli._parser import add_format, add_store, add_switch, add_value, whole_number
from thetahat.cli.terminal._output import emit, print_table, say
from thetahat.core.errors import ConfigError
from thetahat.core.shell import store_flag
from thetahat.format import Column, json_text

if TYPE_CHECKING:
    from thetahat.store import Store, SweepRow
    from thetahat.sweep.launch import JobTask, Launched, SlurmJobs

DESCRIPTION = (
    "Launch agents of a sweep on a cluster. They work until the sweep is done. The runs of an agent"
    " that is ended go back to the sweep's queue, and continue with another."
)
EXAMPLES = """\
examples:
  thetahat launch ID --slurm --agents 8 --cpus 4 --time 4:00:00
  thetahat launch ID --slurm --agents 2 --gpus 1 --partition gpu --sbatch qos=long
  thetahat launch ID --slurm --print > job.sh      the script, to read or to submit
  thetahat launch --status                         what is at work
  thetahat launch ID --ray --agents 8              on the cluster of Ray that this machine is in
"""
COLUMNS = (
    *("job", "sweep", "agents", "running", "pending", "ended", "nodes", "waits_for"),
    *("runs_over", "state"),
)


def add_flags(parser: Any) -> None:
    """Add the flags of ``launch``."""
    parser.add_argument("sweep", metavar="ID", nargs="?", help="a sweep's id or name, or last")
    add_switch(parser, "--slurm", "as an array of Slurm jobs, by sbatch")
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        nargs="?",
        const="auto",
        help="as tasks of Ray, while this command runs (default: the cluster of this machine)",
    )
    add_switch(parser, "--status", "show the launches of this store, or of a sweep")
    add_value(parser, "--agents N", "how many (default: 1)", whole_number())
    each = parser.add_argument_group("each agent")
    add_value(each, "--cpus N", "its cores (default: 1)", whole_number())
    add_value(each, "--gpus N", "its GPUs, or a kind and a number, such as a100:1")
    add_value(each, "--memory SIZE", "such as 8G")
    about = "processes at a time (default: one for each GPU, else for each core)"
    add_value(each, "--workers N", about, whole_number())
    add_switch(each, "--keep-going", "continue although the first runs all fail")
    slurm = parser.add_argument_group("Slurm")
    add_value(slurm, "--time LIMIT", "of a job, such as 4:00:00; it then goes on in the next")
    add_value(slurm, "--partition NAME", "where jobs run (default: that of the cluster)")
    add_value(slurm, "--account NAME", "to whom they are charged")
    slurm.add_argument(
        "--sbatch",
        metavar="OPTION",
        action="append",
        help="another option of sbatch, such as qos=long (may be repeated)",
    )
    add_value(slurm, "--template FILE", "a script of your own, with {{options}} and {{agent}}")
    add_switch(slurm, "--print", "print the script, and submit nothing")
    add_store(parser)
    add_format(parser, ("table", "json"))


def run(args: argparse.Namespace) -> int:
    """Launch agents, or show those that were."""
    from thetahat.store import find_sweep, open_store
    from thetahat.sweep.launch import check_launchable

    if args.status:
        _refuse_beside(args, "--status", {"sweep", "status", "store", "format"})
    elif args.ray is not None:
        fits = {"sweep", "ray", "agents", "cpus", "gpus", "workers", "keep_going", "store"}
        _refuse_beside(args, "--ray", fits | {"format"})
    elif not args.slurm:
        raise ConfigError(
            "thetahat launch needs --slurm or --ray, which say where agents run; on any machine by"
            " hand: thetahat agent ID"
        )
    if not args.status:
        _check_named(args.sweep)
    with open_store(args.store, create=False) as store:
        sweep = None if args.sweep is None else find_sweep(store, args.sweep)
        if args.status:
            return _status(store, sweep, args)
        assert sweep is not None
        check_launchable(sweep, store.path)
        launch = _launch_slurm if args.slurm else _launch_ray
        return launch(store, sweep, args)


def _check_named(sweep: str | None) -> None:
    """Refuse a launch of no sweep, or of a file of which no sweep was made."""
    if sweep is None:
        raise ConfigError("thetahat launch needs the ID of a sweep, its name, or last")
    if Path(sweep).suffix in (".yaml", ".yml"):
        raise ConfigError(
            f"thetahat launch needs a sweep that exists; create it with: thetahat sweep {sweep}"
        )


def _refuse_beside(args: argparse.Namespace, flag: str, fits: set[str]) -> None:
    given = [n for n, v in vars(args).items() if n not in fits and v not in (None, False, [])]
    if given:
        name = given[0].replace("_", "-")
        raise ConfigError(f"{flag} and --{name} exclude each other; leave out one of them")


# -- Slurm ----------------------------------------------------------------------------------------


def _launch_slurm(store: Store, sweep: SweepRow, args: argparse.Namespace) -> int:
    from thetahat.sweep.launch import (
        TEMPLATE,
        Launched,
        check_shared,
        hosts_of,
        record_launch,
        slurm_script,
        submit,
    )

    jobs = _jobs(args)
    folder = _folder(sweep)
    # Slurm puts in the ids; a percent sign of the folder's is doubled.
    logs = f"{str(store.folder).replace('%', '%%')}/logs/slurm-%A_%a.log"
    script = slurm_script(
        *(jobs, sweep.id, store.path),
        folder=folder,
        logs=logs,
        template=TEMPLATE if args.template is None else _read(args.template),
        file=args.template or "the template",
    )
    if args.print:
        emit(script)
        return 0
    check_shared(store.path, hosts_of(jobs.partition))
    (store.folder / "logs").mkdir(exist_ok=True)
    job = submit(script, store.path)
    files = str(store.folder / "logs" / f"slurm-{job}_*.log")
    record_launch(store.folder, Launched(job, sweep.id, jobs.agents, files))
    if args.format == "json":
        emit(json_text({"job": job, "sweep": sweep.id, "agents": jobs.agents, "logs": files}))
        return 0
    where = store_flag(args.store)
    say(f"job {job}: {_agents(jobs.agents)} of the sweep {sweep.id} ({sweep.name})")
    say(f"look at them: thetahat launch --status{where}; end them: scancel {job}")
    if sweep.points is not None and jobs.agents > sweep.points:
        print_note(f"{jobs.agents} agents for a sweep of {sweep.points} runs: some have no work")
    return 0


def _jobs(args: argparse.Namespace) -> SlurmJobs:
    from thetahat.sweep.launch import SlurmJobs

    given = {name: getattr(args, name) for name in ("agents", "cpus") if getattr(args, name)}
    return SlurmJobs(
        gpus=args.gpus,
        memory=args.memory,
        time=args.time,
        partition=args.partition,
        account=args.account,
        options=tuple(args.sbatch or ()),
        workers=args.workers,
        keep_going=args.keep_going,
        **given,
    )


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"--template={file} cannot be read: {why}") from error


def _folder(sweep: SweepRow) -> str:
    """Return the folder where agents start: where the sweep was made, or here if it is missing."""
    return sweep.folder if sweep.folder and os.path.isdir(sweep.folder) else os.getcwd()


def _agents(n: int) -> str:
    return f"{n} agent{'s' * (n != 1)}"


# -- Ray ------------------------------------------------------------------------------------------


def _launch_ray(store: Store, sweep: SweepRow, args: argparse.Namespace) -> int:
    """Work on a sweep by agents on Ray, and report progress, until it is done or Ctrl-C."""
    from thetahat.cli.terminal._sweep_progress import View
    from thetahat.store import find_sweep
    from thetahat.sweep.agent import Alive, Tally, spec_of
    from thetahat.sweep.launch import RayTasks, work_on_ray

    given = {name: getattr(args, name) for name in ("agents", "cpus") if getattr(args, name)}
    tasks = RayTasks(
        args.ray, gpus=_whole(args.gpus), workers=args.workers, keep_going=args.keep_going, **given
    )
    as_json = args.format == "json"
    where = store_flag(args.store)
    shown = View(store, sweep, spec_of(sweep).metric, quiet=as_json, where=where)
    with shown as view, _asked_to_stop() as asked:

        def look(_left: int) -> bool:
            view.say(Alive("", find_sweep(store, sweep.id)))
            return bool(asked)

        ended = work_on_ray(tasks, store.path, sweep.id, _folder(sweep), look)
    now = find_sweep(store, sweep.id)
    failed = sum(one.failed for one in ended)
    stopped = bool(asked) and not now.over
    view.summary(Tally(failed=failed, interrupted=stopped, state=now.state), as_json=as_json)
    if as_json:
        emit(json_text({"sweep": sweep.id, "agents": tasks.agents, "state": now.state}))
    for error in dict.fromkeys(one.error for one in ended if one.error):
        if not now.over:
            raise ConfigError(f"an agent on Ray ended early: {error}")
        print_note(f"an agent on Ray ended early: {error}")
    return INTERRUPTED if stopped else int(failed > 0)


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM while the block runs; the second one stops at once."""
    asked: list[int] = []

    def listen(number: int, _frame: Any) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)
        print_note("stopping the agents; their runs go back to the queue")

    before = {which: signal.signal(which, listen) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


def _whole(gpus: str | None) -> int:
    if gpus is not None and not gpus.isdecimal():
        raise ConfigError(f"--gpus={gpus}: give Ray the number of GPUs of each agent, such as 1")
    return int(gpus or 0)


# -- what was launched ----------------------------------------------------------------------------


def _status(store: Store, sweep: SweepRow | None, args: argparse.Namespace) -> int:
    """Show launches: those of a sweep, else those that are at work or should be."""
    from thetahat.store import list_sweeps
    from thetahat.sweep.launch import list_tasks, read_launches

    launches = read_launches(store.folder)
    tasks = list_tasks([one.job for one in launches]) if launches else []
    sweeps = {row.id: row for row in list_sweeps(store)}
    found = [one for one in launches if one.sweep in sweeps]
    if sweep is not None:
        found = [one for one in found if one.sweep == sweep.id]
    else:
        live = {task.job for task in tasks}
        found = [one for one in found if one.job in live or not sweeps[one.sweep].over]
    rows = [_row(store, sweeps[one.sweep], one, tasks) for one in found]
    if args.format == "json":
        emit(json_text(rows))
        return 0
    where = store_flag(args.store)
    if not rows:
        what = "no launch is at work" if sweep is None else f"no launch of the sweep {sweep.id}"
        say(f"{what} in the store {store.path}; begin one with: thetahat launch ID --slurm{where}")
        return 0
    print_table(rows, [Column(name, name.replace("_", " ")) for name in COLUMNS])
    for row, one in zip(rows, found, strict=True):
        if not (sweeps[one.sweep].over or row["running"] or row["pending"]):
            print_note(
                f"no agent of job {one.job} is left, and its sweep is not over; its agents wrote"
                f" to {one.logs}; launch again with: thetahat launch {one.sweep} --slurm{where}"
            )
    return 0


def _row(store: Store, sweep: SweepRow, one: Launched, tasks: list[JobTask]) -> dict[str, Any]:
    from thetahat.store import count_runs

    mine = [task for task in tasks if task.job == one.job]
    states = Counter("pending" if task.state == "PENDING" else "running" for task in mine)
    counts = count_runs(store, sweep.id)
    over = sum(n for status, n in counts.items() if status not in ("queued", "running"))
    waits = {t.reason for t in mine if t.state == "PENDING" and t.reason not in ("None", "")}
    return {
        "job": one.job,
        "sweep": f"{sweep.id} ({sweep.name})",
        "agents": one.agents,
        **{state: states[state] for state in ("running", "pending")},
        "ended": max(0, one.agents - len(mine)),
        "nodes": ", ".join(sorted({task.node for task in mine if task.node})),
        "waits_for": ", ".join(sorted(waits)),
        "runs_over": over if sweep.points is None else f"{over} of {sweep.points}",
        "state": sweep.state,
    }
