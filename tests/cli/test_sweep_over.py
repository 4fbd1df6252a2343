"""Sweeps that are over: nothing is done a second time, and nothing brings them back unasked."""

from __future__ import annotations

import json

import pytest
from programs import LOSS

from thetahat.store import count_runs, find_sweep, list_sweeps, open_store, set_state

GRID = """\
program: train.py
method: grid
metric: {name: loss}
parameters:
  lr: {values: [1, 2, 3]}
"""


@pytest.fixture
def done(folder, thetahat) -> str:
    """A sweep that has been worked on to its end, by its file; its id."""
    (folder / "train.py").write_text(LOSS)
    (folder / "sweep.yaml").write_text(GRID)
    assert thetahat("agent", "sweep.yaml", "--quiet") == (0, "", "")
    with open_store() as store:
        return find_sweep(store, "last").id


def row(name: str = "last"):
    with open_store() as store:
        return find_sweep(store, name)


def test_an_agent_of_the_same_file_does_nothing_again_unasked(thetahat, done) -> None:
    code, out, err = thetahat("agent", "sweep.yaml")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"sweep {done} (sweep) of this file is finished: 3 runs",
        f"look at them: thetahat runs {done}",
        "to run it again: thetahat sweep sweep.yaml --run",
    ]
    assert thetahat("agent", "sweep.yaml", "--quiet") == (0, "", "")
    with open_store() as store:
        assert ([s.id for s in list_sweeps(store)], len(store.runs())) == ([done], 3)
    # What it says does it; and then that one is the sweep of the file.
    assert thetahat("sweep", "sweep.yaml", "--run", "--quiet") == (0, "", "")
    again = row().id
    assert again != done
    assert f"sweep {again} (sweep) of this file is finished" in thetahat("agent", "sweep.yaml")[1]


def test_one_that_goes_on_is_joined_before_one_that_is_finished(thetahat, done, folder) -> None:
    _, out, _ = thetahat("sweep", "sweep.yaml", "--format", "json", "--quiet")
    open_ = json.loads(out)["id"]
    assert thetahat("agent", "sweep.yaml", "--quiet", "--count", "1") == (0, "", "")
    with open_store() as store:
        assert count_runs(store, open_) == {"finished": 1}
        assert set_state(store, open_, "cancelled")
    # One that was cancelled is no reason not to make another, but the finished one is.
    assert f"sweep {done} (sweep) of this file is finished" in thetahat("agent", "sweep.yaml")[1]
    (folder / "sweep.yaml").write_text(GRID.replace("3]", "3, 4]"))
    assert thetahat("agent", "sweep.yaml", "--quiet") == (0, "", "")
    with open_store() as store:
        assert count_runs(store, row().id) == {"finished": 4}


@pytest.mark.parametrize("how", ["--resume", "--pause", "--cancel"])
def test_a_finished_sweep_stays_finished(thetahat, done, how) -> None:
    before = row()
    assert thetahat("sweep", "last", how) == (
        2,
        "",
        f"thetahat: the sweep {done} is finished already: 3 runs; go on with other points with:"
        f" thetahat sweep {done} --extend FILE\n",
    )
    assert row() == before


def test_an_agent_of_a_finished_sweep_starts_nobody(thetahat, done, folder) -> None:
    (folder / "train.py").unlink()
    code, out, err = thetahat("agent", done)
    assert (code, err) == (0, "")
    assert out.startswith(f"sweep {done} (sweep) finished: 3 runs; ")
    assert "the best by loss:" in out
    assert row().state == "finished"


@pytest.mark.parametrize("state", ["cancelled", "finished"])
def test_what_is_over_is_never_changed_by_a_word(folder, thetahat, state) -> None:
    (folder / "train.py").write_text(LOSS)
    (folder / "sweep.yaml").write_text(GRID)
    thetahat("sweep", "sweep.yaml")
    with open_store() as store:
        sweep = find_sweep(store, "last").id
        assert set_state(store, sweep, "paused", "by hand")
        assert set_state(store, sweep, state, "over")
        for other in ("running", "paused", "cancelled", "finished"):
            assert not set_state(store, sweep, other, "too late")
        after = find_sweep(store, sweep)
    assert (after.state, after.reason) == (state, "over")


def test_quiet_says_no_more_than_what_is_asked_of_it(folder, thetahat) -> None:
    (folder / "train.py").write_text(LOSS)
    (folder / "sweep.yaml").write_text(GRID)
    assert thetahat("sweep", "sweep.yaml", "--quiet") == (0, "", "")
    code, out, err = thetahat("sweep", "sweep.yaml", "--quiet", "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"id": row().id, "name": "sweep", "points": 3}


def test_an_agent_that_leaves_says_what_is_left(folder, thetahat) -> None:
    (folder / "train.py").write_text(LOSS)
    (folder / "sweep.yaml").write_text(GRID)
    _, out, _ = thetahat("agent", "sweep.yaml", "--count", "1")
    assert "running: 1 run, 2 not begun; " in out.splitlines()[0]
