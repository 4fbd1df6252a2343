"""``thetahat lab``: the experiments of the lectures, one command for each."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._parser import add_format, add_store, add_switch
from thetahat.cli.terminal._output import print_table, say
from thetahat.core.errors import ConfigError, StoreError, did_you_mean

if TYPE_CHECKING:
    from thetahat.lab import LabExperiment

ACTIONS = ("list", "run", "show")
DESCRIPTION = (
    "Small experiments on estimation: each asks a question, measures, answers in a sentence, and"
    " draws a figure."
)
EXAMPLES = """\
examples:
  thetahat lab list                               names and questions
  thetahat lab run double_descent                 measure, answer, open the figure
  thetahat lab run double_descent sigma=0.01      with another setting
  thetahat lab run xor -o xor.pdf                 the figure as a file of your own
  thetahat lab show double_descent                question, settings, last answer and figure
"""


def add_flags(parser: Any) -> None:
    """Add the arguments of ``lab``."""
    parser.add_argument("action", metavar="ACTION", help=f"one of: {', '.join(ACTIONS)}")
    parser.add_argument("name", metavar="NAME", nargs="?", help="an experiment of the list")
    parser.add_argument(
        "settings", metavar="SETTING=VALUE", nargs="*", help="settings of run, as show lists them"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="where to write the figure: .png, .pdf or .svg"
    )
    add_switch(parser, "--no-open", "write the figure and do not open it")
    add_store(parser)
    add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Do what the action says."""
    if args.action not in ACTIONS:
        raise ConfigError(f"lab has no action {args.action!r}{did_you_mean(args.action, ACTIONS)}")
    if args.action == "list":
        return _list(args)
    if args.name is None:
        raise ConfigError(f"thetahat lab {args.action} needs a NAME; thetahat lab list has them")
    from thetahat.lab import read_experiment

    experiment = read_experiment(args.name)
    return _run(experiment, args) if args.action == "run" else _show(experiment, args)


def _list(args: argparse.Namespace) -> int:
    if args.name is not None:
        raise ConfigError(f"unexpected argument {args.name!r}; thetahat lab list takes none")
    from thetahat.lab import list_questions

    rows = [{"name": name, "question": asked} for name, asked in list_questions().items()]
    print_table(rows, ["name", "question"], args.format)
    return 0


def _run(experiment: LabExperiment, args: argparse.Namespace) -> int:
    from thetahat.core.files import replacing
    from thetahat.figures import KINDS, image

    settings = read_settings(experiment, args.settings)
    kept = _kept(experiment.name, args.store)
    file = Path(args.output) if args.output else kept
    kind = file.suffix.removeprefix(".")
    if kind not in KINDS:
        raise ConfigError(f"-o {file}: give a file that ends in .{', .'.join(KINDS)}")
    plain = args.format == "table"
    if plain:
        say(experiment.question)
    found = experiment.run(**settings)
    answer = experiment.answer(found)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as new:
            new.write_bytes(image(experiment.draw(found), kind))
        if file == kept:
            said = "\n".join(f"{name}={value}" for name, value in settings.items())
            kept.with_suffix(".txt").write_text(f"{answer}\n{said}\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"the figure cannot be written to {file} ({error.strerror or error}); give another"
            " place with -o"
        ) from error
    if plain:
        say(f"{answer}\nfigure: {file}")
    else:
        row = {"name": experiment.name, "question": experiment.question, "answer": answer}
        print_table([{**row, "figure": str(file)}], None, args.format)
    _open(file, args)
    return 0


def _show(experiment: LabExperiment, args: argparse.Namespace) -> int:
    if args.settings or args.output:
        raise ConfigError("thetahat lab show takes a NAME alone; settings and -o belong to run")
    kept = _kept(experiment.name, args.store)
    answer, *given = [""]
    if kept.exists() and kept.with_suffix(".txt").exists():
        answer, *given = kept.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    if args.format != "table":
        last = {name: value for name, _, value in (line.partition("=") for line in given if line)}
        rows = [
            {
                "setting": name,
                "default": value,
                "last": last.get(name, str(value) if answer else ""),
            }
            for name, value in experiment.settings.items()
        ]
        print_table(rows, ["setting", "default", "last"], args.format)
        return 0
    say(experiment.question)
    listed = ", ".join(f"{name}={value}" for name, value in experiment.settings.items())
    say(f"settings: {listed}" if listed else "no settings")
    say(f"program: {Path(sys.modules[experiment.measure.__module__].__file__ or '')}")
    if not answer:
        say(f"not run here yet; run it with: thetahat lab run {experiment.name}")
        return 0
    changed = ", ".join(line for line in given if line)
    say(f"last answer{f' ({changed})' if changed else ''}: {answer}")
    say(f"figure: {kept}")
    _open(kept, args)
    return 0


def read_settings(experiment: LabExperiment, words: Sequence[str]) -> Mapping[str, Any]:
    """Read ``name=value`` words as the types of the defaults.

    Raises:  ConfigError: no such setting, no value, or one of another type.
    """
    known, found = experiment.settings, dict[str, Any]()
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} is not a setting; give NAME=VALUE, such as seeds=5")
        if name not in known:
            raise ConfigError(
                f"{experiment.name} has no setting {name!r}{did_you_mean(name, known)}"
            )
        kind = type(known[name])
        try:
            found[name] = kind(text)
            finite = math.isfinite(found[name])
        except ValueError:
            finite = False
        if not finite:
            what = "a whole number" if kind is int else "a number"
            raise ConfigError(f"{experiment.name}: {name}={text}: give {what}")
    return found


def _kept(name: str, store: str | None) -> Path:
    """Where the last figure of an experiment lies, beside the store."""
    from thetahat.core.places import FOLDER, Server, locate

    place = locate(store)
    folder = place.folder or Path(FOLDER) if isinstance(place, Server) else place.parent
    return folder / "lab" / f"{name}.png"


def _open(file: Path, args: argparse.Namespace) -> None:
    """Open a figure where there is a screen."""
    headless = sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if not args.no_open and not headless and sys.stdout.isatty():
        import webbrowser

        webbrowser.open(file.absolute().as_uri())
