"""th.trackers: files that follow a fit, a tracker that fails, and an extra that is missing."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thetahat as th


def line(lr: float = 0.1, width: int = 2, seed: th.Seed = 0, epochs: int = 6) -> th.Task:
    """A line through points of ``width`` inputs."""
    data = th.split(th.dgp.linear(N=40, M=width, sigma=0.1, seed=0), train=20, val=10, seed=0)
    descent = th.optim.named("sgd", lr)
    return th.Task(th.models.Linear(width), data, optimizer=descent, epochs=epochs, seed=seed)


CONFIGS = [{"lr": 0.1}, {"lr": 0.2, "width": 3}, {"lr": 0.3}]
"""Two programs: the runs begin in another order than the configs have."""


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv_has_a_row_for_each_epoch_of_each_run(tmp_path):
    path = tmp_path / "logs" / "log.csv"
    results = th.fit_many(line, CONFIGS, on=[th.trackers.csv(path)])
    rows = read(path)
    assert len(rows) == 18
    for k, result in enumerate(results):
        mine = [row for row in rows if row["run"] == str(k)]
        assert [int(row["epoch"]) for row in mine] == [1, 2, 3, 4, 5, 6]
        for name in ("train_risk", "val_risk", "learning_rate"):
            np.testing.assert_array_equal([float(row[name]) for row in mine], result.history[name])
        assert {(row["lr"], row["width"]) for row in mine} == {
            (str(result.config["lr"]), str(result.config["width"]))
        }


def test_csv_gives_new_columns_to_the_rows_before(tmp_path):
    def rated(lr: float = 0.1, metric: str = "") -> th.Task:
        task = line(lr)
        given = {metric: lambda h, z: (h(z[0]) - z[1]) ** 2} if metric else {}
        return th.Task(task.model, task.data, optimizer=task.optimizer, epochs=2, metrics=given)

    path = tmp_path / "log.csv"
    th.fit_many(rated, [{"metric": ""}, {"metric": "mse"}], on=th.trackers.csv(path))
    rows = read(path)
    assert [row["val_mse"] for row in rows[:2]] == ["", ""]
    mse, risk = ([float(row[name]) for row in rows[2:]] for name in ("val_mse", "val_risk"))
    assert mse == pytest.approx(risk, rel=1e-5)
    assert len(rows) == 4


def test_fits_of_one_tracker_stand_one_after_the_other(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("of another fit\n")
    track = th.trackers.csv(path)
    for lr in (0.1, 0.2):
        th.fit_many(line, [{"lr": lr}, {"lr": lr / 2}], on=track)
    found = [(row["run"], row["lr"]) for row in read(path) if row["epoch"] == "1"]
    assert found == [("0", "0.1"), ("1", "0.05"), ("2", "0.2"), ("3", "0.1")]


def test_jsonl_has_every_event_of_each_run(tmp_path):
    path = tmp_path / "log.jsonl"
    lost = {"lr": 1e30}
    results = th.fit_many(line, [*CONFIGS, lost], on=[th.trackers.jsonl(path)])
    rows = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    assert Counter(row["event"] for row in rows) == {
        "started": 4,
        "logged": sum(result.epochs for result in results),
        "ended": 4,
    }
    for k, result in enumerate(results):
        first, *logged, last = [row for row in rows if row["run"] == k]
        assert first["config"] == dict(result.config)
        assert (last["status"], last["reason"]) == (str(result.status), result.reason)
        risks = [row["val_risk"] for row in logged]
        known = [float(v) if np.isfinite(v) else None for v in result.history["val_risk"]]
        assert risks == known
    assert last["status"] == "diverged"
    assert last["metrics"]["val_risk"] is None


def test_a_resumed_fit_is_tracked_whole(tmp_path):
    path, checkpoint = tmp_path / "log.csv", tmp_path / "line.ckpt"
    alone = th.fit(line, epochs=9)
    th.fit(line, epochs=6, checkpoint=checkpoint, on=[th.trackers.csv(path)])
    th.fit(line, epochs=9, checkpoint=checkpoint, resume=True, on=[th.trackers.csv(path)])
    risks = [float(row["val_risk"]) for row in read(path)]
    np.testing.assert_array_equal(risks, alone.history["val_risk"])


def test_trackers_change_no_number(tmp_path):
    alone = th.fit_many(line, CONFIGS)
    kept = [th.trackers.csv(tmp_path / "log.csv"), th.trackers.jsonl(tmp_path / "log.jsonl")]
    for how in ({"on": kept}, {"trackers": kept}):
        for one, other in zip(th.fit_many(line, CONFIGS, **how), alone, strict=True):
            assert one.risk == other.risk
            for name in ("train_risk", "val_risk"):
                np.testing.assert_array_equal(one.history[name], other.history[name])


@pytest.mark.parametrize("way", ["on", "trackers"])
def test_a_tracker_that_fails_says_so_once_and_the_fit_goes_on(way, tmp_path):
    (tmp_path / "folder").mkdir()
    broken = th.trackers.csv(tmp_path / "folder")  # cannot be written
    kept = th.trackers.jsonl(tmp_path / "log.jsonl")
    with pytest.warns(th.Notice) as said:
        results = th.fit_many(line, CONFIGS, **{way: [broken, kept]})
    (notice,) = [str(w.message) for w in said]
    assert "the tracker th.trackers.csv failed and is left out" in notice
    assert "IsADirectoryError" in notice
    assert "The fit goes on" in notice
    assert [result.status for result in results] == ["finished"] * 3
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 3 + 18 + 3


def test_an_error_of_ones_own_function_still_ends_the_fit(tmp_path):
    def mine(event: Any) -> None:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        th.fit(line, on=[th.trackers.csv(tmp_path / "log.csv"), mine])


@pytest.mark.parametrize(
    ("package", "name"),
    [("wandb", "wandb"), ("tensorboardX", "tensorboard"), ("mlflow", "mlflow")],
)
def test_a_missing_extra_is_one_line_before_anything_runs(package, name, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(th.InputError) as error:
        getattr(th.trackers, name)()
    said = f"th.trackers.{name}() needs an extra: pip install 'thetahat[{name}]'"
    assert str(error.value) == said


def test_a_folder_of_the_name_is_not_the_package(tmp_path, monkeypatch):
    (tmp_path / "mlflow").mkdir()
    real = [path for path in sys.path if not (Path(path) / "mlflow").is_dir()]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *real])
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    with pytest.raises(th.InputError, match=r"pip install 'thetahat\[mlflow\]'"):
        th.trackers.mlflow()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda t: t.wandb(mode="ofline"), "mode='ofline' is unknown; did you mean 'offline'?"),
        (lambda t: t.wandb(tags="wage"), r"tags='wage' is not a list .* tags=\['wage1'\]"),
        (lambda t: t.wandb(config=[1]), r"config=\[1\] is not a mapping"),
        (lambda t: t.csv(3), "path=3 is not the path of a file"),
        (lambda t: t.jsonl(""), "path='' is not the path of a file"),
    ],
)
def test_a_wrong_argument_is_refused_before_the_fit(make, said):
    with pytest.raises(th.InputError, match=said):
        make(th.trackers)


def test_on_takes_functions_only():
    with pytest.raises(th.InputError, match=r"on=\[.*\] is not a function.*or a list"):
        th.fit(line, on=[print, 3])  # pyright: ignore[reportArgumentType]


def test_a_sweep_is_tracked_run_by_run_under_its_names(tmp_path):
    path = tmp_path / "log.csv"
    grid = {"method": "grid", "parameters": {"lr": {"values": [0.1, 0.2]}, "epochs": {"value": 5}}}

    def here(lr: float = 0.1, epochs: int = 6) -> th.Task:  # in no file: no worker loads it
        return line(lr, epochs=epochs)

    kept = [th.trackers.csv(path)]
    sweep = th.run_sweep(here, grid, store=tmp_path / "store", quiet=True, on=kept)
    history = sweep.history().sort_values(["name", "epoch"])
    rows = sorted(read(path), key=lambda row: (row["run"], int(row["epoch"])))
    assert [row["run"] for row in rows] == history["name"].tolist()
    for name in ("epoch", "train_risk", "val_risk"):
        np.testing.assert_array_equal([float(row[name]) for row in rows], history[name])
    names = {run.name: str(run.config["lr"]) for run in sweep.runs}
    assert {row["run"]: row["lr"] for row in rows} == names


LOSES = """\
import json, sys
rate = float(dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])["lr"])
print(json.dumps({"epoch": 1, "loss": rate}))
"""


def test_a_sweep_keeps_its_trackers_for_other_agents(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("loses.py").write_text(LOSES)
    grid = {"method": "random", "parameters": {"lr": {"min": 0.1, "max": 1.0}}}
    kept = [th.trackers.csv("log.csv"), th.trackers.jsonl("log.jsonl"), lambda event: None]
    sweep = th.run_sweep(
        "loses.py", grid, store=tmp_path / "store", quiet=True, on=kept, count=1, workers=1
    )
    other = th.open_sweep(sweep.id, store=tmp_path / "store")  # knows what the store knows
    other.extend(1, workers=1, quiet=True)
    files = [Path("log.csv"), Path("log-1.csv")]
    assert [len(read(file)) for file in files] == [1, 1]
    assert {read(file)[0]["run"] for file in files} == {run.name for run in other.runs}
    ends = [json.loads(Path(name).read_text().splitlines()[-1]) for name in
            ("log.jsonl", "log-1.jsonl")]  # fmt: skip
    assert {end["run"] for end in ends} == {run.name for run in other.runs}


def test_a_script_is_tracked(tmp_path, no_progress, capsys):
    path = tmp_path / "log.jsonl"
    where = f"--store={tmp_path / 'store'}"
    result = th.main(line, ["--lr=0.2", where], on=th.trackers.jsonl(path))
    rows = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    assert rows[0]["config"]["lr"] == 0.2
    assert rows[-1]["metrics"]["val_risk"] == result.risk["val"]
