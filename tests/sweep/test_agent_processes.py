"""Sweeps of any program: each run a process, its numbers, its reason, its place in the sweep."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest
from at_work import LOSES

from children import HOLD, until
from thetahat.sweep import Work

# The number of cores and processes is a pure function of the machine.
from thetahat.sweep.workers._connection import count_cores
from thetahat.sweep.workers._early_start import size_of

GRID = """\
program: train.py
method: grid
metric: {name: loss}
parameters:
  lr: {values: [0.1, 0.3]}
  epochs: {values: [2, 3]}
"""


def test_a_grid_runs_to_its_end_in_order_and_is_finished(at, thetahat) -> None:
    code, out, err = thetahat("sweep", at.sweep(GRID, LOSES), "--run")
    assert (code, "note:" in err) == (0, False)
    runs = at.runs()
    points = [{"epochs": e, "lr": r} for e in (2, 3) for r in (0.1, 0.3)]
    assert [run.config for run in runs] == points
    assert [run.point for run in runs] == [0, 1, 2, 3]
    assert {(str(run.status), run.attempt) for run in runs} == {("finished", 1)}
    for run in runs:
        loss = (run.config["lr"] - 0.3) ** 2 + 1 / run.config["epochs"]
        assert math.isclose(run.metrics["loss"], loss)
        history = at.history(run)
        assert list(history["epoch"]) == list(range(1, run.config["epochs"] + 1))
        assert run.epochs == run.config["epochs"]
    assert at.row().state == "finished"
    best = out.partition("the best by loss:")[2].splitlines()[3]
    assert best.startswith(runs[3].name)
    assert f"look at all of them: thetahat runs {at.row().id}" in out


def test_a_sweep_that_is_made_says_its_id_and_the_command(at, thetahat) -> None:
    code, out, _ = thetahat("sweep", at.sweep(GRID, LOSES), "--format", "json")
    made = json.loads(out)
    assert code == 0
    assert made == {"id": at.row().id, "name": at.row().name, "points": 4}
    assert at.runs() == []
    code, out, err = thetahat("agent", made["id"], "--quiet")
    assert (code, out, err) == (0, "", "")
    assert len(at.runs()) == 4


def test_failed_runs_keep_their_reason_and_are_counted(at, thetahat) -> None:
    program = LOSES + 'if given["lr"] == "0.3": sys.exit(f"no luck with {given[\'epochs\']}")\n'
    code, out, err = thetahat("sweep", at.sweep(GRID, program), "--run")
    assert code == 1
    runs = at.runs()
    assert [str(run.status) for run in runs] == ["finished", "failed"] * 2
    assert runs[1].reason == "exit code 1: no luck with 2"
    assert runs[3].reason == "exit code 1: no luck with 3"
    assert "finished: 4 runs, 2 failed;" in out
    assert f"note: {runs[1].name} failed: exit code 1: no luck with 2" in err


def test_a_failed_run_is_retried_as_often_as_asked(at, thetahat) -> None:
    program = LOSES + (
        "from pathlib import Path\n"
        "tries = Path(f\"tries-{given['lr']}\")\n"
        "tries.open('a').write('x')\n"
        "if given['lr'] == '0.1' and len(tries.read_text()) < 3: sys.exit('not yet')\n"
        "if given['lr'] == '0.3': sys.exit('never')\n"
    )
    file = at.sweep(GRID.replace("[2, 3]", "[2]"), program)
    code, _, err = thetahat("sweep", file, "--run", "--retries", "2")
    assert code == 1
    good, bad = at.runs()
    assert (str(good.status), good.attempt, good.reason) == ("finished", 3, "")
    assert (str(bad.status), bad.attempt) == ("failed", 3)
    assert bad.reason == "exit code 1: never"
    assert (at.folder / "tries-0.3").read_text() == "xxx"
    assert "runs are tried again: exit code 1: not yet" in err
    # What failed attempts logged is gone: the records are of the last one.
    assert list(at.history(good)["epoch"]) == [1, 2]
    assert list(at.history(bad)["epoch"]) == [1, 2]


def test_a_run_that_takes_too_long_is_ended(at, thetahat) -> None:
    program = LOSES + HOLD + "if given['epochs'] == '3': hold()\n"
    quick, long = (GRID.replace("[2, 3]", epochs) for epochs in ("[2]", "[3]"))
    # A limit of seconds is short for a program of a machine that is busy.
    assert thetahat("sweep", at.sweep(quick, program), "--run", "--timeout", "600")[0] == 0
    assert [(str(run.status), run.reason) for run in at.runs()] == [("finished", "")] * 2
    assert thetahat("sweep", at.sweep(long, program), "--run", "--timeout", "0.5")[0] == 1
    assert [(str(run.status), run.reason) for run in at.runs()] == [
        ("failed", "timed out after 0.5 s")
    ] * 2


def test_a_program_that_says_nothing_for_long_is_noted_with_its_last_line(at) -> None:
    program = HOLD + "import sys\nprint('waiting for a child', file=sys.stderr)\nhold()\n"
    file = at.sweep(GRID.replace("[2, 3]", "[2]").replace("[0.1, 0.3]", "[0.1]"), program + LOSES)
    before = "from thetahat.sweep.processes import _silence; _silence.QUIET_S = 0.3\n"
    child = at.start("sweep", file, "--run", before=before)
    # Before it has said anything, a slow program may be noted without a last line.
    until(lambda: "; its last line: waiting for a child." in child.said())
    at.go()
    _, err = child.communicate()
    (run,) = at.runs()
    said = f"{run.name}: no output and no metric for 0 minutes; its last line: waiting for a child."
    assert (child.returncode, said in err) == (0, True), err
    with at.store() as store:
        assert any(note.startswith(said) for note in store.notices(run.id))


def test_a_cap_ends_the_search_exactly(at, thetahat) -> None:
    random = "method: random\nrun_cap: 5\nprogram: train.py\nparameters: {lr: {min: 0.0, max: 1.0}}"
    code, out, _ = thetahat("sweep", at.sweep(random, LOSES), "--run", "--workers", "3")
    assert code == 0
    assert len(at.runs()) == 5
    assert "random, 5 runs" in out
    code, _, _ = thetahat("sweep", "sweep.yaml", "--run", "--count", "2")
    assert len(at.runs()) == 2
    # The same seed proposes the same configs.
    with at.store() as store:
        configs = [run.config for run in store.runs()]
    assert configs[:2] == configs[5:]
    thetahat("sweep", "sweep.yaml", "--run", "--count", "2", "--seed", "7")
    assert at.runs()[0].config not in configs


def test_the_count_of_an_agent_is_its_own(at, thetahat) -> None:
    _, out, _ = thetahat("sweep", at.sweep(GRID, LOSES), "--format", "json")
    sweep = json.loads(out)["id"]
    code, _, _ = thetahat("agent", sweep, "--count", "3")
    assert (code, len(at.runs()), at.row().state) == (0, 3, "running")
    code, _, _ = thetahat("agent", sweep, "--count", "3")
    assert (code, len(at.runs()), at.row().state) == (0, 4, "finished")


def test_replicates_are_no_more_at_a_time_than_there_are_workers(at, thetahat) -> None:
    program = LOSES + (
        "import os, time\nfd = os.open('running', os.O_CREAT | os.O_EXCL)\n"
        "time.sleep(0.1)\nos.close(fd)\nos.unlink('running')\n"
    )
    code, _, err = thetahat(
        "sweep", at.sweep(GRID, program), "--run", "--workers", "1", "--replicates", "3"
    )
    assert (code, len(at.runs())) == (0, 12), err
    assert {(str(run.status), run.attempt) for run in at.runs()} == {("finished", 1)}


def test_agent_with_a_count_keeps_the_runs_that_it_retries(at, thetahat) -> None:
    program = LOSES + (
        "from pathlib import Path\nimport time\n"
        "tries = Path('tries-{lr}-{epochs}'.format(**given))\n"
        "tries.open('a').write('x')\n"
        "time.sleep(0.2)\n"
        "if len(tries.read_text()) < 3: sys.exit('not yet')\n"
    )
    _, out, _ = thetahat("sweep", at.sweep(GRID, program), "--retries", "2", "--format", "json")
    sweep = json.loads(out)["id"]
    agents = [at.start("agent", sweep, "--count", n, "--keep-going") for n in ("1", "3")]
    assert [agent.communicate() and agent.returncode for agent in agents] == [0, 0]
    runs = at.runs()
    assert [(str(run.status), run.attempt) for run in runs] == [("finished", 3)] * 4
    by_agent = [run.agent for run in runs]
    assert sorted(by_agent.count(agent) for agent in set(by_agent)) == [1, 3]
    for run in runs:
        assert list(at.history(run)["epoch"]) == list(range(1, run.config["epochs"] + 1))


def test_replicates_count_the_seed_up_and_a_cap_may_cut_a_setting(at, thetahat) -> None:
    file = at.sweep(GRID, LOSES)
    code, out, _ = thetahat("sweep", file, "--run", "--replicates", "3", "--count", "7")
    assert code == 0
    assert "grid, 7 runs, 3 seeds each" in out
    runs = at.runs()
    assert [(r.point, r.replicate, r.config["seed"]) for r in runs] == [
        (0, 0, 0),
        (0, 1, 1),
        (0, 2, 2),
        (1, 0, 0),
        (1, 1, 1),
        (1, 2, 2),
        (2, 0, 0),
    ]
    assert {json.dumps({**r.config, "seed": 0}) for r in runs[:3]} == {
        json.dumps({"epochs": 2, "lr": 0.1, "seed": 0})
    }


def test_a_setting_that_an_agents_count_cut_is_completed_by_the_next(at, thetahat) -> None:
    file = at.sweep(GRID, LOSES)
    _, out, _ = thetahat("sweep", file, "--replicates", "3", "--format", "json")
    sweep = json.loads(out)["id"]
    for begun in (4, 8, 12, 12):
        thetahat("agent", sweep, "--count", "4")
        assert len(at.runs()) == begun
    runs = at.runs()
    assert len(runs) == 12
    assert [(r.point, r.replicate) for r in runs] == [(p, k) for p in range(4) for k in range(3)]
    configs = {json.dumps(r.config, sort_keys=True) for r in runs}
    assert len(configs) == 12
    assert at.row().state == "finished"


def test_enqueued_points_come_first_and_are_not_run_twice(at, thetahat) -> None:
    at.write("points.csv", "lr,epochs\n0.3,3\n0.2,2\n")
    code, _, _ = thetahat("sweep", at.sweep(GRID, LOSES), "--run", "--enqueue", "points.csv")
    assert code == 0
    assert [(r.config["lr"], r.config["epochs"]) for r in at.runs()] == [
        (0.3, 3),
        (0.2, 2),
        (0.1, 2),
        (0.3, 2),
        (0.1, 3),
    ]


def test_a_shuffled_grid_has_the_same_points_in_a_seeded_order(at, thetahat) -> None:
    text = "program: train.py\nmethod: grid\nparameters: {lr: {min: 1, max: 9}}"
    file = at.sweep(text, LOSES)
    orders = []
    for seed in ("1", "1", "2"):
        thetahat("sweep", file, "--run", "--shuffle", "--seed", seed)
        orders.append([run.config["lr"] for run in at.runs()])
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2]) == list(range(1, 10))
    assert orders[0] != sorted(orders[0])


def test_no_new_runs_begin_once_the_target_is_reached(at, thetahat) -> None:
    text = GRID.replace("{name: loss}", "{name: loss, target: 0.51}")
    text = text.replace("[0.1, 0.3]", "[0.3, 0.1, 0.2, 0.4, 0.5, 0.6]")
    code, _, err = thetahat("sweep", at.sweep(text, LOSES), "--run", "--workers", "1")
    assert code == 0
    assert len(at.runs()) == 1
    assert (at.row().state, at.row().reason) == ("finished", "loss reached its target 0.51")
    assert "note: loss reached its target 0.51: no new runs begin" in err


def test_a_sweep_of_one_point_and_one_of_none_but_constants(at, thetahat) -> None:
    for parameters in ("{lr: {values: [0.5]}}", "{lr: {value: 0.5}, epochs: {value: 1}}"):
        text = f"program: train.py\nmethod: grid\nparameters: {parameters}"
        code, out, _ = thetahat("sweep", at.sweep(text, LOSES), "--run")
        assert code == 0
        assert len(at.runs()) == 1
        assert "grid, 1 run\n" in out


def test_values_reach_the_program_as_they_are(at, thetahat) -> None:
    program = """\
