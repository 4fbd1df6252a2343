"""Standard error that is full: no run is lost, every exit code stays what it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pytest
from programs import LINE, LOSS

from children import COMMAND, environment
from thetahat.core.run import Status
from thetahat.store import open_store

SOON = "import thetahat.cli.terminal._fit_progress as p; p.FIRST_LINE_S = 0.0\n"
"""Progress is said at once, not after seconds."""


@pytest.fixture(params=["full", "pipe"])
def full(request: pytest.FixtureRequest) -> Iterator[IO[bytes] | int]:
    """A disk that is full, or a pipe without a reader."""
    if request.param == "full":
        with Path("/dev/full").open("wb") as file:
            yield file
    else:
        theirs, ours = os.pipe()
        os.close(theirs)
        yield ours
        os.close(ours)


def call(words: Sequence[str], folder: Path, err: IO[bytes] | int, **more: str) -> tuple[int, str]:
    """A child Python: exit code, standard output."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=err,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_fit_says_its_progress_without_a_reader_and_goes_on(folder, full, unbuffered) -> None:
    (folder / "line.py").write_text(SOON + LINE, encoding="utf-8")
    # Several chunks, every one of which has a line to say.
    words = ["line.py", "--epochs=2000", "--N=400", "--batch_size=8"]
    code, out = call(words, folder, full, PYTHONUNBUFFERED=unbuffered)
    assert "finished (all 2000 epochs done)" in out
    assert code == 0
    with open_store(create=False) as store:
        assert [(run.status, run.epochs) for run in store.runs()] == [(Status.FINISHED, 2000)]


def test_what_went_wrong_keeps_its_exit_code(folder: Path, full) -> None:
    (folder / "line.py").write_text(LINE, encoding="utf-8")
    assert call(["line.py", "--wrong=1"], folder, full) == (2, "")
    assert call(["line.py", "--lr=1e9"], folder, full)[0] == 1
    assert call(["-c", COMMAND, "show", "no-such-run"], folder, full) == (2, "")
    (folder / "line.py").write_text(LINE.replace("    x = np", "    1 / 0; x = np"))
    assert call(["line.py"], folder, full)[0] == 1
    with open_store(create=False) as store:
        assert [run.status for run in store.runs()] == [Status.DIVERGED, Status.FAILED]


def test_a_sweep_and_its_report(folder: Path, full) -> None:
    (folder / "train.py").write_text(LOSS, encoding="utf-8")
    (folder / "s.yaml").write_text(
        "program: train.py\nmethod: grid\nmetric: {name: loss}\n"
        "parameters: {lr: {values: [0.5, 0.1, none]}}\n",
        encoding="utf-8",
    )
    code, out = call(["-c", COMMAND, "sweep", "s.yaml", "--run"], folder, full)
    assert code == 1
    assert "3 runs, 1 failed" in out
    assert call(["-c", COMMAND, "report", "last", "-o", "r.html"], folder, full)[0] == 0
    assert (folder / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_both_full(folder: Path, kept: str, full) -> None:
    with Path("/dev/full").open("wb") as out:
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, "runs"],
            cwd=folder, env=environment(), stdout=out, stderr=full, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 2
