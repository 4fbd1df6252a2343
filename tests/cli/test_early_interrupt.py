"""Ctrl-C while the command's own modules are still being loaded: one line, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs import LINE, run_python

EARLY = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

class Early:
    def find_spec(self, name, *_):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Early())
"""
"""Ctrl-C comes when a module is about to be loaded."""


@pytest.mark.parametrize(
    "module",
    [
        *("thetahat.cli._parser", "argparse", "thetahat.cli._errors", "thetahat.core.errors"),
        *("thetahat.cli.commands._runs", "thetahat.store"),
    ],
)
def test_the_command(folder: Path, module: str) -> None:
    script = EARLY.format(module=module) + (
        "sys.argv = ['thetahat', 'runs', '--store=.']\n"
        "from thetahat.cli import run\n"
        "sys.exit(run())\n"
    )
    assert run_python(["-c", script], folder) == (130, "", "thetahat: interrupted\n")


@pytest.mark.parametrize("module", ["thetahat.cli._script", "thetahat.cli._flags", "jsonargparse"])
def test_a_script(folder: Path, module: str) -> None:
    (folder / "line.py").write_text(EARLY.format(module=module) + LINE, encoding="utf-8")
    assert run_python(["line.py"], folder) == (130, "", "thetahat: interrupted\n")


def test_a_program_that_gave_the_words_decides_for_itself(folder: Path) -> None:
    asks = "    try:\n        th.main(line, [])\n    except KeyboardInterrupt:\n        print('mine')\n"
    text = LINE.replace("    th.main(line)\n", asks)
    (folder / "line.py").write_text(
        EARLY.format(module="thetahat.cli._script") + text, encoding="utf-8"
    )
    assert run_python(["line.py"], folder) == (0, "mine\n", "")