import json, os, sys
config = json.loads(sys.argv[1])
open("seen.jsonl", "a", encoding="utf-8").write(json.dumps(config) + "\\n")
print(json.dumps({"loss": 1.0}))
"""
    huge = "x" * 20_000
    words = ["Größe 🙂", "two\nlines", "a 'quote' and \"another\"", "$HOME `ls` %s", "", huge]
    text = {
        "program": "train.py",
        "command": ["${interpreter}", "${program}", "${args_json}"],
        "method": "grid",
        "parameters": {
            "word": {"values": words},
            "big": {"value": 10**30},
            "optimizer.lr": {"value": 0.1},
            "model": {"parameters": {"layers": {"value": [1, 2]}, "none": {"value": None}}},
        },
    }
    code, _, _ = thetahat("sweep", at.sweep(json.dumps(text), program), "--run")
    assert code == 0
    runs = at.runs()
    seen = [json.loads(s) for s in (at.folder / "seen.jsonl").read_text("utf-8").splitlines()]
    key = json.dumps
    assert sorted((run.config for run in runs), key=key) == sorted(seen, key=key)
    assert [run.config["word"] for run in runs] == words
    one = runs[0].config
    assert one["big"] == 10**30
    assert one["model"] == {"layers": [1, 2], "none": None}
    assert one["optimizer.lr"] == 0.1


def test_parameters_may_have_the_names_of_ours(at, thetahat) -> None:
    names = ["id", "name", "status", "config", "metrics", "agent", "run", "self", "seed", "point"]
    parameters = {name: {"values": [1, 2] if name == "id" else [3]} for name in names}
    text = {"program": "train.py", "method": "grid", "parameters": parameters}
    code, _, _ = thetahat("sweep", at.sweep(json.dumps(text), LOSES), "--run")
    assert code == 0
    assert [run.config["id"] for run in at.runs()] == [1, 2]
    assert at.runs()[0].config == {"id": 1} | dict.fromkeys(names[1:], 3)


def test_a_program_that_prints_a_lot_or_starts_others_is_one_run_like_any(at, thetahat) -> None:
    program = """\
