"""Replicated settings: what an agent calls best is a setting, and never one lucky seed of it."""

from __future__ import annotations

import json

import pytest

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
        more = ("--group-by", "seed", "--format", "json", *words)
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
