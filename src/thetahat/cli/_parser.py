"""``thetahat``: one command per verb. Imports nothing heavy, so that ``--help`` is immediate."""

from __future__ import annotations

import argparse
import atexit
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import thetahat
from thetahat.cli._errors import guarded
from thetahat.cli._help_format import HelpFormat
from thetahat.core.errors import ConfigError, did_you_mean

COMMANDS = {
    "fit": "fit a table, no code needed",
    "check": "check a sweep file",
    "sweep": "make a sweep of a file; pause, resume, cancel, extend one",
    "agent": "work on a sweep, until it is done",
    "runs": "list runs",
    "show": "show one run",
    "ui": "look at sweeps and runs in a browser",
    "report": "one file of a sweep or run, for co-authors",
    "resume": "go on with an interrupted run",
    "doctor": "look at this installation, this machine and the store",
    "demo": "run the lectures' sweep; with --tables, fit two real tables",
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
    """argparse, with our way of saying what is wrong."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs["formatter_class"] = HelpFormat
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError in place of printing the usage."""
        said = message.removeprefix("argument ").replace(
            "the following arguments are required:", " needs"
        )
        said = said if said.startswith(" needs") else f": {said}"
        raise ConfigError(f"{self.prog}{said}; see {self.prog} --help")


def run_command(argv: Sequence[str] | None = None) -> int:
    """What ``thetahat`` does; the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    # When all is done, to look through every object once more takes a tenth of a second.
    atexit.register(gc.freeze)
    return guarded(lambda: _dispatch(words))


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        listed = "\n".join(f"  {name:<8} {about}" for name, about in COMMANDS.items())
        print(_HELP.format(commands=listed), end="")
        return 0
    if words[0] in ("--version", "-V"):
        print(f"thetahat {thetahat.__version__}")
        return 0
    command = words[0]
    if command in LATER:
        raise ConfigError(
            f"{command!r} is not in this version ({thetahat.__version__}); it has"
            f" {', '.join(COMMANDS)}"
        )
    if command not in COMMANDS:
        raise ConfigError(f"there is no command {command!r}{did_you_mean(command, COMMANDS)}")
    return _run_command(command, words)


def _run_command(command: str, words: list[str]) -> int:
    top = Parser(prog="thetahat", add_help=False)
    subparsers = top.add_subparsers(dest="command")
    importlib.import_module(f"thetahat.cli.commands._{command}").add_parser(subparsers)
    parser = subparsers.choices[command]
    try:
        args, unknown = parser.parse_known_args(words[1:])
    except SystemExit as done:  # --help
        return int(done.code or 0)
    except ConfigError as error:
        raise ConfigError(f"{error}{_dashed(words[1:])}") from error
    if unknown:
        raise ConfigError(_unknown(command, unknown[0], parser) + _dashed(unknown))
    args.command_name = command
    return args.run(args)


def _dashed(words: Sequence[str]) -> str:
    """Of a file whose name begins with a dash: how to give it."""
    file = next((word for word in words if word.startswith("-") and os.path.isfile(word)), None)
    return "" if file is None else f"; for the file {file!r} write ./{file}"


def _unknown(command: str, word: str, parser: argparse.ArgumentParser) -> str:
    if not word.startswith("-"):
        return (
            f"thetahat {command} got {word!r}, and has no use for it; see thetahat {command} --help"
        )
    flag = word.partition("=")[0]
    known = [s for action in parser._actions for s in action.option_strings if s.startswith("--")]
    names = {known_flag.lstrip("-").replace("-", "_"): known_flag for known_flag in known}
    hint = did_you_mean(flag.lstrip("-"), names)
    for name, known_flag in names.items():
        hint = hint.replace(f"did you mean {name!r}", f"did you mean {known_flag}")
    if hint.startswith("; known"):
        hint = f"; see thetahat {command} --help"
    return f"thetahat {command} has no option {flag}{hint}"
