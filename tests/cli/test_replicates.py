"""Replicated settings: what an agent calls best is a setting, and never one lucky seed of it."""

from __future__ import annotations

import json

import pytest

from thetahat.cli.terminal._sweep_status import SweepWatch
from thetahat.search import Metric
from thetahat.store import list_sweeps, open_store

# The second setting has the best single run, and the third the best median.
PROGRAM = """\
import json, sys
given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
lr, seed = int(given["lr"]), int(given["seed"])
if lr == 4:
    sys.exit(3)
print(json.dumps({"loss": {1: 5.0, 2: [0.0, 7.0, 9.0][seed], 3: 3.5 + seed}[lr], "other": 1.0}))
"""
GRID = """\
program: train.py
method: grid
metric: {name: loss, goal: GOAL}
parameters:
  lr: {values: [1, 2, 3, 4]}
"""


@pytest.fixture
def worked(folder, thetahat):
    """A sweep of three seeds, worked on; what it said."""

    def work(goal: str = "minimize", *words: str) -> list[str]:
        (folder / "train.py").write_text(PROGRAM)
        (folder / "sweep.yaml").write_text(GRID.replace("GOAL", goal))
        more = ("--run", "--replicates", "3", "--keep-going", *words)
        code, out, _ = thetahat("sweep", "sweep.yaml", *more)
        assert code == 1
        return out.splitlines()

    return work


def table(lines: list[str]) -> list[list[str]]:
    """The cells of a table's lines, its rule left away."""
    return [line.split() for line in lines if not line.startswith("─")]


def test_the_best_are_settings_by_their_median(worked) -> None:
    said = worked()
    at = said.index("the best settings by loss, its median over seed:")
    assert "finished: 12 runs, 3 failed; " in said[at - 1]
    head, *rows = table(said[at + 1 : -1])
    assert head == ["lr", "runs", "n", "failed", "loss", "median", "loss", "q10", "loss", "q90"]
    assert [row[:5] for row in rows] == [
        ["3", "3", "3", "0", "4.5"],
        ["1", "3", "3", "0", "5.0"],
        ["2", "3", "3", "0", "7.0"],
    ]
    assert said[-1].startswith("look at all of them: thetahat runs ")


def test_the_highest_median_is_the_best_where_more_is_better(worked) -> None:
    said = worked("maximize")
    at = said.index("the best settings by loss, its median over seed:")
    assert [row[0] for row in table(said[at + 1 : -1])[1:]] == ["2", "1", "3"]


def test_groups_come_best_first_unless_another_order_is_asked_for(worked, thetahat) -> None:
    def order(*words: str) -> list[int]:
        more = ("--over", "seed", "--format", "json", *words)
        return [group["config"]["lr"] for group in json.loads(thetahat("runs", "last", *more)[1])]

    worked()
    # What has no number comes last, whichever is better.
    assert order() == [3, 1, 2, 4]
    assert order("--sort", "loss.q90") == [1, 3, 2, 4]
    assert order("--sort", "-lr") == [4, 3, 2, 1]
    worked("maximize")
    assert order() == [2, 1, 3, 4]
    assert order("--limit", "1") == [2]


def test_without_replicates_the_best_are_runs(folder, thetahat) -> None:
    (folder / "train.py").write_text(PROGRAM)
    text = GRID.replace("GOAL", "minimize").replace("[1, 2, 3, 4]}", "[1, 3]}\n  seed: {value: 0}")
    (folder / "sweep.yaml").write_text(text)
    code, out, _ = thetahat("sweep", "sweep.yaml", "--run")
    assert code == 0
    assert "the best by loss:" in out
    assert "the best settings" not in out


# lr 1 fails at one seed of three after it logged the lowest number, and 5 ends without a number.
BREAKS = """\
import json, sys
given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
lr, seed = int(given["lr"]), int(given.get("seed", 0))
loss = {1: 0.001 if seed == 0 else 5.0, 2: 3.5 + seed, 5: float("nan")}[lr]
print(json.dumps({"loss": loss}), flush=True)
if lr == 1 and seed == 0:
    raise RuntimeError("broke after logging")
"""
THREE = GRID.replace("[1, 2, 3, 4]", "[1, 2, 5]").replace("GOAL", "minimize")


@pytest.fixture
def broken(folder, thetahat):
    """Run a sweep in which one run logs .001 and raises; what the command said."""

    def work(*words: str) -> list[str]:
        (folder / "train.py").write_text(BREAKS)
        (folder / "sweep.yaml").write_text(THREE)
        code, out, err = thetahat("sweep", "sweep.yaml", "--run", "--keep-going", *words)
        assert code == 1, err
        return out.splitlines()

    return work


def test_a_failed_run_is_never_the_best_and_one_without_a_number_has_failed(
    broken, thetahat
) -> None:
    said = broken()
    at = said.index("the best by loss:")
    assert "finished: 3 runs, 2 failed; " in said[at - 1]
    (row,) = table(said[at + 2 : -1])
    assert "finished" in row and "0.001" not in " ".join(said)
    runs = {r["config"]["lr"]: r for r in json.loads(thetahat("runs", "--format", "json")[1])}
    assert runs[5]["status"] == "diverged"
    assert runs[5]["reason"] == "loss = nan at the end"


def test_every_group_has_n_and_failures_beside_it(broken, thetahat) -> None:
    said = broken("--replicates", "3")
    at = said.index("the best settings by loss, its median over seed:")
    assert "finished: 9 runs, 4 failed; " in said[at - 1]
    head, *rows = table(said[at + 1 : -1])
    assert head[:4] == ["lr", "runs", "n", "failed"]
    assert [row[:4] for row in rows] == [["2", "3", "3", "0"], ["1", "3", "2", "1"]]
    words = ("runs", "last", "--over", "seed")
    listed = json.loads(thetahat(*words, "--format", "json")[1])
    counts = {g["config"]["lr"]: (g["runs"], g["failed"], g["unfinished"]) for g in listed}
    assert counts == {1: (3, 1, 0), 2: (3, 0, 0), 5: (3, 3, 0)}
    for format, split in (("csv", ","), ("latex", " & ")):
        text = thetahat(*words, "--format", format)[1]
        head = next(line for line in text.splitlines() if line.startswith("lr"))
        assert head.split(split)[:5] == ["lr", "runs", "n", "failed", "unfinished"], format


def test_the_live_line_names_the_best_setting(broken, folder) -> None:
    broken("--replicates", "3")
    with open_store(folder / ".thetahat", create=False) as store:
        sweep = list_sweeps(store)[-1]
        watch = SweepWatch(store, sweep, Metric("loss"), "grid", (("lr",),))
        watch.look(at_once=True)
        now = watch.now()
    assert now.best is not None
    assert (now.best.value, now.best.setting, now.best.name) == (4.5, {"lr": 2}, "median of 3")
    assert now.best.band == "least to greatest: 3.5 to 5.5"
    assert (now.done, now.failed, now.cut) == (5, 4, 0)
