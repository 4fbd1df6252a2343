"""``thetahat sweep`` and ``thetahat agent``: what they change, and what they say of bad input."""

from __future__ import annotations

import json
import os
import sqlite3
import sys

import pytest
from programs import LOSS

from thetahat.store import find_sweep, list_sweeps, open_store

GRID = """\
program: train.py
method: grid
metric: {name: loss}
parameters:
  lr: {values: [1, 2, 3, 4]}
"""


@pytest.fixture
def sweep(folder):
    """A sweep file with its program in the current folder."""
    (folder / "train.py").write_text(LOSS)
    (folder / "sweep.yaml").write_text(GRID)
    return "sweep.yaml"


def states(name="last"):
    """A sweep's state, and how its runs stand."""
    with open_store() as store:
        row = find_sweep(store, name)
        return row.state, [str(run.status) for run in store.runs(sweep_id=row.id)]


def made(thetahat, *words):
    """A sweep is made; its id."""
    code, out, _ = thetahat("sweep", *words, "--format", "json")
    assert code == 0
    return json.loads(out)["id"]


# -- changing a sweep that is there -----------------------------------------------------------------


def test_a_paused_sweep_begins_nothing_until_it_is_resumed(thetahat, sweep) -> None:
    name = made(thetahat, sweep)
    code, out, _ = thetahat("sweep", name, "--pause")
    assert (code, out.startswith(f"sweep {name} (")) == (0, True)
    assert out.endswith(") is paused\n")
    assert states(name) == ("paused", [])
    code, out, _ = thetahat("sweep", name, "--resume", "--format", "json")
    assert json.loads(out) == {"id": name, "name": json.loads(out)["name"], "points": 4} | {
        "state": "running"
    }
    thetahat("agent", name)
    assert states(name) == ("finished", ["finished"] * 4)


def test_a_cancelled_sweep_is_over(thetahat, sweep) -> None:
    name = made(thetahat, sweep)
    thetahat("agent", name, "--count", "1")
    code, out, _ = thetahat("sweep", name, "--cancel")
    assert (code, out.endswith("is cancelled\n")) == (0, True)
    code, _, _ = thetahat("agent", name)
    assert code == 0
    assert states(name) == ("cancelled", ["finished"])
    for how in ("--resume", "--pause", "--cancel"):
        code, _, err = thetahat("sweep", name, how)
        assert code == 2
        assert err == (
            f"thetahat: the sweep {name} is cancelled already; go on with other points with:"
            f" thetahat sweep {name} --extend FILE\n"
        )


def test_an_extended_sweep_runs_what_is_new_and_nothing_again(thetahat, sweep, folder) -> None:
    name = made(thetahat, sweep)
    thetahat("agent", name)
    (folder / "more.yaml").write_text(GRID.replace("[1, 2, 3, 4]", "[0, 2, 4, 6]"))
    code, out, _ = thetahat("sweep", name, "--extend", "more.yaml")
    assert code == 0
    assert out.endswith(f"goes on with more.yaml; work on it with: thetahat agent {name}\n")
    thetahat("agent", name)
    with open_store() as store:
        runs = store.runs(sweep_id=name)
    assert [run.config["lr"] for run in runs] == [1, 2, 3, 4, 0, 6]
    assert states(name)[0] == "finished"


def test_a_sweep_is_extended_by_its_own_method_alone(thetahat, sweep, folder) -> None:
    name = made(thetahat, sweep)
    (folder / "more.yaml").write_text(GRID.replace("grid", "random"))
    code, _, err = thetahat("sweep", name, "--extend", "more.yaml")
    assert code == 2
    assert err == (
        f"thetahat: the sweep {name} is a grid search, and more.yaml asks for random; keep the"
        " method, or make a new sweep of it\n"
    )


def test_an_agent_given_a_file_joins_its_sweep(thetahat, sweep) -> None:
    thetahat("agent", sweep, "--count", "1")
    thetahat("agent", sweep)
    with open_store() as store:
        assert len(store.runs()) == 4
        assert len({run.sweep_id for run in store.runs()}) == 1


