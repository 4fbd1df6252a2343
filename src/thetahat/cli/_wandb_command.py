"""The command ``wandb`` of a shell script: ``wandb sweep FILE`` and ``wandb agent ID``.

``thetahat exec bash run_all.sh`` puts a folder with this command in front of the script's PATH.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Sequence

from thetahat.wandb._run import warn

_NOTHING = ("login", "logout", "init", "online", "offline", "on", "off", "enabled", "disabled")
"""Commands of an account, which a local store has not."""
_OTHERS = {
    "sync": "nothing is sent; thetahat export wandb/ --to wandb writes what the package can send",
    "status": "the runs are in the store; thetahat runs lists them",
    "verify": "thetahat doctor checks this machine",
}


def main(words: Sequence[str]) -> int:
    """Answer a command line of ``wandb``; return its exit code."""
    name = next((word for word in words if not word.startswith("-")), "")
    if name in ("sweep", "agent"):
        rest = [*words]
        rest.remove(name)
        return _sweep(rest) if name == "sweep" else _agent(rest)
    if name in _NOTHING:
        warn(f"{name}: there is no account here, and nothing to do")
        return 0
    if name in _OTHERS:
        warn(f"{name}: {_OTHERS[name]}")
        return 0
    if "--version" in words:
        from thetahat.wandb._module import __version__

        sys.stdout.write(f"wandb, version {__version__}\n")
        return 0
    warn(
        f"the command {name or '--help'} is not answered by thetahat; wandb sweep FILE and wandb"
        " agent ID are. Without thetahat exec, the installed package answers"
    )
    return 2


def _sweep(words: Sequence[str]) -> int:
    """Create a sweep, and print the lines that scripts read: they look for "wandb agent"."""
    from thetahat.cli import run

    parser = argparse.ArgumentParser(prog="wandb sweep", allow_abbrev=False)
    for flags in (("--project", "-p"), ("--entity", "-e"), ("--name",), ("--controller",)):
        parser.add_argument(*flags)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("file", metavar="FILE")
    given = parser.parse_args(words)
    flags = [("--project", given.project), ("--name", given.name)]
    asked = [word for flag, value in flags if value for word in (flag, value)]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = run(["sweep", given.file, *asked, "--format", "json"])
    if code:
        return code
    made = json.loads(printed.getvalue())
    place = f"local/{given.project or 'uncategorized'}/{made['id']}"
    warn(f"Creating sweep from: {given.file}")
    warn(f"Creating sweep with ID: {made['id']}")
    warn("View sweep by: thetahat ui")
    warn(f"Run sweep agent with: wandb agent {place}")
    return 0


def _agent(words: Sequence[str]) -> int:
    """Work on a sweep by its programs."""
    from thetahat.cli import run

    parser = argparse.ArgumentParser(prog="wandb agent", allow_abbrev=False)
    for flags in (("--project", "-p"), ("--entity", "-e"), ("--count",)):
        parser.add_argument(*flags)
    parser.add_argument("--forward-signals", "-f", action="store_true")
    parser.add_argument("sweep", metavar="ID")
    given = parser.parse_args(words)
    count = [] if given.count is None else ["--count", given.count]
    return run(["agent", given.sweep.rpartition("/")[2], *count])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
