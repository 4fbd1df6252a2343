"""Runs that come and go: offline runs of W&B, CSV and Parquet."""

from __future__ import annotations

import csv
import importlib
import math
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet
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


def test_logged_words_do_not_replace_what_a_run_is(client, here: Path, thetahat) -> None:
    config = {"lr": 0.1, "big": 2**100}
    with client.init(project="p", name="r", config=config, tags=["t"]) as run:
        run.log({"loss": 1.0, "id": 3.0, "name": 4.0})
        run.summary.update({"status": "done", "reason": "why", "project": "other", "tags": "zz"})
    assert thetahat("export", "runs.csv")[0] == 0
    (row,) = csv.DictReader((here / "runs.csv").read_text().splitlines())
    own = ("status", "reason", "project", "tags")
    assert [row[name] for name in own] == ["finished", "", "p", "t"]
    assert [row[f"logged.{name}"] for name in own] == ["done", "why", "other", "zz"]
    assert thetahat("import", "csv", "runs.csv", "--store", "again")[0] == 0
    with open_store(here / "again") as again:
        (run,) = again.runs()
        assert (run.name, run.project, str(run.status)) == ("r", "p", "finished")
        assert run.labels["tags"] == ["t"] and run.metrics["name"] == 4.0
        assert (again.run(run.id).detail or {})["logged"]["status"] == "done"
    # Columns of a run are not those of a metric of the same name, and no number is too large.
    for file in ("runs.parquet", "h.parquet"):
        assert thetahat("export", file, *["--history"] * (file[0] == "h"))[0] == 0
    assert pd.read_parquet("runs.parquet")["config.big"].tolist() == [str(2**100)]
    records = pd.read_parquet("h.parquet")
    assert records[["name", "metrics.id", "metrics.name"]].values.tolist() == [["r", 3.0, 4.0]]


def test_files_of_like_names_and_histograms_come_back(client, here: Path, thetahat) -> None:
    with client.init(project="p") as run:
        for name in ("a:b.txt", "a_b.txt"):
            (here / name).write_text(name)
            run.save(name)
        run.log({"h": client.Histogram(np_histogram=([1, 2], [0.0, 1.0, 2.0]))})
    assert thetahat("export", "wb", "--to", "wandb")[0] == 0
    assert thetahat("import", "wandb", "wb", "--store", "again")[0] == 0
    with open_store(here / "again") as again:
        (run,) = again.runs()
        found = [file.path.read_text() for file in list_files(again, run.id)]
        assert sorted(found) == ["a:b.txt", "a_b.txt"]
        assert [one.kind for one in list_tables(again, run.id)] == ["histogram"]
        table = {name: c.tolist() for name, c in read_table(again, run.id, "h").items()}
        assert table == {"left": [0.0, 1.0], "right": [1.0, 2.0], "count": [1, 2]}


def test_tags_with_commas_and_numbers_that_are_not_finite_come_back(
    client, here: Path, store: Store, thetahat
) -> None:
    tags = ["wage, 1976", "[x]", " a "]
    with client.init(project="p", tags=tags) as run:
        run.log({"ratio": float("inf"), "loss": 1.0})
    with client.init(project="p", tags=["[x", "y"]) as run:
        run.log({"loss": 2.0})
    for file in ("runs.csv", "runs.parquet"):
        assert thetahat("export", file)[0] == 0
    frame = pd.read_csv("runs.csv", keep_default_na=False, dtype=str)
    assert frame["metrics.ratio"].tolist() == ["nan", ""]
    ratios = pyarrow.parquet.read_table("runs.parquet")["metrics.ratio"].to_pylist()
    assert math.isnan(ratios[0]) and ratios[1] is None
    assert thetahat("import", "csv", "runs.csv", "--store", "again")[0] == 0
    with open_store(here / "again") as again:
        assert [run.labels["tags"] for run in again.runs()] == [tags, ["[x", "y"]]
        first, second = (run.metrics for run in again.runs())
    assert first["ratio"] is None and first["loss"] == 1.0
    assert "ratio" not in second and second["loss"] == 2.0


def test_runs_of_one_id_and_second_are_all_exported(
    client, here: Path, store: Store, thetahat
) -> None:
    for k in range(3):
        with client.init(project="p", id="seed/1") as run:
            run.log({"loss": float(k)})
    with store.batch() as writer:
        writer.execute("UPDATE runs SET started = :at", {"at": "2026-01-01T00:00:00.000+00:00"})
    code, out, err = thetahat("export", "wb", "--to", "wandb")
    assert code == 0, err
    assert "2 runs had the id of a later one" in out + err
    assert thetahat("import", "wandb", "wb", "--store", "again")[0] == 0
    with open_store(here / "again") as again:
        found = {float(run.metrics["loss"] or 0): run.labels["id"] for run in again.runs()}
    assert sorted(found) == [0, 1, 2] and found[2] == "seed/1"
    assert len({*found.values()}) == 3
    assert thetahat("export", "wb", "--to", "wandb")[0] == 2


def test_cells_of_a_csv_of_runs_stay_what_they_are(here: Path, store: Store, thetahat) -> None:
    (here / "runs.csv").write_text(
        "name,status,config.lr,config.zip,zip,big,reason\n"
        "a,running,0.1,007,12,1_000,\nb,error,1e-3,8,007,2,stopped by me\nc,FAILED,,,,,\n"
    )
    assert thetahat("import", "csv", "runs.csv")[0] == 0
    first, second, third = (store.run(run.id) for run in store.runs())
    states = [str(run.status) for run in (first, second, third)]
    assert states == ["interrupted", "failed", "failed"]
    assert first.config == {"lr": 0.1, "zip": "007"} and second.config == {"lr": 1e-3, "zip": "8"}
    assert (first.metrics, second.metrics) == ({}, {"big": 2.0})
    assert (first.detail or {})["logged"] == {"zip": "12", "big": "1_000"}
    assert second.reason == "stopped by me"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr,loss,loss\n1,2,3\n", "two columns 'loss'; rename one of them"),
        ("loss,metrics.loss\n1,2\n", "two columns of one meaning, 'loss' and 'metrics.loss'"),
        ("loss,status\n1,perhaps\n", "row 2 has the status 'perhaps'; give one of crashed,"),
        ("loss\n1,2\n", "row 2 has more cells than the header"),
    ],
)
def test_a_csv_of_runs_of_two_meanings_is_refused(
    here: Path, store: Store, thetahat, text: str, message: str
) -> None:
    (here / "runs.csv").write_text(text)
    code, _, err = thetahat("import", "csv", "runs.csv")
    assert code == 2 and message in " ".join(err.split())
    assert store.runs() == []


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
