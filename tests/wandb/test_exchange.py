"""Runs that come and go: offline runs of W&B, CSV and Parquet."""

from __future__ import annotations

import csv
import importlib
import sys
from pathlib import Path

import pandas as pd
import pytest

from thetahat.store import Store, list_files, list_tables, open_store, read_table

# The framing of the file, whose reader is tested against files of the real package.
from thetahat.sweep.processes._wandb_file import LogTail

NAMES = ("config", "metrics", "project", "name", "labels")


@pytest.fixture
def two(client, here: Path, store: Store) -> Store:
    """A store with two runs of a program."""
    for k in range(2):
        (here / "fit.csv").write_text(f"a\n{k}\n")
        config = {"lr": 0.1 + k, "net": {"width": 8}, "act": "relu"}
        labels = {"group": "g", "tags": ["a", "b"], "notes": "=1+1", "job_type": "train"}
        with client.init(project="p", name=f"run-{k}", id=f"id{k}", config=config, **labels) as run:
            for step in range(3):
                run.log({"loss": (k + 1) / (step + 1), "val": {"acc": step}, "phase": "warm"})
            run.log({"policy": client.Table(columns=["t", "k"], data=[[0, 0.5], [1, None]])})
            run.save("fit.csv")
    return store


def test_exported_runs_of_wandb_are_read_by_the_real_package(
    two: Store, here: Path, thetahat, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = thetahat("export", "wandb", "--to", "wandb")
    assert (code, out.split(";")[0]) == (0, "2 runs in wandb")
    (path, _) = sorted((here / "wandb").rglob("run-*.wandb"))
    text = read_by_the_real_package(path)
    assert [record.WhichOneof("record_type") for record in text] == [
        *("run", "history", "history", "history", "history", "summary", "files", "exit"),
    ]
    run, row, table = text[0].run, text[1].history, text[4].history
    assert (run.run_id, run.project, run.display_name) == ("id0", "p", "run-0")
    assert (run.run_group, run.job_type, list(run.tags)) == ("g", "train", ["a", "b"])
    values = {item.nested_key[0]: item.value_json for item in row.item}
    assert values == {"loss": "1.0", "val.acc": "0.0", "_step": "0"}
    assert '"nrows": 2' in {i.nested_key[0]: i.value_json for i in table.item}["policy"]


def read_by_the_real_package(path: Path) -> list:
    """The records of a file of W&B, by W&B's own classes."""
    mine = {k: sys.modules.pop(k) for k in list(sys.modules) if k.split(".")[0] == "wandb"}
    paths, finders = list(sys.path), list(sys.meta_path)
    sys.path[:] = [p for p in sys.path if not p.endswith("thetahat/wandb/path")]
    sys.meta_path[:] = [f for f in finders if not type(f).__module__.startswith("thetahat")]
    try:
        records = importlib.import_module("wandb.proto.wandb_internal_pb2")
        tail = LogTail(path)
        found = [records.Record.FromString(data) for data in tail.new()]
        assert tail.problem == ""
        return found
    finally:
        for name in [k for k in sys.modules if k.split(".")[0] == "wandb"]:
            del sys.modules[name]
        sys.modules.update(mine)
        sys.path[:], sys.meta_path[:] = paths, finders


def test_runs_come_back_from_files_of_wandb(two: Store, here: Path, thetahat) -> None:
    thetahat("export", "wandb", "--to", "wandb")
    code, out, err = thetahat("import", "wandb", "wandb", "--store", "again")
    assert code == 0, err
    assert "2 runs with 6 rows, 2 tables and 2 files" in out
    with open_store(here / "again") as again:
        for before, after in zip(two.runs(), again.runs(), strict=True):
            assert [getattr(after, n) for n in NAMES] == [getattr(before, n) for n in NAMES]
            columns = two.history(before.id)
            assert {k: v.tolist() for k, v in again.history(after.id).items()} == {
                k: v.tolist() for k, v in columns.items()
            }
            assert [t.name for t in list_tables(again, after.id)] == ["policy"]
            read = read_table(again, after.id, "policy")
            assert read["t"].tolist() == [0, 1]
            (file,) = list_files(again, after.id)
            assert file.path.read_text() == f"a\n{before.number - 1}\n"
            assert (again.run(after.id).detail or {})["logged"] == {"phase": "warm"}
    _, out, _ = thetahat("import", "wandb", "wandb", "--store", "again")
    assert "has all 2 runs already" in out


def test_exported_tables_equal_the_store(two: Store, here: Path, thetahat) -> None:
    assert thetahat("export", "runs.csv")[0] == 0
    runs = pd.read_csv("runs.csv")
    assert runs["config.lr"].tolist() == [0.1, 1.1]
    assert runs["metrics.loss"].tolist() == [run.metrics["loss"] for run in two.runs()]
    assert runs["notes"].tolist() == ["'=1+1"] * 2  # no formula for a spreadsheet
    assert thetahat("export", "p", "curves.parquet", "--history")[0] == 0
    curves = pd.read_parquet("curves.parquet")
    assert curves["loss"].tolist() == [1, 1 / 2, 1 / 3, 2, 1, 2 / 3]
    assert curves.groupby("name")["config.lr"].first().tolist() == [0.1, 1.1]
    assert thetahat("import", "csv", "runs.csv", "--store", "csv")[0] == 0
    with open_store(here / "csv") as again:
        assert [run.name for run in again.runs()] == ["run-0", "run-1"]
        first = again.runs()[0]
        assert first.config == {"lr": 0.1, "net.width": 8, "act": "relu"}
        assert first.metrics["loss"] == 1 / 3
        assert first.labels["tags"] == ["a", "b"]


def test_a_csv_of_runs_names_its_parameters(here: Path, store: Store, thetahat) -> None:
    with (here / "runs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["Name", "State", "lr", "loss"], ["a", "crashed", "1e-3", "2"]])
    assert thetahat("import", "csv", "runs.csv", "--config", "lr", "--project", "old")[0] == 0
    (run,) = store.runs()
    assert (run.config, run.metrics, run.project) == ({"lr": 1e-3}, {"loss": 2.0}, "old")
    assert str(run.status) == "interrupted"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["import", "wandb", "none"], "there is no folder none"),
        (["import", "wandb", "."], "has no run of wandb (run-*.wandb)"),
        (["import", "csv", "none.csv"], "none.csv cannot be read"),
        (["import", "csv", "some.csv", "--config", "lrr"], "no column 'lrr'; did you mean 'lr'"),
        (["export", "runs.txt"], "end the name in .csv or .parquet"),
        (["export", "x", "--to", "mlflow"], "--to=mlflow: give wandb"),
        (["exec"], "exec needs a program"),
        (["exec", "no-such-program"], "'no-such-program' cannot be started"),
    ],
)
def test_wrong_words_are_told(here: Path, thetahat, words: list[str], message: str) -> None:
    (here / "some.csv").write_text("lr,loss\n1,2\n")
    code, _, err = thetahat(*words)
    assert code == 2
    assert message in " ".join(err.split())
