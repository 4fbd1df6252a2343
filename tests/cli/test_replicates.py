"""Replicated settings: what an agent calls best is a setting, and never one lucky seed of it."""

from __future__ import annotations

import json

import pytest

# The lines of a live screen are read without a terminal.
from thetahat.cli.terminal._sweep_status import SweepWatch
from thetahat.search import Objective
from thetahat.store import NewSweep, create_sweep, list_sweeps, open_store

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


EXPERIMENT = """\
import thetahat as th

def ex(width: int = 2, draw: th.Seed = 0) -> th.Task:
    data = th.Data(th.dgp.linear(N=20, M=1, sigma=1.0, seed=0))
    model = th.models.MLP(1, width=width, depth=1, seed=draw)
    return th.Task(model, data, epochs=2, seed=draw)

if __name__ == "__main__":
    th.main(ex)
"""


def test_a_seed_that_is_searched_under_another_name_is_averaged_out(folder, thetahat) -> None:
    (folder / "train.py").write_text(EXPERIMENT)
    text = GRID.replace("lr: {values: [1, 2, 3, 4]}", "width: {values: [2, 4]}")
    text = text.replace("loss", "train_risk").replace("GOAL", "minimize")
    (folder / "sweep.yaml").write_text(text + "  draw: {values: [0, 1, 2]}\n")
    code, out, err = thetahat("sweep", "sweep.yaml", "--run", "--workers", "1")
    assert code == 0, err
    said = out.splitlines()
    at = said.index("the best settings by train_risk, its median over draw:")
    assert [row[1:3] for row in table(said[at + 2 : -1])] == [["3", "3"], ["3", "3"]]
    _, out, _ = thetahat("report", "last", "--format", "md")
    assert "6 runs of a grid search over width: 6 finished" in out and "over 3 runs" in out


@pytest.mark.parametrize(
    "orders", [("shared", "shared"), ("shared", "shared", "own"), ("own",) * 3]
)
def test_a_shared_order_of_batches_is_said_in_tables_files_and_reports(
    folder, thetahat, orders
) -> None:
    text = "method: grid\nmetric: {name: val_risk}\nparameters: {lr: {values: [1, 2]}}\n"
    with open_store(folder / ".thetahat") as store:
        sweep = create_sweep(store, NewSweep(text, "orders"))
        for seed, order in enumerate(orders):
            run = store.create_run({"lr": 1, "seed": seed}, sweep_id=sweep.id)
            more = {"metrics": {"val_risk": 1.0 + seed}, "detail": {"batch_order": order}}
            store.finish_run(run.id, status="finished", **more)
    shared = "shared" in orders
    words = ("runs", "last", "--over", "seed")
    assert ("seeds share the order of batches" in thetahat(*words)[2]) == shared
    (group,) = json.loads(thetahat(*words, "--format", "json")[1])
    assert group.get("shared_order", False) == shared
    head = thetahat(*words, "--format", "csv")[1].splitlines()[0]
    assert ("shared order" in head) == shared
    assert (
        "share the order of batches" in thetahat("report", "last", "--format", "md")[1]
    ) == shared


def test_runs_of_several_experiments_are_of_no_common_setting(folder, thetahat) -> None:
    with open_store(folder / ".thetahat") as store:
        for number, name in enumerate(("first", "second", "second")):
            run = store.create_run({"lr": 0.1, "seed": number}, experiment=name)
            store.finish_run(run.id, status="finished", metrics={"val_risk": 10.0 ** (2 * number)})
    words = ("runs", "--over", "seed")
    listed = json.loads(thetahat(*words, "--format", "json")[1])
    told = [(g["experiment"], g["runs"], g["metrics"]["val_risk"]["median"]) for g in listed]
    assert told == [("first", 1, 1.0), ("second", 2, 5050.0)]
    head, *rows = thetahat(*words, "--format", "csv")[1].splitlines()
    assert head.startswith("experiment,runs,n,") and rows[1].startswith("second,2,2,")
    head, *rows = table(thetahat(*words)[1].splitlines())
    assert (head[0], [row[0] for row in rows]) == ("experiment", ["first", "second"])
    listed = json.loads(thetahat("runs", "second", *words[1:], "--format", "json")[1])
    assert [(g["runs"], "experiment" in g) for g in listed] == [(2, False)]


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


# What a program prints as its last line, whether it has failed then, and whether it logged a loss.
LAST_LINES = [
    ('{"loss": -Infinity}', True, True),
    ('{"loss": NaN}', True, True),
    ('{"loss": 1e999}', True, True),
    ('{"loss": null}', False, False),
    ('{"loss": "0.1"}', False, False),
    ('{"los": 0.1}', False, False),
    ("", False, False),
    ('{"loss": 1}', False, True),
]


def test_runs_without_the_metric_are_counted_and_said(folder, thetahat) -> None:
    lines = [line for line, _, _ in LAST_LINES]
    (folder / "train.py").write_text(
        f"import sys\nprint({lines!r}[int(sys.argv[1].split('=')[1])])\n"
    )
    places = list(range(len(lines)))
    text = GRID.replace("GOAL", "minimize").replace("[1, 2, 3, 4]", str(places))
    (folder / "sweep.yaml").write_text(text)
    code, out, err = thetahat("sweep", "sweep.yaml", "--run", "--keep-going")
    assert code == 0, err
    failed = sum(lost for _, lost, _ in LAST_LINES)
    silent = sum(not logged for _, _, logged in LAST_LINES)
    assert f"finished: 8 runs, {failed} failed, {silent} without loss; " in out
    runs = {r["config"]["lr"]: r for r in json.loads(thetahat("runs", "--format", "json")[1])}
    for place, (line, lost, _) in enumerate(LAST_LINES):
        assert runs[place]["status"] == ("diverged" if lost else "finished"), line
    _, out, _ = thetahat("report", "last", "--format", "md")
    assert f"{silent} of 8 runs ended well but logged no loss" in out
    assert "The lowest loss is 1 at lr=7" in out


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
        watch = SweepWatch(store, sweep, Objective("loss"), "grid", (("lr",),))
        watch.look(at_once=True)
        now = watch.now()
    assert now.best is not None
    assert (now.best.value, now.best.setting, now.best.name) == (4.5, {"lr": 2}, "median of 3")
    assert now.best.band == "least to greatest: 3.5 to 5.5"
    assert (now.done, now.failed, now.cut) == (5, 4, 0)
