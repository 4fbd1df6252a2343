"""``thetahat agent``: work on a sweep with the whole machine, until it is done."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._errors import INTERRUPTED
from thetahat.core.errors import ConfigError

if TYPE_CHECKING:
    from thetahat.store import Store, SweepRow
    from thetahat.sweep import SweepSpec, Work
    from thetahat.sweep.agent import Crew, Tally

LATEST = "last"
"""What no sweep can be called."""
_EXAMPLES = """\
examples:
  thetahat agent ID                 until the sweep is done; as many agents as you like
  thetahat agent ID --count 20      20 runs, then stop
  thetahat agent sweep.yaml         on the sweep of this file, made if there is none
"""


def add_parser(subparsers: Any) -> None:
    """Add ``agent`` to the command line."""
    parser = subparsers.add_parser(
        "agent",
        help="work on a sweep",
        description="Work on a sweep until it is done. One agent uses the whole machine; Ctrl-C"
        " once finishes the chunk and hands the runs back, twice stops at once.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweep", metavar="ID", help="a sweep's id or name, last, or a sweep file")
    parser.add_argument("--count", type=int, metavar="N", help="runs of this agent, at most")
    add_work(parser)
    parser.add_argument(
        "--store",
        metavar="URL",
        help="folder or file of the store (default: THETAHAT_STORE, else .thetahat here)",
    )
    parser.set_defaults(run=run)


def add_work(parser: Any) -> None:
    """The flags that say how an agent works."""
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes at a time (default: one for each device, else for each core)",
    )
    parser.add_argument(
        "--devices",
        metavar="0,1",
        help="GPUs, used in turn: each worker gets one (CUDA_VISIBLE_DEVICES)",
    )
    parser.add_argument(
        "--keep-going", action="store_true", help="go on although the first runs all fail"
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing but what went wrong")
    parser.add_argument("--ui", action="store_true", help="show the page in a browser meanwhile")


def run(args: argparse.Namespace) -> int:
    """Work on a sweep."""
    from thetahat.store import find_sweep, open_store
    from thetahat.sweep import SweepOptions, read_sweep
    from thetahat.sweep.agent import new_sweep

    by_file = Path(args.sweep).suffix in (".yaml", ".yml")
    # A file that is not there is said before a store is made for it.
    spec = read_sweep(args.sweep).require() if by_file else None
    if spec is not None:
        check_name(spec)
    with open_store(args.store, create=by_file) as store:
        work = work_of(args)
        if spec is None:
            sweep = find_sweep(store, args.sweep)
        else:
            sweep = new_sweep(store, spec, SweepOptions(), join=True)
        if spec is not None and sweep.state == "finished":
            from thetahat.cli.commands._ui import beside

            with beside(args) as stay:
                _say_done(store, sweep, args)
                stay()
            return 0
        return exit_code(work_with_words(store, sweep, work, args))


def _say_done(store: Store, sweep: SweepRow, args: argparse.Namespace) -> None:
    """The sweep of a file is finished: nothing is done a second time unless that is asked for."""
    if args.quiet:
        return
    from thetahat.cli.terminal._sweep_screen import many_runs

    where = f" --store {args.store}" if args.store else ""
    n = len(store.runs(sweep_id=sweep.id))
    print(f"sweep {sweep.id} ({sweep.name}) of this file is finished: {many_runs(n)}")
    print(f"look at them: thetahat runs {sweep.id}{where}")
    print(f"to run it again: thetahat sweep {args.sweep} --run{where}")


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


def work_of(args: argparse.Namespace) -> Work:
    """How the flags ask an agent to work."""
    from thetahat.sweep import Work

    for name in ("workers", "count"):
        value = getattr(args, name, None)
        if value is not None and value < 1:
            raise ConfigError(f"--{name}={value}: give a whole number of at least 1")
    devices = tuple(d.strip() for d in (args.devices or "").split(",") if d.strip())
    count = args.count if args.command_name == "agent" else None
    return Work(count, args.workers, devices, args.keep_going)


def work_with_words(
    store: Store, sweep: SweepRow, work: Work, args: argparse.Namespace, crew: Crew | None = None
) -> Tally:
    """Work, and say on standard error how it goes."""
    from thetahat.cli.commands._ui import beside
    from thetahat.cli.terminal._sweep_progress import View
    from thetahat.sweep.agent import Tally, spec_of, work_on

    where = f" --store {args.store}" if args.store else ""
    spec = spec_of(sweep)
    with beside(args) as stay:
        with View(store, sweep, spec.metric, quiet=args.quiet, where=where) as view:
            if _is_done(store, sweep):
                tally = Tally(state=sweep.state)
            else:
                tally = work_on(store, sweep, work, view.say, crew)
        view.summary(tally, as_json=getattr(args, "format", "table") == "json")
        if not tally.interrupted:
            stay()
    return tally


def _is_done(store: Store, sweep: SweepRow) -> bool:
    """Whether nothing is left to do: no run of a sweep that is over waits or was left behind."""
    from thetahat.store import count_runs

    counts = count_runs(store, sweep.id)
    return sweep.over and not counts.get("running") and not counts.get("queued")


def exit_code(tally: Tally) -> int:
    """0 done, 1 a run failed, 130 interrupted."""
    return INTERRUPTED if tally.interrupted else int(tally.failed > 0)
