"""``thetahat sweep``: create a sweep from a file, and pause, resume, cancel or extend one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from thetahat.cli._parser import (
    add_format,
    add_store,
    add_switch,
    add_value,
    positive,
    whole_number,
)
from thetahat.cli.commands._agent import add_work, check_name, exit_code, work_and_report, work_of
from thetahat.cli.commands._check import findings_of
from thetahat.cli.terminal._output import emit, many_runs, print_beside, say
from thetahat.core.choices import OTHER_SAMPLERS, one_of
from thetahat.core.errors import ConfigError
from thetahat.core.shell import store_flag
from thetahat.format import json_text

if TYPE_CHECKING:
    from thetahat.store import Store, SweepRow
    from thetahat.sweep import SweepOptions, SweepSpec, Work
    from thetahat.sweep.agent import WorkerProcess

DESCRIPTION = (
    "Create a sweep from a W&B sweep file, once it has been checked; agents then work on it. The"
    " file stays as it is: what W&B has no key for is a flag."
)
EXAMPLES = """\
examples:
  thetahat sweep sweep.yaml                  create it; prints its id and the agent command
  thetahat sweep sweep.yaml --run            create it and work on it at once
  thetahat sweep sweep.yaml --replicates 5 --count 100 --seed 1
  thetahat sweep ID --pause                  no new runs; --resume starts them again
  thetahat sweep ID --extend more.yaml       continue with another file's points
  thetahat sweep ID --retry-failed --run     run the failed runs again, after a fix
