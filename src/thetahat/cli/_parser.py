"""``thetahat``: one command per verb. Imports nothing heavy, so that ``--help`` is immediate."""

from __future__ import annotations

import argparse
import atexit
import gc
import importlib
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NoReturn

import thetahat
from thetahat.cli._errors import guarded
from thetahat.core.choices import DEVICE
from thetahat.core.elsewhere import argument_hint
from thetahat.core.errors import ConfigError, did_you_mean

COMMANDS = {
    "fit": "fit a table, no code needed",
    "predict": "predict the rows of a table by a saved model or a run",
    "check": "check a sweep file",
    "sweep": "create a sweep from a file; pause, resume, cancel or extend one",
    "agent": "work on a sweep until it is done",
    "launch": "launch agents on a cluster, and see how they are",
    "exec": "run a program whose wandb the store answers",
    "import": "read offline runs of W&B, or a CSV file of runs",
    "export": "write runs, histories and tables as CSV, Parquet or W&B's files",
    "runs": "list runs",
    "show": "show one run",
    "table": "print the tables that runs left, as quantiles over seeds",
    "ui": "look at sweeps and runs in a browser",
    "report": "write one file about a sweep or run, for co-authors",
    "resume": "continue an interrupted run",
    "store": "copy the store, also while programs write to it",
    "doctor": "check this installation, this machine and the store",
    "demo": "run the lectures' sweep",
    "lab": "run an experiment of the lectures and open its figure",
    "grade": "name the silent errors of a training program",
}
LATER = ("verify", "deposit")
_HELP = """\
thetahat: estimate functions from data by empirical risk minimisation.

usage: thetahat COMMAND ...     (thetahat COMMAND --help tells more)
       python your_experiment.py --lr=0.01     (a script that ends in th.main)

commands:
{commands}

options:
  -h, --help     show this
  --version      show the version

Runs are kept in .thetahat/ here, in THETAHAT_STORE, or where --store says.
"""


