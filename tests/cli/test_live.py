"""The live lines in a real terminal: what stands there, what scrolls, and what is left."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from programs import LINE, said
from terminals import Terminal, thetahat_in

from children import COMMAND, start, until
from thetahat.store import find_sweep, open_store

# Runs from ``holds`` on wait until the test has seen what it looks for; one run fails.
PROGRAM = """\
import json, pathlib, sys, time
given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
lr = float(given["lr"])
while lr >= float(given["holds"]) and not pathlib.Path("go").exists():
    time.sleep(0.02)
if lr == 3:
    sys.exit("the data are gone")
print(json.dumps({"loss": lr}))
"""
GRID = """\
program: train.py
method: grid
metric: {{name: loss}}
parameters:
  holds: {{value: {holds}}}
  lr: {{values: {values}}}
"""


def write(folder: Path, holds: float, values: list[int]) -> str:
    (folder / "train.py").write_text(PROGRAM)
    (folder / "slow.yaml").write_text(GRID.format(holds=holds, values=values))
    return "slow.yaml"


def clean(terminal: Terminal) -> None:
    """No block is left, and the cursor is there, on a line of its own."""
    text = terminal.past()
    assert terminal.cursor_shown
    assert terminal.screen.cursor.x == 0
    assert not set(text) & set("━╍⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")


@pytest.mark.parametrize("columns", [50, 80, 120])
def test_a_sweep_lives_on_the_screen_and_leaves_it_clean(folder, columns) -> None:
    file = write(folder, 6, [5, 3, 2, 4, 6])
    with thetahat_in(folder, "sweep", file, "--run", "--workers", "2", columns=columns) as terminal:
        # The last line too: a block may come in parts.
        terminal.wait_for(
            lambda: (
                "best loss 2" in terminal.text()
                and "1 failed" in terminal.text()
                and last(terminal).startswith("  this agent  2 workers, ")
            )
        )
        lines = terminal.lines()
        at = next(i for i, line in enumerate(lines) if line[2:].startswith("slow"))
        assert "━" in lines[at] and "×" in lines[at]
        assert "/5" in lines[at]
        assert "1 failed" in lines[at + 1]
        assert lines[at + 2].startswith("  best loss 2")
        assert lines[at + 2].endswith("   lr=2")
        assert lines[at + 3].startswith("  this agent  2 workers, ")
        # The failure scrolled off above the block.
        assert any("failed" in line for line in lines[:at])
        (folder / "go").touch()
        assert terminal.end() == 1
        clean(terminal)
        text = " ".join(terminal.past().split())
    assert text.count("failed: exit code 1: the data are gone") == 1
    assert ": 5 runs, 1 failed; " in text


def test_another_agent_of_the_same_sweep_gets_its_line(folder) -> None:
    file = write(folder, 11, list(range(10, 16)))
    with thetahat_in(folder, "sweep", file, "--run", "--workers", "1", columns=100) as one:
        one.wait_for(lambda: "best loss" in one.text())
        words = ["-c", COMMAND, "agent", "last", "--workers", "1"]
        with Terminal(words, folder, 100) as two:
            for terminal in (one, two):
                terminal.wait_for(lambda terminal=terminal: ":" in last(terminal))
                above = terminal.lines()[-2]
                assert above.startswith("  this agent ")
            # What an agent does is told with its heartbeats.
            two.wait_for(lambda: last(two).split()[1:] == ["1", "worker,", "1", "run"])
            assert last(two).split()[0].split(":")[1] == f"{one.process.pid}"
            # What the first one did counts for the second.
            assert two.text().count("best loss 10 ") == 1
            one.interrupt()
            assert one.end() == 130
            clean(one)
            two.wait_for(lambda: last(two).startswith("  this agent "))
            (folder / "go").touch()
            assert two.end() == 0
            clean(two)
    with open_store() as store:
        runs = store.runs(sweep_id=find_sweep(store, "last").id)
        assert [str(run.status) for run in runs] == ["finished"] * 6


def last(terminal: Terminal) -> str:
    return terminal.lines()[-1]


@pytest.mark.parametrize("often", [1, 2])
def test_ctrl_c_leaves_a_clean_terminal(folder, often) -> None:
    file = write(folder, 0, [5, 6])
    with thetahat_in(folder, "sweep", file, "--run") as terminal:
        terminal.wait_for(lambda: "2 running" in terminal.text())
        for _ in range(often):
            terminal.interrupt()
        assert terminal.end() == 130
        clean(terminal)
        assert "interrupted" in terminal.past()


def test_quiet_says_only_what_went_wrong(folder) -> None:
    file = write(folder, 9, [5, 3])
    with thetahat_in(folder, "sweep", file, "--format", "json") as terminal:
        assert terminal.end() == 0
    with thetahat_in(folder, "agent", "last", "--quiet", columns=200) as terminal:
        assert terminal.end() == 1
        assert terminal.cursor_shown
        text = terminal.past()
    with open_store() as store:
        failed = next(run for run in store.runs(status="failed"))
    assert text == f"note: {failed.name} failed: {failed.reason}"


def test_piped_there_are_plain_lines(folder) -> None:
    file = write(folder, 7, [5, 6, 7, 8])
    # A line is due two seconds after the last one, at the end of a run.
    (folder / "train.py").write_text(PROGRAM + "time.sleep(2.5 * (lr == 6))\n")
    with start(["-c", COMMAND, "sweep", file, "--run", "--workers", "1"], folder) as child:
        until(lambda: "2 of 4 runs; " in child.said())
        (folder / "go").touch()
        out, err = child.communicate()
    assert child.returncode == 0
    assert "\x1b" not in out + err
    assert "\n2 of 4 runs; best loss 5 (" in "\n" + err


# -- fits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_fit_lives_on_the_screen_until_ctrl_c(folder, columns) -> None:
    (folder / "line.py").write_text(LINE)
    words = ["line.py", "--epochs=2_000_000", "--N=4000", "--batch_size=4"]
    with Terminal(words, folder, columns) as terminal:
        terminal.wait_for(lambda: "compiling" in terminal.text() or "epoch " in terminal.text())
        terminal.wait_for(lambda: "val 0" in terminal.text() or "val " in terminal.text())
        lines = terminal.lines()
        assert len(lines) == 2
        assert lines[0][2:].startswith("line  ")
        assert "/2,000,000" in lines[0]
        assert not terminal.cursor_shown
        terminal.interrupt()
        assert terminal.end() == 130
        clean(terminal)
        assert "interrupted" in terminal.past()


def test_an_exception_leaves_a_clean_terminal(folder) -> None:
    (folder / "line.py").write_text(LINE.replace("    x = np", "    print('up'); 1 / 0; x = np"))
    with Terminal(["line.py"], folder) as terminal:
        assert terminal.end() == 1
        clean(terminal)
        assert "ZeroDivisionError: division by zero" in terminal.text()
        assert terminal.lines()[0] == "up"


def test_what_an_experiment_prints_goes_where_standard_output_goes(folder) -> None:
    (folder / "line.py").write_text(LINE.replace("    x = np", "    print('here'); x = np"))
    words = [
        "-c",
        f"import subprocess; subprocess.run([{sys.executable!r}, 'line.py'],"
        " stdout=open('out.txt', 'w'))",
    ]
    with Terminal(words, folder) as terminal:
        assert terminal.end() == 0
        assert "here" not in terminal.past()
    assert (folder / "out.txt").read_text().startswith("here\n")


def test_without_utf8_all_is_ascii(folder) -> None:
    (folder / "line.py").write_text(LINE)
    more = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    with Terminal(["line.py", "--epochs=2_000_000"], folder, **more) as terminal:
        terminal.wait_for(lambda: "val " in terminal.text())
        assert terminal.written.isascii()
        assert "----" in terminal.text()
        terminal.interrupt()
        assert terminal.end() == 130


@pytest.mark.parametrize("how", [{"TERM": "dumb"}, {"quiet": "--quiet"}])
def test_a_dumb_terminal_and_quiet_draw_nothing(folder, how) -> None:
    (folder / "line.py").write_text(LINE)
    quiet = how.get("quiet")
    more = {} if quiet else how
    with Terminal(["line.py", *filter(None, [quiet])], folder, **more) as terminal:
        assert terminal.end() == 0
        assert b"\x1b" not in terminal.written
        assert (terminal.text() == "") == (quiet is not None)


def test_piped_a_short_fit_says_one_line(folder) -> None:
    (folder / "line.py").write_text(LINE)
    with start(["line.py", "--name=a"], folder) as child:
        out, err = child.communicate()
    assert said(err) == ""
    assert out.count("\n") == 1
    assert out.startswith("a finished (all 20 epochs done): train_risk=")
