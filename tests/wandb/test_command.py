"""The command ``wandb`` of a shell script that ``thetahat exec`` runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from children import COMMAND

# The command itself: the script of the shell is thin.
from thetahat.cli._wandb_command import main
from thetahat.store import Store, list_sweeps

PROGRAM = Path(__file__).parent / "programs" / "with_argparse.py"
OWN_PYTHONS = True
"""A program starts as users start it."""
SWEEP = """\
program: PROGRAM
method: grid
metric: {name: best}
parameters: {lr: {values: [0.25, 0.5, 1.0]}}
"""
SCRIPT = """\
wandb sweep --project wages --name "all rates" sweep.yaml > out.txt 2>&1
wandb agent --count 2 $(sed -n 's/.*wandb agent \\(.*\\)/\\1/p' out.txt)
"""


@pytest.fixture
def sweep(here: Path) -> Path:
    """A sweep file in the current folder."""
    (here / "sweep.yaml").write_text(SWEEP.replace("PROGRAM", str(PROGRAM)))
    return here


@pytest.mark.skipif(sys.platform == "win32", reason="a script of the shell")
def test_a_script_makes_a_sweep_and_an_agent_by_the_command(sweep: Path, store: Store) -> None:
    (sweep / "all.sh").write_text(SCRIPT)
    command = [sys.executable, "-c", COMMAND, "exec", "sh", "all.sh"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = list_sweeps(store)
    assert (made.name, made.project) == ("all rates", "wages")
    said = (sweep / "out.txt").read_text().splitlines()
    assert said[-1] == f"wandb: Run sweep agent with: wandb agent local/wages/{made.id}"
    assert [(run.config["lr"], str(run.status)) for run in store.runs()] == [
        (0.25, "finished"),
        (0.5, "finished"),
    ]


def test_what_the_command_does_not_answer_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["login"]) == 0
    assert main(["sync", "--sync-all"]) == 0
    assert main(["launch"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "wandb: login: there is no account here, and nothing to do"
    assert "thetahat export wandb/ --to wandb" in said[1]
    assert said[2].startswith("wandb: the command launch is not answered by thetahat;")


def test_a_mistake_of_a_file_is_the_one_of_thetahat(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sweep / "sweep.yaml").write_text("method: grit\nparameters: {lr: {value: 1}}\n")
    assert main(["sweep", "sweep.yaml"]) == 2
    assert "sweep.yaml:1: method" in capsys.readouterr().err