# -- bad input ------------------------------------------------------------------------------------


def refused(thetahat, *words):
    """What the command says of input that is wrong, without its name."""
    code, out, err = thetahat(*words)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    return err.removeprefix("thetahat: ").rstrip("\n")


def test_no_sweep_of_that_name(thetahat, sweep, folder) -> None:
    assert refused(thetahat, "agent", "abc").startswith("there is no store at ")
    name = made(thetahat, sweep, "--name", "wage sweep")
    where = folder / ".thetahat" / "store.db"
    near = f"{name[:-1]}_"
    assert refused(thetahat, "agent", near) == (
        f"the store {where} has no sweep {near!r}; did you mean {name!r}?"
    )
    assert refused(thetahat, "sweep", "wage swep", "--pause") == (
        f"the store {where} has no sweep 'wage swep'; did you mean 'wage sweep'?"
    )
    assert refused(thetahat, "agent", "???") == (
        f"the store {where} has no sweep '???'; the latest are {name} (wage sweep)"
    )


def test_a_program_that_is_not_there(thetahat, sweep, folder) -> None:
    (folder / "train.py").unlink()
    for words in (("sweep", sweep), ("sweep", sweep, "--run"), ("agent", sweep)):
        assert refused(thetahat, *words) == (
            "sweep.yaml:1: program: there is no file train.py, neither here nor beside the"
            " sweep file; go to its folder, or give its path"
        )


def test_a_program_that_went_away_after_the_sweep_was_made(thetahat, sweep, folder) -> None:
    name = made(thetahat, sweep)
    (folder / "train.py").unlink()
    assert refused(thetahat, "agent", name) == (
        f"there is no file train.py in {folder}, where the sweep {name} was made; put it there again"
    )
    assert states(name) == ("running", [])


def test_programs_are_found_from_where_the_sweep_was_made(
    thetahat, sweep, folder, monkeypatch
) -> None:
    (folder / "work").mkdir()
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "train.py").write_text("raise AssertionError('not this one')")
    monkeypatch.setenv("THETAHAT_STORE", str(folder / "st"))
    monkeypatch.chdir(folder / "work")
    name = made(thetahat, "../sweep.yaml")
    monkeypatch.chdir(folder / "elsewhere")
    code, _, err = thetahat("agent", name)
    assert (code, "note:" in err, states(name)) == (0, False, ("finished", ["finished"] * 4))


@pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX")
def test_a_command_that_cannot_be_executed(thetahat, sweep, folder) -> None:
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "sweep.yaml").write_text(GRID + 'command: ["./run.sh", "${args}"]\n')
    said = refused(thetahat, "sweep", sweep, "--run")
    assert said.startswith("sweep.yaml:6: command: './run.sh' is not executable; make it so with")
    (folder / "sweep.yaml").write_text(GRID + 'command: ["nowhere-to-be-found", "${args}"]\n')
    said = refused(thetahat, "sweep", sweep, "--run")
    assert said.startswith("sweep.yaml:6: command: there is no program 'nowhere-to-be-found'")


def test_a_metric_that_is_never_logged_is_said_after_the_first_run(thetahat, sweep, folder) -> None:
    (folder / "sweep.yaml").write_text(GRID.replace("name: loss", "name: losss"))
    code, _, err = thetahat("sweep", sweep, "--run", "--workers", "1")
    assert code == 2
    with open_store() as store:
        row = find_sweep(store, "last")
        ended = [run for run in store.runs() if run.status.over]
    assert len(ended) == 1
    reason = "no run logs the metric 'losss': they log loss; did you mean 'loss'?"
    assert (row.state, row.reason) == ("paused", reason)
    assert err.endswith(
        f"thetahat: {reason} The sweep {row.id} is paused; fix metric.name in the file, and give"
        f" it with: thetahat sweep {row.id} --extend FILE\n"
    )
    # The fix that it names works, and the run that is there counts.
    (folder / "sweep.yaml").write_text(GRID)
    thetahat("sweep", row.id, "--extend", "sweep.yaml")
    code, out, _ = thetahat("agent", row.id)
    assert code == 0
    assert states() == ("finished", ["finished"] * 4)
    assert "the best by loss:" in out


