"""``thetahat demo``: the lectures' sweep, from its file to the table, and where to look next."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._errors import INTERRUPTED, print_error
from thetahat.cli._parser import add_format, add_quiet, add_store
from thetahat.cli.terminal._output import print_table, read_screen
from thetahat.core.errors import StoreError
from thetahat.core.shell import store_flag

if TYPE_CHECKING:
    from thetahat.store import RunRow, Store, SweepRow
    from thetahat.sweep.agent import Tally

SOURCES = Path(__file__).parent / "demo"
"""Copies of the sweep file and its program in examples/, which is not installed."""
FILE, PROGRAM = "mlp_sweep.yaml", "mlp_regression.py"
METRIC = "val_risk"
_CURVE = (8, 24)
"""Least and most cells of a run's curve."""
_OTHERS = 58
"""Cells of the other columns."""
DESCRIPTION = (
    "Run the lectures' sweep to its end: twelve nets, Bayesian search over the learning rate and"
    " the width. The runs stay in the store."
)
EXAMPLES = ""


def add_flags(parser: Any) -> None:
    """Add the flags of ``demo``."""
    add_quiet(parser)
    add_store(parser)
    add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Run the sweep to its end, and show what it found."""
    from thetahat.store import open_store

    with open_store(args.store) as store:
        file = lay_out(store.folder / "demo")
        if args.format == "table" and not args.quiet:
            _introduce(file)
        began = time.perf_counter()
        sweep, tally = _work(store, file, args)
        if tally.interrupted:
            print_error(f"interrupted; go on with: {_command(f'agent {sweep.id}', args)}")
            return INTERRUPTED
        found = _ranked(store, sweep)
        if args.format == "table":
            _show(store, sweep, found, time.perf_counter() - began)
            if not args.quiet:
                _suggest(sweep, found[0], file, args)
        else:
            from thetahat.cli.terminal._run_table import print_runs

            print_runs(found, args.format, None)
    return int(tally.failed > 0)


def lay_out(folder: Path) -> Path:
    """Copy the sweep file and its program into a folder, for the user to read and change.

    If the user has changed the files of a former demo, the copies go to ``demo-2``, and so on.

    Raises:  StoreError: they cannot be written.
    """
    fresh = {name: (SOURCES / name).read_bytes() for name in (FILE, PROGRAM)}
    place, k = folder, 1
    try:
        while any((place / n).exists() and (place / n).read_bytes() != fresh[n] for n in fresh):
            k += 1
            place = folder.with_name(f"{folder.name}-{k}")
        place.mkdir(parents=True, exist_ok=True)
        for name, text in fresh.items():
            (place / name).write_bytes(text)
    except OSError as error:
        raise StoreError(
            f"the files of the demo cannot be written to {place} ({error.strerror or error}); give"
            " another place with --store or THETAHAT_STORE"
        ) from error
    file, here = place / FILE, Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file


def _work(store: Store, file: Path, args: argparse.Namespace) -> tuple[SweepRow, Tally]:
    import warnings

    from thetahat.cli.terminal._sweep_progress import View
    from thetahat.core.errors import Notice
    from thetahat.sweep import SweepOptions, Work, read_sweep, start_early
    from thetahat.sweep.agent import AgentEvent, Noted, early_pool, find_out, new_sweep, work_on

    spec, plan, work = read_sweep(str(file)).require(), SweepOptions(), Work()

    def say(event: AgentEvent) -> None:
        # The notes are about the lectures' batch of 512, which is larger than their data.
        if not isinstance(event, Noted):
            view.say(event)

    early = start_early(spec, plan, work, str(store.path))
    try:
        pool = early_pool(store, spec, plan, work, early)
        sweep = new_sweep(store, spec, plan, found=find_out(spec, plan))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)
            with View(store, sweep, spec.metric, quiet=args.quiet, where="") as view:
                tally = work_on(store, sweep, work, say, pool)
    finally:
        for worker in early:
            worker.close()
    return sweep, tally


def _ranked(store: Store, sweep: SweepRow) -> list[RunRow]:
    """Sort the sweep's runs from the best; those that did not end well with the metric last."""
    from thetahat.analysis import ending, finite

    def place(run: RunRow) -> tuple[bool, float]:
        value = finite(run.metrics.get(METRIC))
        counts = value is not None and ending(run, METRIC) == "well"
        return (not counts, value if counts and value is not None else 0.0)

    return sorted(store.runs(sweep_id=sweep.id), key=place)


