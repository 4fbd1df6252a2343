"""``thetahat agent``: work on a sweep with the whole machine, until it is done."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._errors import INTERRUPTED
from thetahat.cli._parser import (
    add_quiet,
    add_store,
    add_switch,
    add_value,
    devices,
    whole_number,
)
from thetahat.cli.terminal._output import many_runs, say
from thetahat.core.errors import ConfigError
from thetahat.core.shell import store_flag

if TYPE_CHECKING:
    from thetahat.store import Store, SweepRow
    from thetahat.sweep import SweepSpec, Work
    from thetahat.sweep.agent import Pool, Tally

LATEST = "last"
"""The name of the latest sweep: no sweep can have it."""
DESCRIPTION = (
    "Work on a sweep until it is done. One agent uses the whole machine. Ctrl-C once finishes the"
    " chunk and returns the runs to the queue, twice stops at once."
)
EXAMPLES = """\
examples:
  thetahat agent ID                 until the sweep is done; as many agents as you like
  thetahat agent ID --count 20      20 runs, then stop
  thetahat agent sweep.yaml         on the sweep of this file, created if there is none
"""


def add_flags(parser: Any) -> None:
    """Add the flags of ``agent``."""
    parser.add_argument("sweep", metavar="ID", help="a sweep's id or name, last, or a sweep file")
    add_value(parser, "--count N", "runs of this agent, at most", whole_number())
    add_work(parser)
    add_store(parser)


def add_work(parser: Any) -> None:
    """Add the flags that say how an agent works."""
    limit = "processes at a time (default: one for each device, else for each core)"
    add_value(parser, "--workers N", limit, whole_number())
    add_value(parser, "--devices 0,1", "GPUs, used in turn: each worker gets one", devices, [])
    ways = "workers or cohorts: a worker for each device, or one for all (default: the faster)"
    add_value(parser, "--spread WAY", ways)
    add_switch(parser, "--keep-going", "continue although the first runs all fail")
    add_quiet(parser)
    add_switch(parser, "--ui", "show the page in a browser meanwhile")


def run(args: argparse.Namespace) -> int:
    """Work on a sweep."""
    from thetahat.store import find_sweep, open_store
    from thetahat.sweep import SweepOptions, read_sweep
    from thetahat.sweep.agent import new_sweep

    by_file = Path(args.sweep).suffix in (".yaml", ".yml")
    # A missing file is an error before a store is created for it.
    spec = read_sweep(args.sweep).require() if by_file else None
    if spec is not None:
        check_name(spec)
    with open_store(args.store, create=by_file) as store:
        work = work_of(args, args.count)
        if spec is None:
            sweep = find_sweep(store, args.sweep)
        else:
            sweep = new_sweep(store, spec, SweepOptions(), join=True)
        if spec is not None and sweep.state == "finished":
            from thetahat.cli.commands._ui import beside

            with beside(args) as stay:
                _print_finished(store, sweep, args)
                stay()
            return 0
        return exit_code(work_and_report(store, sweep, work, args))


def _print_finished(store: Store, sweep: SweepRow, args: argparse.Namespace) -> None:
    """Say that the sweep of a file is finished, and how to run it again."""
    if args.quiet:
        return
    where = store_flag(args.store)
    n = len(store.runs(sweep_id=sweep.id))
    say(f"sweep {sweep.id} ({sweep.name}) of this file is finished: {many_runs(n)}")
    say(f"look at them: thetahat runs {sweep.id}{where}")
    say(f"to run it again: thetahat sweep {args.sweep} --run{where}")


def check_name(spec: SweepSpec, given: str | None = None) -> None:
    """Refuse a sweep the name that means the latest one.

    Args:    given: what ``--name`` says; else the file's name counts, as for the sweep itself.
    Raises:  ConfigError: it is that name.
    """
    if (given or spec.name or Path(spec.file).stem) != LATEST:
        return
    where = f"--name={LATEST}"
    if not given:
        where = f"{spec.file}: name: {LATEST}" if spec.name else f"the file's name {spec.file}"
    raise ConfigError(
        f"{where}: {LATEST!r} means the latest sweep, in agent, runs and report; give another name,"
        " such as --name=mine or a line 'name: mine' in the file"
    )


def work_of(args: argparse.Namespace, count: int | None = None) -> Work:
    """Read from the flags how an agent works."""
    from thetahat.sweep import Work

    return Work(
        count, args.workers, tuple(args.devices), args.keep_going, spread=args.spread or "auto"
    )


def work_and_report(
    store: Store, sweep: SweepRow, work: Work, args: argparse.Namespace, pool: Pool | None = None
) -> Tally:
    """Work on a sweep, and report progress on standard error."""
    from thetahat.cli.commands._ui import beside
    from thetahat.cli.terminal._sweep_progress import View
    from thetahat.sweep.agent import Tally, is_done, spec_of, work_on

    where = store_flag(args.store)
    spec = spec_of(sweep)
    with beside(args) as stay:
        with View(store, sweep, spec.metric, quiet=args.quiet, where=where) as view:
            if is_done(store, sweep):
                tally = Tally(state=sweep.state)
            else:
                if stored := sweep.plan.get("trackers"):
                    from thetahat.tracking.trackers import with_stored

                    work = replace(work, on=with_stored(work.on, stored))
                tally = work_on(store, sweep, work, view.say, pool)
        view.summary(tally, as_json=getattr(args, "format", "table") == "json")
        if not tally.interrupted:
            stay()
    return tally


def exit_code(tally: Tally) -> int:
    """Give 0 if all is done, 1 if a run failed, 130 after an interruption."""
    return INTERRUPTED if tally.interrupted else int(tally.failed > 0)
