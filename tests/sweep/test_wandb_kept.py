"""What an unmodified wandb program says of its run is kept: config, name, labels, words."""

from __future__ import annotations

import json

import pytest

SAYS = """\
import sys

import numpy as np
import wandb

word = next((w for w in sys.argv if w.startswith("--lr=")), "")
run = wandb.init(
    project="wages", group="g1", tags=["a", "b"], job_type="train", notes="first try",
    config={"lr": 5.0, "hidden": 7, "net": {"depth": 2, "act": "relu"}, "none": None},
)
open(f"ckpt-{wandb.run.name}", "w").close()
run.config.update({"hidden": 9, "late": True}, allow_val_change=True)
run.tags = run.tags + ("c",)
picture = wandb.Image(np.zeros((4, 4, 3), dtype=np.uint8))
for k in range(2):
    run.log({"loss": run.config.lr / (k + 1), "phase": "warm", "img": picture,
             "val": {"pic": picture, "ok": True, "rmse": 0.5}})
run.summary["convergence"] = "Success"
run.summary["stable"] = False
run.finish()
"""
FILE = """\
program: train.py
method: grid
metric: {name: loss}
parameters:
  lr: {values: [0.1, 0.2]}
  net: {parameters: {depth: {value: 3}}}
"""


def run_pages(at, run: str) -> dict:
    """A run as its page gets it."""
    # The page of a run without a server, and where it reads the store.
    from thetahat.web._source import Source
    from thetahat.web._views import run_page

    with at.store() as store:
        source = Source(store.path)
    try:
        return run_page(source, source.store().run(run))
    finally:
        source.close()


@pytest.mark.parametrize("package", ["local", "real"])
def test_config_labels_and_words_of_a_wandb_program_are_kept_and_shown(
    at, thetahat, monkeypatch, package: str
) -> None:
    monkeypatch.setenv("THETAHAT_WANDB", package)
    code, _, err = thetahat("sweep", at.sweep(FILE, SAYS), "--run", "--workers", "1")
    assert code == 0, err
    runs = at.runs()
    more = {"hidden": 9, "late": True, "none": None}
    for run, lr in zip(runs, (0.1, 0.2), strict=True):
        # The sweep's values stand; the program's others are beside them.
        assert run.config == {"lr": lr, "net": {"depth": 3, "act": "relu"}, **more}
        labels = {"group": "g1", "tags": ["a", "b", "c"], "job_type": "train", "notes": "first try"}
        assert (run.labels, run.project) == (labels, "wages")
        assert run.metrics == pytest.approx({"loss": lr / 2, "val.rmse": 0.5})
        assert set(at.history(run)) == {"step", "loss", "val.rmse"}
        logged = {"phase": "warm", "val.ok": True, "convergence": "Success", "stable": False}
        assert at.run(run).detail == {"exit_code": 0, "logged": logged}
        # The program's own names of files are those of the run.
        assert (at.folder / f"ckpt-{run.name}").exists()
    media = "logged as media, and so no metrics: img (image-file), val.pic (image-file)"
    assert err.count(media) == (package == "real")
    _, out, _ = thetahat("show", runs[0].name)
    for words in ("group", "g1", "a, b, c", "first try", "convergence", "Success", "act", "relu"):
        assert words in out
    _, out, _ = thetahat("show", runs[0].name, "--format", "json")
    shown = json.loads(out)
    assert (shown["labels"], shown["config"]) == (labels, runs[0].config)
    assert shown["detail"]["logged"]["convergence"] == "Success"
    page = run_pages(at, runs[0].name)
    assert (page["labels"], page["detail"]["logged"]["stable"]) == (labels, False)
    _, out, _ = thetahat("runs", "last", "--columns", "name,hidden,group,tags", "--format", "json")
    assert [(row["hidden"], row["group"]) for row in json.loads(out)] == [(9, "g1")] * 2
    _, out, _ = thetahat("runs", "last", "--where", "group=g1", "--format", "json")
    assert len(json.loads(out)) == 2


def test_a_name_of_the_programs_own_is_the_runs(at, thetahat) -> None:
    program = """\
import wandb
run = wandb.init(name="baseline")
first = run.name
run.log({"loss": run.config.lr})
if run.config.lr > 0.1:
    run.name = f"{first}-late"
run.finish()
"""
    file = at.sweep(FILE.replace("[0.1, 0.2]", "[0.05, 0.1, 0.2]"), program)
    code, out, err = thetahat("sweep", file, "--run", "--workers", "1")
    assert code == 0, err
    runs = at.runs()
    # One name for several runs: the later ones get their numbers behind it.
    assert [run.name for run in runs] == ["baseline", "baseline-2", "baseline-late"]
    assert "baseline" in out
    code, out, _ = thetahat("show", "baseline-2", "--format", "json")
    assert (code, json.loads(out)["id"]) == (0, runs[1].id)


