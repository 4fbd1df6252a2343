"""``thetahat demo``: the lectures' sweep, from its file to the table, and where to look next."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._errors import INTERRUPTED, say as complain
from thetahat.cli.terminal._output import emit, read_screen
from thetahat.core.errors import StoreError

if TYPE_CHECKING:
    from thetahat.store import RunRow, Store, SweepRow
    from thetahat.sweep.agent import Tally

SOURCES = Path(__file__).parent / "demo"
"""The sweep file and its program: those of examples/, which an installation has not."""
FILE, PROGRAM = "mlp_sweep.yaml", "mlp_regression.py"
METRIC = "val_risk"
CURVE = (8, 24)
"""Cells that the curve of a run takes: at least, at most."""
OTHERS = 58
"""Cells that the columns beside it take."""


def run_sweep(args: argparse.Namespace) -> int:
    """Run the sweep to its end, and show what it found."""
    from thetahat.store import open_store

    with open_store(args.store) as store:
        file = lay_out(store.folder / "demo")
        if args.format == "table" and not args.quiet:
            _introduce(file)
        began = time.perf_counter()
        sweep, tally = _work(store, file, args)
        if tally.interrupted:
            complain(f"interrupted; go on with: {_command('agent', sweep.id, args)}")
            return INTERRUPTED
        found = _ranked(store, sweep)
        if args.format != "table":
            _emit(found, args.format)
        else:
            _show(store, sweep, found, time.perf_counter() - began, file, args)
    return int(tally.failed > 0)


def lay_out(folder: Path) -> Path:
    """Copy the sweep file and its program to where a user may read and change them.

    Files of a former demo that were changed stay: the copies then go to ``demo-2``, and so on.

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
    file = place / FILE
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file


def _work(store: Store, file: Path, args: argparse.Namespace) -> tuple[SweepRow, Tally]:
    import warnings

    from thetahat.cli.terminal._sweep_progress import View
    from thetahat.core.errors import Notice
    from thetahat.sweep import Plan, Work, read_sweep, start_early
    from thetahat.sweep.agent import early_crew, find_out, new_sweep, work_on

    spec, plan, work = read_sweep(str(file)).require(), Plan(), Work()

    def say(what: str, facts: Any) -> None:
        # The lectures' batch of 512 is larger than their data; here nobody chose it.
        if what != "note":
            view.say(what, facts)

    begun = start_early(spec, plan, work, str(store.path))
    try:
        crew = early_crew(store, spec, plan, work, begun)
        sweep = new_sweep(store, spec, plan, found=find_out(spec, plan))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)
            with View(store, sweep, spec.metric, quiet=args.quiet, where="") as view:
                tally = work_on(store, sweep, work, say, crew)
    finally:
        for worker in begun:
            worker.close()
    return sweep, tally


def _ranked(store: Store, sweep: SweepRow) -> list[RunRow]:
    """The sweep's runs, best first; those that did not end well with the metric last."""
    from thetahat.analysis import ending, finite

    def place(run: RunRow) -> tuple[bool, float]:
        value = finite(run.metrics.get(METRIC))
        counts = value is not None and ending(run, METRIC) == "well"
        return (not counts, value if counts and value is not None else 0.0)

    return sorted(store.runs(sweep_id=sweep.id), key=place)


def _emit(found: Sequence[RunRow], format: str) -> None:
    from thetahat.cli.terminal._run_table import print_runs

    print_runs(found, format, None, read_screen())


# -- what is said ---------------------------------------------------------------------------------


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


def _show(
    store: Store,
    sweep: SweepRow,
    found: Sequence[RunRow],
    seconds: float,
    file: Path,
    args: argparse.Namespace,
) -> None:
    from thetahat.cli.terminal._fit_progress import span
    from thetahat.format import paint

    screen = read_screen()
    epochs = max(run.epochs for run in found)
    print(f"{len(found)} runs of {epochs} epochs in {span(seconds)}, the best first:\n")
    emit(_table(store, found))
    print()
    best = found[0]
    if best.status.well and best.metrics.get(METRIC) is not None:
        print("\n".join(_verdict(best)))
    if args.quiet:
        return
    print()
    ways = {
        _command("runs", sweep.id, args): "all its runs",
        _command("show", best.name, args): "the best, with its curves",
        _command("ui", "", args): "all of it in the browser",
        _again(file, args): "again; or edit it first",
        f"{program()} demo --tables": "nets on two real tables",
    }
    wide = max(map(len, ways))
    fits = screen.width is None or wide + 4 + max(map(len, ways.values())) <= screen.width
    for command, what in ways.items():
        said = f"{command.ljust(wide)}  {paint(what, 'dim', screen.colour)}" if fits else command
        print(f"  {said}")


def _table(store: Store, found: Sequence[RunRow]) -> str:
    from thetahat.format import Column, sparkline, table

    screen = read_screen()
    curves = {run.id: [float(v) for v in store.history(run.id).get(METRIC, [])] for run in found}
    seen = [v for curve in curves.values() for v in curve if v == v and v > 0]
    scale = (min(seen), max(seen)) if seen else None
    cells = min(CURVE[1], max(CURVE[0], (screen.width or 100) - OTHERS))
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
    look = {"width": screen.width, "colour": screen.colour, "ascii_only": screen.ascii_only}
    return table(rows, columns, **look)


def _verdict(best: RunRow) -> list[str]:
    """What was chosen, and what that is worth."""
    import textwrap

    from thetahat.format import short

    lr, width = short(best.config["lr"], 3), best.config["width"]
    said = (
        f"The validation part chooses lr {lr} and width {width}: {best.name}. Its risk there is"
        f" {short(best.metrics[METRIC], 3)}, the lowest of all and therefore flattered; on the test"
        f" part, which chose nothing, it is {short(best.metrics['test_risk'], 3)}."
    )
    return textwrap.wrap(said, min(read_screen().width or 100, 100))


def _command(verb: str, what: str, args: argparse.Namespace) -> str:
    where = f" --store {args.store}" if args.store else ""
    return f"{program()} {verb} {what}".rstrip() + where


def program() -> str:
    """How ``thetahat`` is called here: by its path, where the environment is not activated."""
    beside = Path(sys.executable).with_name("thetahat")
    if shutil.which("thetahat") or not beside.exists():
        return "thetahat"
    folder = Path.cwd()
    if not beside.is_relative_to(folder):
        return str(beside)
    return str(beside.relative_to(folder)) if beside.parent != folder else f"./{beside.name}"


def _again(file: Path, args: argparse.Namespace) -> str:
    return f"{_command('sweep', str(file), args)} --run"
