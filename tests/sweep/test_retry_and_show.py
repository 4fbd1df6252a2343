"""Failed runs again by the command and the page; the command that runs a run alone; finite spaces."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from thetahat.analysis import again
from thetahat.cli import run as thetahat
from thetahat.core import ConfigError
from thetahat.store import cancel_sweep, open_store, retry_failed

SHAKY = """\
import os, sys
given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
if given["lr"] == "0.3" and os.path.exists("bug"):
    sys.exit("a bug")
print('{"step": 1, "loss": %s}' % given["lr"])
"""
FILE = """\
program: shaky.py
method: grid
metric: {name: loss, goal: minimize}
parameters:
  lr: {values: [0.1, 0.3]}
  note: {value: "it's \\"a\\" $HOME"}
"""


def command(*words: str) -> int:
    try:
        return thetahat(list(words)) or 0
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.fixture
def failed(at):
    """A folder with a sweep, one of whose two runs has failed."""
    at.write("shaky.py", SHAKY)
    at.write("s.yaml", FILE)
    at.write("bug", "")
    assert command("sweep", "s.yaml", "--run", "--quiet", "--workers", "1") == 1
    return at


def test_the_command_retries_failed_runs_and_no_others(failed, capsys):
    Path("bug").unlink()
    assert command("sweep", "last", "--retry-failed") == 0
    assert "runs 1 failed run again; work on it with: thetahat agent" in capsys.readouterr().out
    with open_store() as store:
        assert [str(run.status) for run in store.runs()] == ["finished", "queued"]
    assert command("agent", "last", "--quiet") == 0
    with open_store() as store:
        runs = store.runs()
        assert [(str(r.status), r.attempt, r.failures) for r in runs] == [
            ("finished", 1, 0),
            ("finished", 2, 1),
        ]
    capsys.readouterr()
    assert command("sweep", "last", "--retry-failed") == 2
    assert "has failed" in capsys.readouterr().err
    assert command("show", runs[1].name) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "attempt 2, 1 failed" in shown and "attempt 1 failed: exit code 1: a bug" in shown


def test_show_says_why_runs_of_a_sweep_failed_and_how_to_retry_them(failed, capsys):
    with open_store() as store:
        sweep = store.runs()[0].sweep_id
    capsys.readouterr()
    assert command("show", sweep) == 0
    out = capsys.readouterr().out
    assert "runs        2: 1 failed, 1 finished" in out
    assert "\n! 1 failed: exit code 1: a bug\n" in out
    (line,) = [x for x in out.splitlines() if x.startswith("retry them: ")]
    Path("bug").unlink()
    assert command(*shlex.split(line)[3:], "--quiet") == 0
    capsys.readouterr()
    assert command("show", sweep) == 0
    out = capsys.readouterr().out
    assert "runs        2: 2 finished" in out and "failed" not in out


def test_commands_that_show_prints_name_the_store(failed, tmp_path, monkeypatch, capsys):
    with open_store() as store:
        sweep, place = store.runs()[0].sweep_id, store.path.parent
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    capsys.readouterr()
    assert command("show", sweep, "--store", str(place)) == 0
    lines = capsys.readouterr().out.splitlines()
    for begin in ("its runs:", "a report:", "retry them:"):
        (line,) = [x for x in lines if x.startswith(begin)]
        assert shlex.split(line)[-2:] == ["--store", str(place)]
    (line,) = [x for x in lines if x.startswith("its runs:")]
    assert command(*shlex.split(line)[3:]) == 0
    assert "exit code 1: a bug" in capsys.readouterr().out


def test_retry_with_run_works_at_once(failed):
    Path("bug").unlink()
    assert command("sweep", "last", "--retry-failed", "--run", "--quiet") == 0
    with open_store() as store:
        assert [run.attempt for run in store.runs()] == [1, 2]


def test_the_page_retries_by_its_action(failed):
    from thetahat.store import find_sweep
    from thetahat.web._app import act  # the rule behind the route

    with open_store() as store:
        sweep = find_sweep(store, "last")
        assert act(store, sweep, "retry-failed") == "running"
        assert [str(run.status) for run in store.runs()] == ["finished", "queued"]
        with pytest.raises(ConfigError, match="no run of the sweep s has failed"):
            act(store, sweep, "retry-failed")


def test_a_sweep_that_was_cancelled_has_no_new_runs_after_a_retry(at):
    at.write("shaky.py", SHAKY)
    at.write("s.yaml", FILE.replace("[0.1, 0.3]", "[0.3, 0.4, 0.5, 0.6]"))
    at.write("bug", "")
    assert command("sweep", "s.yaml") == 0
    assert command("agent", "last", "--count", "1", "--quiet", "--workers", "1") == 1
    with open_store() as store:
        (run,) = store.runs()
        assert cancel_sweep(store, run.sweep_id) and retry_failed(store, run.sweep_id) == 1
    Path("bug").unlink()
    assert command("agent", "last", "--quiet") == 0
    with open_store() as store:
        assert [str(run.status) for run in store.runs()] == ["finished"]


def test_show_prints_a_line_that_runs_the_run_alone(failed, capsys):
    with open_store() as store:
        best = store.runs()[0]
    capsys.readouterr()
    assert command("show", best.name) == 0
    out = capsys.readouterr().out
    line = out.splitlines()[out.splitlines().index("run it again with:") + 1]
    assert '--note=it\'s "a" $HOME' in shlex.split(line)
    words = [sys.executable if word.endswith("python") else word for word in shlex.split(line)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == '{"step": 1, "loss": 0.1}\n'


def test_a_sweep_from_python_runs_its_function_again(failed, tmp_path):
    import dataclasses

    from thetahat.store import find_sweep

    with open_store() as store:
        sweep, run = find_sweep(store, "last"), store.runs()[0]
    text = (
        "import numpy as np, thetahat as th\n"
        "def fit(lr: float = 0.1, note: str = '') -> th.Task:\n"
        "    x = np.ones((4, 1), np.float32)\n"
        "    data = th.Data((x, x[:, 0]))\n"
        "    sgd = th.optim.named('sgd', lr)\n"
        "    return th.Task(th.models.Linear(1), data, optimizer=sgd, epochs=2)\n"
    )
    Path("fits.py").write_text(text, encoding="utf-8")
    made = dataclasses.replace(sweep, spec={**sweep.spec, "function": "fit"})
    run = dataclasses.replace(
        run, source="fits.py", provenance={}, config={"lr": 0.1, "note": "it's"}
    )
    ((_, line),) = again(run, made)
    words = [sys.executable, *shlex.split(line)[1:]]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Result(finished: all 2 epochs done")


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_no_setting_repeats_until_all_were_tried(at, method, capsys):
    at.write("loses.py", SHAKY)
    text = FILE.replace("shaky", "loses").replace("grid", method)
    at.write("s.yaml", text.replace("[0.1, 0.3]", "[1, 2, 3, 4, 5, 6, 7]"))
    assert command("check", "s.yaml") == 0
    assert f"valid; {method} over 7 settings, endless; settings repeat after 7 runs" in (
        capsys.readouterr().out
    )
    assert command("sweep", "s.yaml", "--run", "--quiet", "--count", "9", "--workers", "1") == 0
    with open_store() as store:
        lrs = [run.config["lr"] for run in store.runs()]
    assert sorted(lrs[:7]) == [1, 2, 3, 4, 5, 6, 7] and len(lrs) == 9


def test_a_list_given_as_one_value_is_asked_about(at, capsys):
    at.write("shaky.py", SHAKY)
    at.write("s.yaml", FILE.replace('value: "it\'s \\"a\\" $HOME"', "value: [5, 7, 10]"))
    assert command("check", "s.yaml") == 0
    assert "every run gets the whole list; did you mean values: [5, 7, 10]?" in (
        capsys.readouterr().out
    )


def test_the_default_command_written_out_is_the_default():
    from thetahat.sweep import parse_sweep

    text = "program: a.py\nmethod: grid\nparameters: {lr: {values: [1]}}\n"
    command = 'command: ["${env}", "${interpreter}", "${program}", "${args}"]\n'
    assert parse_sweep(text + command).require().command is None
    other = command.replace(', "${args}"', "")
    assert parse_sweep(text + other).require().command is not None