import multiprocessing, sys

def work(k):
    return k * k

if __name__ == "__main__":
    for k in range(20_000):
        print("x" * 100)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        total = sum(pool.map(work, range(5)))
    print('{"loss": %d}' % total)
"""
    text = "program: train.py\nmethod: grid\nmetric: {name: loss}\nparameters: {lr: {value: 1}}"
    code, _, _ = thetahat("sweep", at.sweep(text, program), "--run")
    assert code == 0
    run = at.runs()[0]
    assert (str(run.status), run.metrics["loss"]) == ("finished", 30.0)
    log = at.folder / ".thetahat" / "logs" / f"{run.id}.1" / "stdout.log"
    assert log.read_text().rstrip().endswith('{"loss": 30}')


def test_numbers_logged_by_th_log_are_kept_once(at, thetahat) -> None:
    program = """\
import sys
import thetahat as th
run = th.start()
for epoch in range(3):
    th.log({"loss": run.config["lr"] / (epoch + 1)})
"""
    text = (
        "program: train.py\nmethod: grid\nmetric: {name: loss}\nparameters: {lr: {values: [1, 2]}}"
    )
    at.sweep(text, program)
    code, _, err = thetahat("sweep", "sweep.yaml", "--run")
    assert (code, "note:" in err) == (0, False)
    for run in at.runs():
        assert list(at.history(run)["loss"]) == [run.config["lr"] / k for k in (1, 2, 3)]
        assert math.isclose(run.metrics["loss"], run.config["lr"] / 3)


def test_a_line_that_is_too_long_is_said_once_and_kept_with_the_run(at, thetahat) -> None:
    program = """\