"""
_CHANGES = ("pause", "resume", "cancel", "extend", "retry_failed")


def add_flags(parser: Any) -> None:
    """Add the flags of ``sweep``."""
    parser.add_argument("what", metavar="FILE", help="the sweep file; or the id of a sweep")
    search = parser.add_argument_group("search")
    add_value(search, "--seed S", "of the search (default: 0)", whole_number(0))
    add_value(search, "--count N", "runs in all, at most", whole_number())
    add_value(search, "--replicates K", "run each setting with K seeds", whole_number())
    add_value(search, "--enqueue CSV", "points to start from, one a line")
    search.add_argument(
        "--constraint",
        action="append",
        metavar="CONDITION",
        help="between parameters, such as 'width <= 4 * depth' (may be repeated)",
    )
    add_value(search, "--folds K", "run each setting with fold=0 to K-1", whole_number())
    add_value(search, "--prior SWEEP|CSV", "earlier runs with results, for the search")
    add_switch(search, "--shuffle", "a grid in a seeded random order")
    add_value(search, "--sampler NAME", f"{one_of(OTHER_SAMPLERS)} (default: tpe)")
    add_switch(search, "--asha", "ASHA in place of Hyperband's rule")
    running = parser.add_argument_group("running")
    add_value(running, "--retries R", "try a failed run R times more", whole_number(0))
    add_value(running, "--timeout S", "seconds a process may take", positive)
    add_value(running, "--mode MODE", "cohort, exact, worker or process (default: auto)")
    add_value(running, "--cohort K", "train at most K runs together", whole_number())
    running.add_argument(
        "--exact",
        dest="mode",
        action="store_const",
        const="exact",
        help="the same as --mode exact: runs of a cohort bitwise equal to runs alone",
    )
    add_value(running, "--keep K", "best runs that keep their model (default: 1)", whole_number(0))
    add_value(running, "--name NAME", "of the sweep (default: the file's)")
    add_value(running, "--project NAME", "of its runs (default: the file's)")
    add_switch(running, "--run", "work on it at once")
    add_work(running)
    change = parser.add_argument_group("a sweep that exists (give its id)")
    add_switch(change, "--pause", "start no new runs")
    add_switch(change, "--resume", "start new runs again")
    add_switch(change, "--cancel", "end it, and its runs, now")
    add_value(change, "--extend FILE", "continue with another file")
    add_switch(change, "--retry-failed", "run its failed runs again, and no others")
    add_switch(change, "--diverged", "with --retry-failed: also the runs that diverged")
    add_store(parser)
    add_format(parser, ("table", "json"))


def run(args: argparse.Namespace) -> int:
    """Create a sweep, or change one."""
    asked = [name for name in _CHANGES if getattr(args, name)]
    if len(asked) > 1:
        both = " and ".join(f"--{name.replace('_', '-')}" for name in asked[:2])
        raise ConfigError(f"{both} exclude each other; give one of them")
    if asked:
        fits = {*_CHANGES, "what", "quiet", "store", "format"}
        if asked[0] == "retry_failed":
            fits.add("diverged")
        if asked[0] in ("extend", "retry_failed"):
            # Working on it is what comes next.
            fits.add("run")
            if args.run:
                fits |= {"ui", "workers", "devices", "spread", "keep_going"}
        given = [n for n, v in vars(args).items() if n not in fits and v not in (None, False, [])]
        if given:
            flag, how = given[0].replace("_", "-"), asked[0].replace("_", "-")
            raise ConfigError(
                f"--{how} changes a sweep that exists, and --{flag} is for creating or running"
                f" one; leave out --{flag}"
            )
        return _change(args, asked[0])
    if args.diverged:
        raise ConfigError("--diverged says which runs --retry-failed takes; give it too")
    if args.ui and not args.run:
        raise ConfigError("--ui shows the page while a sweep runs; give --run too")
    return _make(args)


def _make(args: argparse.Namespace) -> int:
    from thetahat.sweep import read_sweep, start_early

    reading = read_sweep(args.what)
    if reading.errors:
        errors, _ = findings_of(reading)
        raise ConfigError("\n".join(problem.in_file(reading.file) for problem in errors))
    spec, plan, work = reading.require(), plan_of(args), work_of(args)
    spec = replace(spec, project=args.project or spec.project)
    check_name(spec, args.name)
    for problem in reading.notes:
        print_beside(problem.in_file(args.what, "note: "))
    # The workers load the experiment: one of them checks the file for this process.
    early = start_early(spec, plan, work, args.store) if args.run else []
    try:
        return _made(args, spec, plan, work, early)
    finally:
        for worker in early:
            worker.close()


def _made(
    args: argparse.Namespace,
    spec: SweepSpec,
    plan: SweepOptions,
    work: Work,
    early: Sequence[WorkerProcess],
) -> int:
    from thetahat.store import open_store
    from thetahat.sweep.agent import early_pool, find_out, new_sweep, read_prior

    with open_store(args.store) as store:
        if args.prior:
            prior = read_prior(store, spec, args.prior)
            plan = replace(plan, prior=prior.runs)
            print_beside(prior.says)
        pool = early_pool(store, spec, plan, work, early)
        sweep = new_sweep(store, spec, plan, args.name, found=find_out(spec, plan, pool))
        _print(sweep, spec, plan, args)
        if not args.run:
            return 0
        return exit_code(work_and_report(store, sweep, work, args, pool))


def _change(args: argparse.Namespace, how: str) -> int:
    from thetahat.store import (
        cancel_sweep,
        find_sweep,
        nothing_to_retry,
        open_store,
        retry_failed,
        set_state,
    )
    from thetahat.sweep import read_sweep
    from thetahat.sweep.agent import extend_sweep

    with open_store(args.store, create=False) as store:
        sweep = find_sweep(store, args.what)
        if how == "extend":
            sweep = extend_sweep(store, sweep, read_sweep(args.extend).require())
            outcome = f"goes on with {args.extend}"
        elif how == "retry_failed":
            n = retry_failed(store, sweep.id, diverged=args.diverged)
            if not n:
                flag = f"thetahat sweep {sweep.id} --retry-failed --diverged"
                raise ConfigError(nothing_to_retry(store, sweep, flag, diverged=args.diverged))
            kinds = "failed or diverged" if args.diverged else "failed"
            outcome = f"runs {n:,} {kinds} run{'s' * (n != 1)} again"
        else:
            state = {"pause": "paused", "resume": "running", "cancel": "cancelled"}[how]
            reason = f"by thetahat sweep --{how}"
            cancels = how == "cancel"
            done = cancel_sweep if cancels else partial(set_state, state=state)
            if not done(store, sweep.id, reason=reason):
                raise ConfigError(_too_late(store, find_sweep(store, sweep.id)))
            outcome = {"pause": "is paused", "resume": "goes on", "cancel": "is cancelled"}[how]
        sweep = find_sweep(store, sweep.id)
        if args.run:
            if not args.quiet:
                print_beside(f"sweep {sweep.id} ({sweep.name}) {outcome}")
            return exit_code(work_and_report(store, sweep, work_of(args), args))
    if args.format == "json":
        emit(json_text({**_answer(sweep), "state": sweep.state}))
    else:
        again = f"; work on it with: {_agent_command(sweep, args)}" if how != "cancel" else ""
        say(f"sweep {sweep.id} ({sweep.name}) {outcome}{again if how != 'pause' else ''}")
    return 0


def _too_late(store: Store, sweep: SweepRow) -> str:
    n = len(store.runs(sweep_id=sweep.id))
    done = f": {many_runs(n)}" if sweep.state == "finished" else ""
    return (
        f"the sweep {sweep.id} is {sweep.state} already{done}; go on with other points with:"
        f" thetahat sweep {sweep.id} --extend FILE"
    )


def plan_of(args: argparse.Namespace) -> SweepOptions:
    """Read the options that the flags give beside the file."""
    from thetahat.sweep import SweepOptions, read_points

    given = {
        "seed": args.seed,
        "count": args.count,
        "replicates": args.replicates,
        "shuffle": args.shuffle,
        "sampler": args.sampler,
        "retries": args.retries,
        "enqueue": tuple(read_points(args.enqueue)) if args.enqueue else None,
        "constraints": None if args.constraint is None else tuple(args.constraint),
        "folds": args.folds,
        "asha": args.asha,
        "mode": args.mode,
        "cohort": args.cohort,
        "timeout_s": args.timeout,
        "keep": args.keep,
    }
    return SweepOptions(**{name: value for name, value in given.items() if value is not None})


def _print(sweep: SweepRow, spec: SweepSpec, plan: SweepOptions, args: argparse.Namespace) -> None:
    if args.format == "json":
        emit(json_text(_answer(sweep)))
        return
    points = "endless" if sweep.points is None else many_runs(sweep.points)
    seeds = f", {plan.replicates} seeds each" if plan.replicates > 1 else ""
    seeds = f", {plan.folds} folds each" if plan.folds > 1 else seeds
    if not args.quiet:
        say(f"sweep {sweep.id} ({sweep.name}): {spec.method}, {points}{seeds}")
    if sweep.contaminated and spec.metric is not None:
        print_beside(
            f"contaminated: it tunes on the test set ({spec.metric.name}), so its best value is no"
            " estimate of the risk; tune on val_risk to keep the test set clean"
        )
    if not args.quiet and not args.run:
        say(f"work on it with: {_agent_command(sweep, args)}")


def _agent_command(sweep: SweepRow, args: argparse.Namespace) -> str:
    return f"thetahat agent {sweep.id}{store_flag(args.store)}"


def _answer(sweep: SweepRow) -> dict[str, Any]:
    return {"id": sweep.id, "name": sweep.name, "points": sweep.points}