def _introduce(file: Path) -> None:
    from thetahat.format import paint

    screen = read_screen()
    print(paint("Which learning rate, and how wide a net?", "bold", screen.colour))
    print(f"A W&B sweep file, as it is, for the experiment beside it ({file.parent / PROGRAM}):")
    print()
    text = file.read_text(encoding="utf-8").splitlines()
    lines = [line for line in text if not line.startswith("#")]
    print("\n".join(paint(f"    {line}", "dim", screen.colour) for line in lines), flush=True)
    print(flush=True)


def _show(store: Store, sweep: SweepRow, found: Sequence[RunRow], seconds: float) -> None:
    import textwrap

    from thetahat.cli.terminal._fit_progress import span
    from thetahat.format import short

    epochs = max(run.epochs for run in found)
    print(f"{len(found)} runs of {epochs} epochs in {span(seconds)}, the best first:\n")
    _print_best(store, found)
    print()
    best = found[0]
    if best.status.well and best.metrics.get(METRIC) is not None:
        text = (
            f"The validation part chooses lr {short(best.config['lr'], 3)} and width"
            f" {best.config['width']}: {best.name}. Its risk there is"
            f" {short(best.metrics[METRIC], 3)}, the lowest of all and therefore flattered; on the"
            f" test part, which chose nothing, it is {short(best.metrics['test_risk'], 3)}."
        )
        print("\n".join(textwrap.wrap(text, min(read_screen().width or 100, 100))))


def _suggest(sweep: SweepRow, best: RunRow, file: Path, args: argparse.Namespace) -> None:
    """Print the commands to look at the runs with, and what each does if there is room."""
    from thetahat.format import paint

    screen = read_screen()
    ways = {
        _command(f"runs {sweep.id}", args): "all its runs",
        _command(f"show {best.name}", args): "the best, with its curves",
        _command("ui", args): "all of it in the browser",
        _command(f"sweep {file}", args) + " --run": "again; or edit it first",
    }
    wide = max(map(len, ways))
    fits = screen.width is None or wide + 4 + max(map(len, ways.values())) <= screen.width
    print()
    for command, what in ways.items():
        about = f"  {paint(what, 'dim', screen.colour)}" if fits else ""
        print(f"  {command.ljust(wide)}{about}".rstrip())


def _print_best(store: Store, found: Sequence[RunRow]) -> None:
    from thetahat.format import Column, sparkline

    screen = read_screen()
    curves = {run.id: [float(v) for v in store.history(run.id).get(METRIC, [])] for run in found}
    seen = [v for curve in curves.values() for v in curve if v == v and v > 0]
    scale = (min(seen), max(seen)) if seen else None
    cells = min(_CURVE[1], max(_CURVE[0], (screen.width or 100) - _OTHERS))
    rows = [
        {
            "name": run.name,
            "lr": run.config.get("lr"),
            "width": run.config.get("width"),
            "params": run.n_params,
            "val": run.metrics.get("val_risk"),
            "test": run.metrics.get("test_risk"),
            "curve": sparkline(curves[run.id], cells, ascii_only=screen.ascii_only, span=scale),
        }
        for run in found
    ]
    columns = [
        Column("name", priority=9, least=16),
        Column("lr", priority=8),
        Column("width", priority=8),
        Column("params", priority=1),
        Column("val", "val_risk", priority=7),
        Column("curve", "by epoch", priority=3, least=cells),
        Column("test", "test_risk", priority=5),
    ]
    print_table(rows, columns)


def _command(words: str, args: argparse.Namespace) -> str:
    return f"{program()} {words}{store_flag(args.store)}"


def program() -> str:
    """Give the command ``thetahat``, with its path if the environment is not activated."""
    beside = Path(sys.executable).with_name("thetahat")
    if shutil.which("thetahat") or not beside.exists():
        return "thetahat"
    folder = Path.cwd()
    if not beside.is_relative_to(folder):
        return str(beside)
    return str(beside.relative_to(folder)) if beside.parent != folder else f"./{beside.name}"
