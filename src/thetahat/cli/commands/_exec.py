"""``thetahat exec``: run any program, whose ``import wandb`` the local store answers."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from typing import Any

from thetahat.cli._parser import add_store, add_value
from thetahat.core.errors import ConfigError

DESCRIPTION = (
    "Run a program. What it asks of wandb is answered from the store: runs, sweeps and wandb.Api,"
    " with no account, no network and no edit. Its exit code is the program's."
)
EXAMPLES = """\
examples:
  thetahat exec python figures.py
  thetahat exec --store runs.db train.py                (a .py file runs by this Python)
  thetahat exec --project wages python train.py         (the project of its runs)
  thetahat exec bash run_all.sh                         (also wandb sweep and wandb agent)
"""
TAKES_PROGRAM = True
"""Words after the program are its own."""


def add_flags(parser: Any) -> None:
    """Add the arguments of ``exec``."""
    add_store(parser)
    add_value(parser, "--project NAME", "the project of its runs, if the program names none")
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="PROGRAM ...", help="the program and its words"
    )


def run(args: argparse.Namespace) -> int:
    """Run the program."""
    from thetahat.core.places import given_place, locate, wandb_commands, wandb_path

    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not words:
        raise ConfigError("thetahat exec needs a program; such as: thetahat exec python figures.py")
    if words[0].endswith(".py"):
        words = [sys.executable, *words]
    answered = {**wandb_path(os.environ), **wandb_commands(os.environ)}
    env = {**os.environ, "THETAHAT_STORE": given_place(locate(args.store)), **answered}
    if args.project:
        env["WANDB_PROJECT"] = args.project
    for name in ("WANDB_SERVICE", "THETAHAT_RUN_ID", "THETAHAT_RUN_ROWS", "THETAHAT_RUN_ENDING"):
        env.pop(name, None)
    try:
        child = subprocess.Popen(words, env=env)
    except OSError as error:
        what = error.strerror or error
        raise ConfigError(
            f"thetahat exec: {words[0]!r} cannot be started ({what}); give a program of this"
            " machine, such as python figures.py"
        ) from error
    return _waited_for(child)


def _waited_for(child: subprocess.Popen[bytes]) -> int:
    """Return the program's exit code; pass on the signals that end this process."""
    passed = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, lambda n, _: child.send_signal(n)) for number in passed}
    try:
        while True:
            try:
                code = child.wait()
            except KeyboardInterrupt:  # a terminal sends Ctrl-C to both: the program decides
                continue
            return code if code >= 0 else 128 - code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