import json
for epoch in range(3):
    print(json.dumps({"loss": 0.5, "weights": [0.123] * 200_000}))
print(json.dumps({"loss": 1.0}))
"""
    text = "program: train.py\nmethod: grid\nmetric: {name: loss}\nparameters: {lr: {value: 1}}"
    code, _, err = thetahat("sweep", at.sweep(text, program), "--run")
    assert code == 0
    run = at.runs()[0]
    assert run.metrics == {"loss": 1.0}
    said = (
        "a line of JSON on stdout, of 1,400,026 bytes, was not read: a line may have 1,048,576;"
        " print the numbers alone, without lists and texts"
    )
    assert err.count("was not read") == 1
    assert f"note: {run.name}: {said}\n" in err
    with at.store() as store:
        assert store.notices(run.id) == [f"{run.name}: {said}"]


@pytest.mark.parametrize(("n", "devices"), [(6, "0,1"), (5, "2,0,1"), (2, "0,1,2")])
def test_devices_are_used_in_turn(at, thetahat, n: int, devices: str) -> None:
    program = f"""\
N = {n}
import os, time, sys
from pathlib import Path

Path(sys.argv[1].split("=")[1] + ".device").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
while len(list(Path(".").glob("*.device"))) < N:
    time.sleep(0.02)
"""
    sweep = f"program: train.py\nmethod: grid\nparameters:\n  k: {{values: {list(range(n))}}}\n"
    name = at.sweep(sweep, program)
    code, _, _ = thetahat("sweep", name, "--run", f"--devices={devices}", f"--workers={n}")
    assert code == 0
    used = Counter(path.read_text() for path in at.folder.glob("*.device"))
    assert set(used) <= set(devices.split(","))
    assert len(used) == min(n, 1 + devices.count(","))
    assert max(used.values()) - min(used.values()) <= 1


@pytest.mark.parametrize(
    ("work", "points", "size"),
    [
        (Work(devices=["0", "1"]), None, 2),
        (Work(devices=["0", "1"], workers=6), None, 6),
        (Work(devices=["0", "1", "2"]), 2, 2),
        (Work(), None, count_cores()),
    ],
)
def test_by_default_a_device_has_one_worker(work: Work, points: int | None, size: int) -> None:
    assert size_of(work, points) == size