def test_a_program_that_logs_nothing(thetahat, sweep, folder) -> None:
    (folder / "train.py").write_text("pass")
    said = thetahat("sweep", sweep, "--run", "--workers", "1")[2]
    assert "no run logs the metric 'loss': they log nothing. The sweep" in said


def test_first_runs_that_all_fail_end_the_agent(thetahat, sweep, folder) -> None:
    (folder / "train.py").write_text("raise KeyError('lr')")
    code, _, err = thetahat("sweep", sweep, "--run", "--workers", "1")
    with open_store() as store:
        row = find_sweep(store, "last")
    assert code == 2
    assert err.endswith(
        "thetahat: the first 3 runs all failed, the last because: exit code 1: KeyError: 'lr'"
        f" (train.py, line 1). Fix it, and run all again with: thetahat sweep {row.id} --retry-failed --run; or run the"
        " others all the same with --keep-going\n"
    )
    assert states() == ("running", ["failed"] * 3)
    code, _, _ = thetahat("agent", row.id, "--keep-going")
    assert (code, states()) == (1, ("finished", ["failed"] * 4))


def test_a_mode_that_does_not_fit(thetahat, sweep) -> None:
    assert refused(thetahat, "sweep", sweep, "--mode", "cohrt") == (
        "--mode=cohrt: unknown mode; did you mean 'cohort'?"
    )
    assert refused(thetahat, "sweep", sweep, "--mode", "worker") == (
        "--mode=worker trains an experiment in a worker, and sweep.yaml runs a program of its own;"
        " take --mode process"
    )
    with open_store() as store:
        assert list_sweeps(store) == []


def test_a_point_needs_every_parameter(thetahat, sweep, folder) -> None:
    (folder / "sweep.yaml").write_text(GRID + "  epochs: {values: [1, 2]}\n")
    (folder / "p.csv").write_text("epochs\n1\n")
    assert refused(thetahat, "sweep", sweep, "--enqueue", "p.csv") == (
        "--enqueue: no column 'lr', which every point needs"
    )


def test_points_that_are_no_text(thetahat, sweep, folder) -> None:
    (folder / "p.csv").write_bytes(b"lr\n\xff\n")
    said = refused(thetahat, "sweep", sweep, "--enqueue", "p.csv")
    assert said.startswith("--enqueue=p.csv is not a CSV file in UTF-8: ")


def test_a_store_that_another_program_has_locked(thetahat, sweep, folder, monkeypatch) -> None:
    # The waiting time for a locked database is made short.
    from thetahat.store import _sqlite

    name = made(thetahat, sweep)
    monkeypatch.setattr(_sqlite.OpenMode, "__init__", _quick(_sqlite.OpenMode.__init__))
    other = sqlite3.connect(folder / ".thetahat" / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        said = refused(thetahat, "agent", name)
    finally:
        other.close()
    assert said == (
        f"the store {folder / '.thetahat' / 'store.db'} has been locked by another program for"
        " 0.2 s; close that program, or wait for it"
    )


def _quick(init):
    """A store's mode that does not wait for long."""

    def patched(self, timeout_s=0.2, read_only=False):
        init(self, 0.2, read_only)

    return patched


def test_a_store_that_cannot_be_written(thetahat, sweep, folder, monkeypatch) -> None:
    name = made(thetahat, sweep)
    # As for a folder of somebody else's: root, who may write everywhere, would see nothing of it.
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert refused(thetahat, "agent", name) == (
        f"the store {folder / '.thetahat' / 'store.db'} cannot be written (read-only); give another"
        " place with store= (--store) or THETAHAT_STORE"
    )
