"""``thetahat sweep``: make a sweep of a file, and pause, resume, cancel or extend one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thetahat.cli.commands._agent import add_work, check_name, exit_code, work_of, work_with_words
from thetahat.cli.terminal._output import emit, note
from thetahat.cli.terminal._sweep_screen import many_runs
from thetahat.core.errors import ConfigError
from thetahat.format import json_text

if TYPE_CHECKING:
    from thetahat.store import Store, SweepRow
    from thetahat.sweep import SweepOptions, SweepSpec, Work
    from thetahat.sweep.agent import WorkerProcess

_EXAMPLES = """\
examples:
  thetahat sweep sweep.yaml                  make it; prints its id and the agent command
  thetahat sweep sweep.yaml --run            make it and work on it, in one
  thetahat sweep sweep.yaml --replicates 5 --count 100 --seed 1
  thetahat sweep ID --pause                  no new runs; --resume lets them begin again
  thetahat sweep ID --extend more.yaml       go on with another file's points
"""
_CHANGES = ("pause", "resume", "cancel", "extend")


def add_parser(subparsers: Any) -> None:
    """Add ``sweep`` to the command line."""
    parser = subparsers.add_parser(
        "sweep",
        help="make a sweep of a file",
        description="Make a sweep of a W&B sweep file, once it has been checked; agents then work"
        " on it. The file stays as it is: all that is ours rides on flags.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", metavar="FILE", help="the sweep file; or the id of a sweep")
    search = parser.add_argument_group("search")
    search.add_argument("--seed", type=int, metavar="S", help="of the search (default: 0)")
    search.add_argument("--count", type=int, metavar="N", help="runs in all, at most")
    search.add_argument("--replicates", type=int, metavar="K", help="run each setting with K seeds")
    search.add_argument("--enqueue", metavar="CSV", help="points to start from, one a line")
    search.add_argument("--shuffle", action="store_true", help="a grid in a seeded random order")
    search.add_argument("--sampler", metavar="NAME", help="tpe, gp, cmaes, qmc or random")
    search.add_argument("--asha", action="store_true", help="ASHA in place of Hyperband's rule")
    running = parser.add_argument_group("running")
    running.add_argument("--retries", type=int, metavar="R", help="try a failed run R times more")
    running.add_argument("--timeout", type=float, metavar="S", help="seconds a process may take")
    running.add_argument(
        "--mode", metavar="MODE", help="cohort, exact, worker or process (default: auto)"
    )
    running.add_argument("--cohort", type=int, metavar="K", help="train at most K runs together")
    running.add_argument(
        "--exact",
        dest="mode",
        action="store_const",
        const="exact",
        help="the same as --mode exact: runs of a cohort bitwise equal to runs alone",
    )
    running.add_argument("--name", metavar="NAME", help="of the sweep (default: the file's)")
    running.add_argument("--run", dest="at_once", action="store_true", help="work on it at once")
    add_work(running)
    change = parser.add_argument_group("a sweep that is there (give its id)")
    change.add_argument("--pause", action="store_true", help="begin no new runs")
    change.add_argument("--resume", action="store_true", help="begin new runs again")
    change.add_argument("--cancel", action="store_true", help="end it, and its runs, now")
    change.add_argument("--extend", metavar="FILE", help="go on with another file")
    parser.add_argument(
        "--store",
        metavar="URL",
        help="folder or file of the store (default: THETAHAT_STORE, else .thetahat here)",
    )
    parser.add_argument(
        "--format", choices=("table", "json"), default="table", help="of the answer"
    )
    made = [*search._group_actions, *running._group_actions]
    parser.set_defaults(run=run, making=[a for a in made if a.dest != "quiet"])


def run(args: argparse.Namespace) -> int:
    """Make a sweep, or change one."""
    asked = [name for name in _CHANGES if getattr(args, name)]
    if len(asked) > 1:
        both = " and ".join(f"--{name}" for name in asked[:2])
        raise ConfigError(f"{both} cannot stand together; give one of them")
    if asked:
        idle = [a for a in args.making if getattr(args, a.dest) != a.default]
        if idle:
            flag = idle[0].option_strings[0]
            raise ConfigError(
                f"--{asked[0]} changes a sweep that is there, and {flag} is for one that is made or"
                " worked on; leave it away"
            )
        return _change(args, asked[0])
    if args.ui and not args.at_once:
        raise ConfigError("--ui shows the page while a sweep is worked on; give --run too")
    return _make(args)


def _make(args: argparse.Namespace) -> int:
    from thetahat.sweep import read_sweep, start_early

    reading = read_sweep(args.what)
    spec, plan, work = reading.require(), plan_of(args), work_of(args)
    check_name(spec, args.name)
    for problem in reading.notes:
        note(problem.said(args.what, "note: "))
    # The workers load the experiment: one of them checks the file, and this process need not.
    begun = start_early(spec, plan, work, args.store) if args.at_once else []
    try:
        return _made(args, spec, plan, work, begun)
    finally:
        for worker in begun:
            worker.close()


def _made(
    args: argparse.Namespace,
    spec: SweepSpec,
    plan: SweepOptions,
    work: Work,
    begun: Sequence[WorkerProcess],
) -> int:
    from thetahat.store import open_store
    from thetahat.sweep.agent import early_crew, find_out, new_sweep

    with open_store(args.store) as store:
        crew = early_crew(store, spec, plan, work, begun)
        sweep = new_sweep(store, spec, plan, args.name, found=find_out(spec, plan, crew))
        _print(sweep, spec, plan, args)
        if not args.at_once:
            return 0
        return exit_code(work_with_words(store, sweep, work, args, crew))


def _change(args: argparse.Namespace, how: str) -> int:
    from thetahat.store import find_sweep, open_store, set_state
    from thetahat.sweep import read_sweep
    from thetahat.sweep.agent import extend_sweep

    with open_store(args.store, create=False) as store:
        sweep = find_sweep(store, args.what)
        if how == "extend":
            sweep = extend_sweep(store, sweep, read_sweep(args.extend).require())
            said = f"goes on with {args.extend}"
        else:
            state = {"pause": "paused", "resume": "running", "cancel": "cancelled"}[how]
            if not set_state(store, sweep.id, state, f"by thetahat sweep --{how}"):
                raise ConfigError(_too_late(store, find_sweep(store, sweep.id)))
            if how == "cancel":
                _cancel_waiting(store, sweep)
            said = {"pause": "is paused", "resume": "goes on", "cancel": "is cancelled"}[how]
        sweep = find_sweep(store, sweep.id)
    if args.format == "json":
        emit(json_text({**_answer(sweep), "state": sweep.state}))
    else:
        again = f"; work on it with: {_agent_command(sweep, args)}" if how != "cancel" else ""
        print(f"sweep {sweep.id} ({sweep.name}) {said}{again if how != 'pause' else ''}")
    return 0


def _too_late(store: Store, sweep: SweepRow) -> str:
    n = len(store.runs(sweep_id=sweep.id))
    done = f": {many_runs(n)}" if sweep.state == "finished" else ""
    return (
        f"the sweep {sweep.id} is {sweep.state} already{done}; go on with other points with:"
        f" thetahat sweep {sweep.id} --extend FILE"
    )


def _cancel_waiting(store: Store, sweep: SweepRow) -> None:
    from thetahat.store import standing_runs

    for run in standing_runs(store, sweep_id=sweep.id, status="queued"):
        store.finish_run(run.id, status="cancelled", reason="the sweep was cancelled")


def plan_of(args: argparse.Namespace) -> SweepOptions:
    """What the flags say beside the file."""
    from thetahat.sweep import SweepOptions, read_points

    given = {
        "seed": args.seed,
        "count": args.count,
        "replicates": args.replicates,
        "shuffle": args.shuffle,
        "sampler": args.sampler,
        "retries": args.retries,
        "enqueue": tuple(read_points(args.enqueue)) if args.enqueue else None,
        "asha": args.asha,
        "mode": args.mode,
        "cohort": args.cohort,
        "timeout_s": args.timeout,
    }
    return SweepOptions(**{name: value for name, value in given.items() if value is not None})


def _print(sweep: SweepRow, spec: SweepSpec, plan: SweepOptions, args: argparse.Namespace) -> None:
    if args.format == "json":
        emit(json_text(_answer(sweep)))
        return
    if args.quiet:
        _warn(sweep, spec)
        return
    points = "endless" if sweep.points is None else many_runs(sweep.points)
    seeds = f", {plan.replicates} seeds each" if plan.replicates > 1 else ""
    print(f"sweep {sweep.id} ({sweep.name}): {spec.method}, {points}{seeds}")
    _warn(sweep, spec)
    if not args.at_once:
        print(f"work on it with: {_agent_command(sweep, args)}")


def _warn(sweep: SweepRow, spec: SweepSpec) -> None:
    if sweep.contaminated and spec.metric is not None:
        note(
            f"contaminated: it tunes on the test set ({spec.metric.name}), so its best value is no"
            " estimate of the risk; tune on val_risk to keep the test set clean"
        )


def _agent_command(sweep: SweepRow, args: argparse.Namespace) -> str:
    where = f" --store {args.store}" if args.store else ""
    return f"thetahat agent {sweep.id}{where}"


def _answer(sweep: SweepRow) -> dict[str, Any]:
    return {"id": sweep.id, "name": sweep.name, "points": sweep.points}
