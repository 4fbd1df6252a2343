"""Sweeps of ``method: custom``: schedulers, several metrics, and the Pareto front, at work."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import optuna
import pytest

import thetahat as th
from thetahat.analysis import front_of, pareto_front, read_file
from thetahat.store import find_sweep, tried_runs
from thetahat.sweep import parse_sweep

PROGRAMS = Path(__file__).parent / "programs"
ORACLE = Path(__file__).parents[1] / "oracle"
# Without site-packages the program starts in a fraction of the time.
LEAN = 'command: ["${interpreter}", "-S", "-E", "${program}", "${args}"]\n'
SPACE = "parameters: {x: {min: 0.0, max: 2.0}, y: {distribution: normal, sigma: 0.1}}\n"
TWO = f"program: objectives.py\n{LEAN}method: custom\nmetrics: [{{name: a}}, {{name: b}}]\n{SPACE}"
MINE = f"program: objectives.py\n{LEAN}method: custom\nmetric: {{name: a}}\n"


@pytest.fixture
def here(at):
    for name in ("objectives.py", "studies.py"):
        shutil.copy(PROGRAMS / name, at.folder)
    return at


def direct(study, n, define):
    """What Optuna proposes when it is called without a sweep."""
    found = []
    for _ in range(n):
        trial = study.ask()
        config = define(trial)
        study.tell(trial, config["x"] ** 2 + config.get("y", 0))
        found.append(config)
    return found


def conditional(trial):
    found = {"kind": trial.suggest_categorical("kind", ["flat", "deep"])}
    found["x"] = trial.suggest_float("x", 0, 2)
    if found["kind"] == "deep":
        found["y"] = trial.suggest_float("y", 0, 1)
    return found


def test_a_users_study_and_conditional_space_propose_what_optuna_proposes(here, thetahat) -> None:
    keys = "source: studies.py, optimizer: one_study, search_space: conditional_space"
    file = here.sweep(f"{MINE}scheduler: {{engine: optuna, {keys}}}\n")
    made = thetahat("sweep", file, "--count", "14")
    assert made[0] == 0, made
    # Two agents, one after the other: the second repeats the asks of the first.
    for count in ("5", "9"):
        code, _, err = thetahat("agent", "last", "--count", count, "--workers", "1", "--quiet")
        assert code == 0, err
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=5))
    runs = [dict(run.config) for run in here.runs()]
    assert runs == direct(study, 14, conditional)
    assert len({"y" in run for run in runs}) == 2


def test_a_terminator_ends_the_sweep(here, thetahat) -> None:
    keys = "source: studies.py, optimizer: ending_study, search_space: plain_space"
    file = here.sweep(f"{MINE}scheduler: {{engine: optuna, {keys}}}\n")
    assert "sweep.yaml: valid; custom, endless\n" in thetahat("check", file)[1]
    code, out, err = thetahat("sweep", file, "--run", "--workers", "1")
    assert code == 0, err
    assert (len(here.runs()), here.row().state) == (2, "finished")
    assert "finished: 2 runs" in out


def test_several_metrics_end_in_a_pareto_front(here, thetahat) -> None:
    code, out, err = thetahat("sweep", here.sweep(TWO), "--count", "9", "--seed", "4", "--run")
    assert code == 0, err
    points = [(run.metrics["a"], run.metrics["b"]) for run in here.runs()]
    best = {(run.metrics["a"], run.metrics["b"]) for run in here.runs()} & set(nondominated(points))
    with here.store() as store:
        row = find_sweep(store, "last")
        front = front_of(row, read_file(row.spec), tried_runs(store, row.id))
    assert {tuple(point.values) for point in front.points} == best
    assert f"the Pareto front of a and b: {len(best)} of 9 runs that no other improves on" in out
    code, out, _ = thetahat("show", here.row().id, "--format", "json")
    told = json.loads(out)["front"]
    assert [one["values"] for one in told["points"]] == sorted(map(list, best))
    assert told["objectives"] == [{"name": n, "goal": "minimize"} for n in ("a", "b")]
    code, out, _ = thetahat("show", here.row().id)
    assert f"front       {len(best)} of 9 runs that no other improves on" in out
    code, out, _ = thetahat("report", here.row().id, "--format", "csv")
    assert code == 0


def nondominated(points):
    study = optuna.create_study(directions=["minimize"] * len(points[0]))
    for point in points:
        study.add_trial(optuna.trial.create_trial(values=list(point)))
    return [tuple(trial.values) for trial in study.best_trials]


@pytest.mark.parametrize("k", [2, 3, 4])
def test_the_front_is_optunas(k) -> None:
    rng = random.Random(k)
    points = [tuple(rng.choice((rng.random(), round(rng.random(), 1))) for _ in range(k))
              for _ in range(150)]  # fmt: skip
    points += points[:5]
    found = [points[i] for i in pareto_front(points, (1,) * k)]
    assert sorted(found) == sorted(nondominated(points))
    flipped = [tuple(-v for v in point) for point in points]
    assert pareto_front(flipped, (-1,) * k) == pareto_front(points, (1,) * k)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("source: none.py, search_space: f", "there is no file none.py"),
        ("source: studies.py, search_space: plain_spaec", "did you mean 'plain_space'?"),
        ("source: studies.py, search_space: failing_space", "raised ValueError: no luck"),
        (
            "source: studies.py, optimizer: wrong_study",
            "the study's directions are maximize, and the goals of the file are minimize",
        ),
        ("source: studies.py, optimizer: plain_space", "plain_space() of studies.py raised"),
    ],
)
def test_a_mistake_of_a_scheduler_is_one_message(here, thetahat, keys, said) -> None:
    file = here.sweep(f"{MINE}scheduler: {{engine: optuna, {keys}}}\n{SPACE}")
    for words in (("check", file), ("sweep", file)):
        code, out, err = thetahat(*words)
        assert code == 2
        assert said in out + err
        assert "Traceback" not in out + err


def test_a_sweep_ends_when_a_run_reaches_every_target(here, thetahat) -> None:
    text = TWO.replace("{name: a}", "{name: a, target: 9}").replace("b}", "b, target: 9}")
    code, _, err = thetahat("sweep", here.sweep(text), "--count", "9", "--run", "--workers", "1")
    assert (code, len(here.runs())) == (0, 1), err
    assert "a run reached the targets a 9 and b 9" in here.row().reason


def some_files(n):
    texts = json.loads((ORACLE / "sweep_files.json").read_text(encoding="utf-8"))
    verdicts = json.loads((ORACLE / "verdicts.json").read_text(encoding="utf-8"))
    named = [k for k in texts if k.startswith("custom") and verdicts[k]["valid"]]
    return [k for k in named if parse_sweep(texts[k]).valid][:n], texts


def run_files(here, thetahat, names, texts) -> None:
    for name in names:
        spec = parse_sweep(texts[name]).require()
        lean = texts[name] if spec.command else texts[name] + LEAN
        code, out, err = thetahat("sweep", here.sweep(lean), "--run", "--workers", "2", "--quiet")
        assert code == 0, (name, texts[name], out, err)
        runs = here.runs()
        assert 1 <= len(runs) <= spec.run_cap, (name, texts[name])
        assert here.row().state == "finished", (name, texts[name])
        assert {str(run.status) for run in runs} == {"finished"}
        assert all(one.name in run.metrics for run in runs for one in spec.objectives)


def test_files_that_w_and_b_accepts_run_to_their_end(here, thetahat) -> None:
    run_files(here, thetahat, *some_files(3))


@pytest.mark.slow
def test_sixty_files_that_w_and_b_accepts_run_to_their_end(here, thetahat) -> None:
    names, texts = some_files(63)
    assert len(names) == 63
    run_files(here, thetahat, names[3:], texts)


# -- flags that go with every file -----------------------------------------------------------------

GRID = f"""\
program: objectives.py
{LEAN}method: grid
metric: {{name: a}}
parameters: {{x: {{values: [0, 1, 2]}}, y: {{values: [0, 1]}}}}
"""


def test_a_grid_with_a_constraint_runs_what_satisfies_it(here, thetahat) -> None:
    file = here.sweep(GRID)
    code, _, err = thetahat("sweep", file, "--constraint", "x != 2 * y", "--run")
    assert code == 0, err
    found = [(run.config["x"], run.config["y"]) for run in here.runs()]
    assert sorted(found) == [(0, 1), (1, 0), (1, 1), (2, 0)]
    assert (here.row().points, here.row().state) == (4, "finished")
    (wrong,) = parse_sweep(GRID + "constraints: [x > 1]\n").errors
    assert wrong.message.endswith("it is a flag: thetahat sweep FILE --constraint")
    for words, said in (
        (("--constraint", "z > 1"), "the sweep has no parameter 'z'"),
        (("--constraint", "x > 9"), "no point of the grid satisfies the constraints 'x > 9'"),
        (("--folds", "2", "--replicates", "2"), "exclude each other"),
    ):
        code, _, err = thetahat("sweep", file, *words)
        assert (code, said in err) == (2, True), err


FOLDS = """\
import json, sys
given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
# The median over folds prefers x = 1, the mean x = 0.
losses = {"0": [2.0, 2.0, 2.0], "1": [1.0, 1.0, 9.0]}
sys.stdout.write(json.dumps({"loss": losses[given["x"]][int(given["fold"])]}) + "\\n")
"""


def test_folds_are_one_setting_and_the_search_sees_their_mean(at, thetahat) -> None:
    text = GRID.replace("objectives", "train").replace("{name: a}", "{name: loss}")
    text = text.replace(", y: {values: [0, 1]}", "").replace("[0, 1, 2]", "[0, 1]")
    code, out, err = thetahat("sweep", at.sweep(text, FOLDS), "--folds", "3", "--run")
    assert code == 0, err
    runs = at.runs()
    assert [(run.config["x"], run.config["fold"]) for run in runs] == [
        (x, fold) for x in (0, 1) for fold in range(3)
    ]
    assert "the best settings by loss, its mean over the folds:" in out
    rows = [line.split() for line in out.splitlines()]
    assert rows.index(["0", "3", "0", "2.000", "0.000"]) + 1 == rows.index(
        ["1", "3", "0", "3.667", "4.619"]
    )
    best = json.loads(thetahat("show", at.row().id, "--format", "json")[1])["best"]
    assert (best["mean"], best["sd"], best["n"], best["config"]) == (2.0, 0.0, 3, {"x": 0})
    found = th.open_sweep(at.row().id)
    assert [(s.config["x"], s.median) for s in found.settings] == [(0, 2.0), (1, 1.0)]
    assert found.best is not None and (found.best.center, found.best.metrics["loss"]) == (2.0, 2.0)
    for over in ((), "fold"):
        assert found.groups(over)[["x", "loss mean"]].to_numpy().tolist() == [[0, 2], [1, 11 / 3]]
    assert "best 2 (mean of 3) at x=0" in repr(found) and "loss mean" in found._repr_html_()
    said = found.report(at.folder / "folds.md").read_text()
    assert "The lowest mean loss is 2 at x=0, over 3 runs" in said
    assert "ordered by their mean loss" in said and "median" not in said
    bad = at.sweep(text.replace("values: [0, 1]", "values: [0, 1]}, fold: {values: [0]"))
    code, _, err = thetahat("sweep", bad, "--folds", "3")
    assert (code, "searches over 'fold' itself" in err) == (2, True)


def test_earlier_runs_join_the_history_of_a_search(here, thetahat) -> None:
    assert thetahat("sweep", here.sweep(GRID), "--count", "4", "--run", "--quiet")[0] == 0
    first = here.row().id
    code, _, err = thetahat("sweep", here.sweep(GRID), "--prior", first, "--run", "--quiet")
    assert code == 0, err
    assert f"the search learns from 4 runs of {first}" in err
    # A grid does not run again what has run.
    assert [(run.config["x"], run.config["y"]) for run in here.runs()] == [(2, 0), (2, 1)]
    here.write("old.csv", "x,y,a\n0,0,0.5\n1,0,\n2,1,4.5\n")
    bayes = GRID.replace("method: grid", "method: bayes")
    code, _, err = thetahat("sweep", here.sweep(bayes), "--prior", "old.csv", "--count", "4")
    assert code == 0, err
    assert "the search learns from 2 runs of old.csv; 1 left out" in err
    assert [run["metrics"] for run in here.row().plan["prior"]] == [{"a": 0.5}, {"a": 4.5}]
    for given, said in (("none.csv", "cannot be read"), ("nonsense", "has no sweep 'nonsense'")):
        code, _, err = thetahat("sweep", here.sweep(GRID), "--prior", given)
        assert (code, said in err) == (2, True), err


MANY = """\
import json, random, sys
names = [f"m{i:02d}" for i in range(12)]
random.shuffle(names)
sys.stdout.write(json.dumps({name: 1.5 for name in names} | {"loss": 0.25}) + "\\n")
"""


def test_the_metric_of_a_sweep_is_the_first_of_many(at, thetahat) -> None:
    text = GRID.replace("objectives", "train").replace("{name: a}", "{name: loss}")
    code, out, err = thetahat("sweep", at.sweep(text, MANY), "--count", "2", "--run")
    assert code == 0, err
    heads = next(line.split() for line in out.splitlines() if line.startswith("name"))
    shown = [head for head in heads if head == "loss" or head.startswith("m")]
    assert shown == ["loss", "m00", "m01", "m02", "m03", "m04"][: len(shown)]
    assert len(shown) > 1


SLOW = """\
import json, pathlib, sys, time
given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
x = float(given["x"])
for step in range(10_000 if x > 1 else 3):
    sys.stdout.write(json.dumps({"a": x + 1 / (step + 1), "step": step}) + "\\n")
    sys.stdout.flush()
    if x > 1 and step > 2:
        time.sleep(0.05)  # until the pruner ends it
"""
PRUNING = """\
import optuna

def study(info):
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1)
    grid = optuna.samplers.GridSampler({"x": [0.0, 0.5, 2.0]}, seed=1)
    made = optuna.create_study(sampler=grid, pruner=pruner)
    for x in (0.0, 0.5, 2.0):
        made.enqueue_trial({"x": x})
    return made
"""


def test_a_users_pruner_stops_runs(at, thetahat) -> None:
    at.write("pruning.py", PRUNING)
    text = f"{MINE}scheduler: {{engine: optuna, source: pruning.py, optimizer: study}}\n"
    text = text.replace("objectives", "train") + "parameters: {x: {min: 0.0, max: 3.0}}\n"
    file = at.sweep(text, SLOW)
    code, _, err = thetahat("sweep", file, "--count", "3", "--run", "--workers", "1", "--quiet")
    assert code == 0, err
    ends = [(run.config["x"], str(run.status), run.stopped_early) for run in at.runs()]
    assert ends[:2] == [(0.0, "finished", False), (0.5, "finished", False)]
    assert ends[2] == (2.0, "stopped", True)
    assert at.runs()[2].reason == "optuna: the study's pruner stopped it"