class Parser(argparse.ArgumentParser):
    """The flags of one command: argparse with errors of ours.

    Args:    command: its name; its module has DESCRIPTION, EXAMPLES and ``add_flags``.
    """

    def __init__(self, command: str, module: ModuleType) -> None:
        from thetahat.cli._help import layout

        super().__init__(
            prog=f"thetahat {command}",
            description=layout(module.DESCRIPTION),
            epilog=layout(module.EXAMPLES),
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_flags(self)
        self._takes_program = getattr(module, "TAKES_PROGRAM", False)

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError in place of printing the usage."""
        text = message.removeprefix("argument ")
        missing = text.removeprefix("the following arguments are required: ")
        if ": =" in text:  # a value outside its type: the message of the type is complete
            raise ConfigError(f"{self.prog} {text.replace(': =', '=', 1)}")
        text = f": {text}" if missing == text else f" needs {missing}"
        raise ConfigError(f"{self.prog}{text}; see {self.prog} --help")

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Read a command's words.

        Raises:  ConfigError: an unknown flag or argument, a value outside its type.
        """
        if self._takes_program:
            return self.parse_args(words)
        for word in words:
            if word.startswith("--") and word.endswith("=--"):  # argparse would drop the value
                raise ConfigError(f"{self.prog} {word}: '--' is not a value; give another")
        try:
            args, unknown = self.parse_known_args(_with_dashed_columns(words))
        except ConfigError as error:
            raise ConfigError(f"{error}{_dashed_file(words)}") from error
        if not unknown:
            return args
        flag = unknown[0].partition("=")[0]
        if not flag.startswith("-"):
            raise ConfigError(
                f"{self.prog}: unexpected argument {unknown[0]!r}; see {self.prog} --help"
            )
        listed = self.format_help()
        flags = [n for n in (*vars(args), "help") if f"--{n.replace('_', '-')}" in listed]
        hint = argument_hint(flag.lstrip("-").replace("-", "_"), flags, self.prog)
        if hint.startswith("; did you mean '"):
            hint = "; did you mean --" + hint.split("'")[1].replace("_", "-") + "?"
        else:
            hint = f"; see {self.prog} --help"
        raise ConfigError(f"{self.prog} has no option {flag}{hint}{_dashed_file(unknown)}")


def run_command(argv: Sequence[str] | None = None) -> int:
    """Run the ``thetahat`` command and give its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    # The last garbage collection, of everything, takes a tenth of a second.
    atexit.register(gc.freeze)
    return guarded(lambda: _dispatch(words))


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        listed = "\n".join(f"  {name:<8} {about}" for name, about in COMMANDS.items())
        print(_HELP.format(commands=listed), end="")
        return 0
    command, *rest = words
    if command in ("--version", "-V"):
        print(f"thetahat {thetahat.__version__}")
        return 0
    if command in LATER:
        raise ConfigError(
            f"{command!r} is not in this version ({thetahat.__version__}); it has"
            f" {', '.join(COMMANDS)}"
        )
    if command not in COMMANDS:
        raise ConfigError(f"there is no command {command!r}{did_you_mean(command, COMMANDS)}")
    parser, run = parser_of(command)
    try:
        args = parser.read(rest)
    except SystemExit as done:  # --help
        return int(done.code or 0)
    return run(args)


def parser_of(command: str) -> tuple[Parser, Callable[[argparse.Namespace], int]]:
    """Load a command: its parser, and what runs it."""
    module = importlib.import_module(f"thetahat.cli.commands._{command}")
    return Parser(command, module), module.run


def _with_dashed_columns(words: Sequence[str]) -> list[str]:
    """Write ``--sort -val_risk`` as one word: argparse would take the column for a flag."""
    joined: list[str] = []
    for word in words:
        column = word.startswith("-") and not word.startswith("--")
        if joined and joined[-1] == "--sort" and column:
            joined[-1] = f"--sort={word}"
        else:
            joined.append(word)
    return joined


def _dashed_file(words: Sequence[str]) -> str:
    """Say how to give a file whose name begins with a dash, where there is such a file."""
    file = next((word for word in words if word.startswith("-") and os.path.isfile(word)), None)
    return "" if file is None else f"; for the file {file!r} write ./{file}"


# -- flags that commands share --------------------------------------------------------------------


def add_value(
    parser: Any, flag: str, about: str, kind: Callable[[str], Any] = str, default: Any = None
) -> None:
    """Add a flag such as "--count N" to a parser or a group; ``kind`` reads its value."""
    name, metavar = flag.split()
    parser.add_argument(name, metavar=metavar, help=about, type=kind, default=default)


def add_switch(parser: Any, flag: str, about: str) -> None:
    """Add a flag that takes no value."""
    parser.add_argument(flag, action="store_true", help=about)


def add_store(parser: Any) -> None:
    """Add ``--store``."""
    about = (
        "folder, file or postgresql:// address of the store (default: THETAHAT_STORE, else"
        " .thetahat here)"
    )
    add_value(parser, "--store URL", about)


def add_format(parser: Any, formats: Sequence[str] = ("table", "json", "csv", "latex")) -> None:
    """Add ``--format``, of the table that a command prints."""
    parser.add_argument(
        "--format", choices=formats, default="table", help="how to print it (default: table)"
    )


def add_quiet(parser: Any) -> None:
    """Add ``--quiet``."""
    add_switch(parser, "--quiet", "print nothing unless something is wrong")


def whole_number(least: int = 1, most: int | None = None) -> Callable[[str], int]:
    """Make the type of a flag whose value is a whole number within bounds, both included."""
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"={text}: give a whole number {bounds}")
        return value

    return read


seed_number = whole_number(0, 2**31 - 1)


def number(text: str) -> float:
    """Read the value of a flag that is a number."""
    return _number(text, lambda value: value == value, "number")


def positive(text: str) -> float:
    """Read the value of a flag that is a positive, finite number."""
    return _number(text, lambda value: 0 < value < math.inf, "positive, finite number")


def not_negative(text: str) -> float:
    """Read the value of a flag that is a finite number of at least 0."""
    return _number(text, lambda value: 0 <= value < math.inf, "finite number of at least 0")


def _number(text: str, allowed: Callable[[float], bool], what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not allowed(value):
        raise argparse.ArgumentTypeError(f"={text}: give a {what}, such as 0.01")
    return value


def devices(text: str) -> list[str]:
    """Read the value of ``--devices``: numbers of GPUs, or their names of CUDA."""
    found = comma_list(text)
    if not found or not all(re.fullmatch(DEVICE, name) for name in found):
        raise argparse.ArgumentTypeError(f"={text}: give numbers of GPUs, such as 0,1")
    return found


def comma_list(text: str) -> list[str]:
    """Read the value of a flag that lists names."""
    return [name.strip() for name in text.split(",") if name.strip()]