def test_the_search_sees_only_what_it_proposed(at, thetahat) -> None:
    program = """\
import wandb
run = wandb.init(config={"started": 1, "lr": 9})
run.log({"loss": (run.config.lr - 0.3) ** 2, "epoch": 1})
run.finish()
if run.config.lr == 0.1 and run.summary is not None:
    raise SystemExit("no luck")
"""
    file = at.sweep(FILE, program)
    code, _, err = thetahat("sweep", file, "--run", "--workers", "1", "--retries", "1")
    assert code == 1, err
    bad, good = at.runs()
    assert (str(bad.status), bad.attempt, good.config["lr"]) == ("failed", 2, 0.2)
    assert bad.config == {"lr": 0.1, "net": {"depth": 3}, "started": 1}
    argv = at.run(bad).provenance["argv"]
    assert [word for word in argv if "started" in word] == []


def test_a_program_of_th_start_under_an_agent_keeps_its_config_and_its_name(at, thetahat) -> None:
    program = """\
import sys
import thetahat as th
lr = next(w.split("=")[1] for w in sys.argv if w.startswith("--lr="))
with th.start({"lr": 7, "hidden": 9}, name="mine", project="wages") as run:
    assert (run.config["lr"], run.config["hidden"]) == (float(lr), 9), run.config
    run.log({"loss": run.config["lr"]})
"""
    code, _, err = thetahat("sweep", at.sweep(FILE, program), "--run", "--workers", "1")
    assert code == 0, err
    one, two = at.runs()
    assert (one.name, two.name, one.project) == ("mine", "mine-2", "wages")
    assert one.config == {"lr": 0.1, "net": {"depth": 3}, "hidden": 9}
    assert two.config["lr"] == 0.2


def test_words_of_a_program_that_prints_json_are_kept(at, thetahat) -> None:
    program = """\
import json
print(json.dumps({"event": "start", "lr": "no number here"}))
for k in range(3):
    print(json.dumps({"loss": 1 / (k + 1), "phase": f"p{k}", "ok": k > 1, "by": {"a": 1}}))
print(json.dumps({"loss": 0.1, "long": "x" * 5000}))
"""
    code, _, err = thetahat("sweep", at.sweep(FILE, program), "--run")
    assert code == 0, err
    logged = at.run(at.runs()[0]).detail["logged"]
    assert logged.pop("long") == "x" * 1000 + "…"
    assert logged == {"phase": "p2", "ok": True, "by": {"a": 1}}


def test_what_a_program_adds_to_its_config_splits_no_setting(at, thetahat) -> None:
    program = """\
import os
import wandb
run = wandb.init(config={"pid": os.getpid(), "hidden": 9})
run.log({"loss": run.config.lr + run.config.seed})
run.finish()
"""
    text = FILE.replace(
        "  net: {parameters: {depth: {value: 3}}}\n", "  seed: {values: [1, 2, 3]}\n"
    )
    code, _, err = thetahat("sweep", at.sweep(text, program), "--run", "--workers", "1")
    assert code == 0, err
    runs = at.runs()
    assert len({run.config["pid"] for run in runs}) == 6
    assert [run.setting for run in runs] == [run.proposed for run in runs]
    _, out, _ = thetahat("runs", "last", "--over", "seed", "--format", "json")
    groups = json.loads(out)
    assert [(g["config"], g["runs"]) for g in groups] == [({"lr": 0.1}, 3), ({"lr": 0.2}, 3)]
    _, out, _ = thetahat("report", at.row().id, "--format", "csv")
    assert len(out.splitlines()) == 3
    _, out, _ = thetahat("show", runs[0].name)
    assert "the sweep proposed lr, seed" in out


def test_the_metric_and_the_parameters_come_first_in_every_table(
    at, thetahat, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = """\
import random, sys
import wandb

run = wandb.init()
names = [f"m{k:02d}" for k in range(11)] + ["loss"]
random.Random(run.config.lr).shuffle(names)
run.log({name: run.config.lr for name in names})
run.finish()
"""
    many = "".join(f"  p{k}: {{value: {k}}}\n" for k in range(3))
    file = at.sweep(FILE.replace("[0.1, 0.2]", "[0.3, 0.1, 0.2]") + many, program)
    monkeypatch.setenv("COLUMNS", "300")
    code, out, err = thetahat("sweep", file, "--run", "--workers", "1")
    assert code == 0, err
    heads = ["name", "status", "lr", "loss", "m00", "m01", "m02", "m03", "m04", "steps", "seconds"]
    wide = next(line for line in err.splitlines() + out.splitlines() if line.startswith("name "))
    assert wide.split() == heads
    assert thetahat("runs", "last")[1].split("\n")[0].split() == heads
    # On a narrow screen the parameter stays longer than the program's other metrics.
    monkeypatch.setenv("COLUMNS", "50")
    narrow = thetahat("runs", "last")[1].split("\n")[0].split()
    assert narrow[:4] == heads[:4]
    assert len(narrow) < len(heads)
