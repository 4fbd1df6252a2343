"""wandb.Api on the local store: what figure scripts read equals what the store holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from thetahat.store import Store, list_tables, open_store, read_table, stack_tables

OWN_PYTHONS = True
"""Programs of the sweep start as users start them."""

SWEEP = """\
program: solve.py
name: asset_pricing_ensemble
method: grid
metric: {name: hpo_objective}
parameters:
  tags: {value: [asset_pricing_ensemble]}
  seed: {min: 1, max: 3}
"""
SOLVE = """\
import argparse, math, random

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--tags")
parser.add_argument("--seed", type=int)
args = parser.parse_args()
config = {"beta": 0.9, "test_T": 5, "seed": args.seed, "ml_model": {"layers": 4}}
run = wandb.init(project="transversality_examples", config=config, tags=["asset_pricing_ensemble"])
draw = random.Random(args.seed)
for step in range(4):
    run.log({"train_loss": draw.random() / (step + 1), "trainer/global_step": 10 * step})
run.log({"early_stopping_check_failed": False, "retcode": 0})
run.log({"convergence_description": "Success", "hpo_objective": draw.random()})
rows = [[t, 0.9**t * draw.random(), 0.9**t] for t in range(5)]
run.log({"test_results": wandb.Table(columns=["t", "p_t", "p_f_t"], data=rows)})
"""
TO_PROJECT = ("--project", "deep_learning_transversality")
PROJECT = "highdimensionaleconlab/deep_learning_transversality"


QUANTILES: Any = [0.1, 0.5, 0.9]


def results_by_tag(api: Any, tag: str) -> pd.DataFrame:
    """Tables, summaries and configs of all runs of a tag, as figure scripts gather them."""
    frame = pd.DataFrame()
    runs = api.runs(PROJECT, filters={"tags": tag})
    for i in range(min(len(runs), 1000)):
        run = runs[i]
        columns = {"id": run.id, "name": run.name, **dict(run.summary), **dict(run.config)}
        for name in ("test_results", "_wandb", "tags", "ml_model"):
            if columns.get(name) is not None:
                del columns[name]
        table = api.artifact(f"{PROJECT}/run-{run.id}-test_results:v0").get("test_results")
        rows = pd.DataFrame(data=table.data, columns=table.columns)
        for name, value in columns.items():
            rows[name] = value
        frame = pd.concat([frame, rows], ignore_index=True)
    return frame


def test_arrays_of_a_figure_script_equal_those_of_the_store(client, here: Path, thetahat) -> None:
    (here / "sweep.yaml").write_text(SWEEP)
    (here / "solve.py").write_text(SOLVE)
    code, _, err = thetahat("sweep", "sweep.yaml", "--run", "--workers", "2", *TO_PROJECT)
    assert code == 0, err
    read = results_by_tag(client.Api(), "asset_pricing_ensemble")
    with open_store(here / ".thetahat") as store:
        runs = store.runs()
        stacked = stack_tables(store, str(runs[0].sweep_id), "test_results")
        kept = pd.DataFrame({"id": np.array(stacked.runs)[stacked.places], **stacked.columns})
        assert len(kept) == 15
        metrics = pd.DataFrame([{"id": r.id, **r.metrics, **r.config} for r in runs])
    both = read.merge(kept, on=["id", "t"], suffixes=("", "_kept"))
    assert both["p_t"].tolist() == both["p_t_kept"].tolist()
    for column in ("hpo_objective", "train_loss", "beta", "seed"):
        assert read.groupby("id")[column].first().to_dict() == dict(
            zip(metrics["id"], metrics[column], strict=True)
        )
    bands = read.groupby("t")["p_t"].quantile(QUANTILES).unstack()
    assert bands.equals(kept.groupby("t")["p_t"].quantile(QUANTILES).unstack())
    assert set(read["convergence_description"]) == {"Success"}
    assert read["early_stopping_check_failed"].tolist() == [False] * 15


@pytest.fixture
def four(client: Any, store: Store) -> Any:
    """The API of a store with four runs of the project p; the last has failed."""
    for k, tags in enumerate((["a"], ["a", "b"], [], ["b"])):
        run = client.init(
            project="p",
            name=f"run-{k}",
            tags=tags,
            group=f"g{k % 2}",
            config={"lr": k / 10, "n": {"d": k}},
        )
        for step in range(3):
            run.log({"loss": 1.0 / (k + step + 1), **({"acc": step} if step else {})})
        run.summary["note"] = f"word {k}"
        run.finish(exit_code=int(k == 3))
    return client.Api()


def names(runs: Any) -> list[str]:
    return [run.name for run in runs]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"tags": "a"}, [0, 1]),
        ({"tags": {"$in": ["b"]}}, [1, 3]),
        ({"tags": {"$all": ["a", "b"]}}, [1]),
        ({"config.lr": {"$gt": 0.0, "$lte": 0.2}}, [1, 2]),
        ({"config.lr": 0.3, "state": "failed"}, [3]),
        ({"config.n.d": 2}, [2]),
        ({"config.lr.value": 0.1}, [1]),
        ({"group": "g1", "state": {"$ne": "failed"}}, [1]),
        ({"$or": [{"display_name": "run-0"}, {"display_name": {"$regex": "3$"}}]}, [0, 3]),
        ({"summary_metrics.loss": {"$lt": 0.2}}, [3]),
        ({"config.none": {"$exists": False}, "summary_metrics.note": "word 2"}, [2]),
        ({"$nor": [{"tags": "a"}, {"tags": "b"}]}, [2]),
    ],
)
def test_runs_are_filtered_as_mongodb_filters(four, filters: dict[str, Any], found: list[int]):
    assert names(four.runs("me/p", filters)) == [f"run-{k}" for k in found]


def test_runs_are_ordered(four) -> None:
    assert names(four.runs("p", order="-summary_metrics.loss")) == [f"run-{k}" for k in range(4)]
    assert names(four.runs("p", order="-config.lr"))[:2] == ["run-3", "run-2"]
    assert names(four.runs("p", order="-created_at"))[0] == "run-3"


def test_history_of_a_run(four, client) -> None:
    run = four.runs("p")[1]
    again = four.run(f"me/p/{run.id}")
    frame = again.history()
    assert frame["_step"].tolist() == [0, 1, 2]
    assert frame["loss"].tolist() == [1 / 2, 1 / 3, 1 / 4]
    assert np.isnan(frame["acc"][0])
    assert list(run.scan_history(keys=["acc", "loss"])) == [
        {"acc": 1, "loss": 1 / 3},
        {"acc": 2, "loss": 1 / 4},
    ]
    assert run.history(keys=["acc"], pandas=False) == [
        {"_step": 1, "acc": 1},
        {"_step": 2, "acc": 2},
    ]
    assert run.history(samples=2)["_step"].tolist() == [0, 2]
    assert (run.lastHistoryStep, run.summary["note"], run.summary["_step"]) == (2, "word 1", 2)
    run.tags.append("late")
    run.update()
    assert four.run(run.id).tags == ["a", "b", "late"]
    assert names(four.runs("p", {"tags": "late"})) == ["run-1"]


def test_artifacts_have_versions_and_come_back(client, here: Path, store: Store) -> None:
    (here / "w.txt").write_text("one")
    for k, text in enumerate(("one", "one", "two")):
        (here / "w.txt").write_text(text)
        with client.init(project="p", name=f"maker-{k}") as run:
            made = client.Artifact("weights", type="model", metadata={"k": k})
            made.add_file("w.txt")
            run.log_artifact(made, aliases=["best"] if k == 0 else [])
            assert made.wait().version == f"v{[0, 0, 1][k]}"
    api = client.Api()
    with client.init(project="p", name="user") as run:
        latest = run.use_artifact("weights:latest")
    assert (latest.name, latest.metadata) == ("weights:v1", {"k": 2})
    assert (Path(latest.download()) / "w.txt").read_text() == "two"
    first = api.artifact("me/p/weights:best", type="model")
    assert (first.version, Path(first.get_entry("w.txt").download("d")).read_text()) == (
        "v0",
        "one",
    )
    assert [run.name for run in api.artifact("p/weights:v1").used_by()] == ["user"]
    assert [one.name for one in four_artifacts(api)] == ["weights:v0"]
    with pytest.raises(client.errors.CommError, match="no artifact 'p/weight:v0'; did you mean"):
        api.artifact("p/weight:v0")


def four_artifacts(api: Any) -> list[Any]:
    (run,) = api.runs("p", {"display_name": "maker-0"})
    return run.logged_artifacts()


def test_files_are_listed_and_downloaded(client, here: Path, store: Store) -> None:
    (here / "out").mkdir()
    (here / "out" / "fit.csv").write_text("a,b\n")
    with client.init(project="p") as run:
        run.save("out/*.csv")
        (here / "out" / "fit.csv").write_text("a,b\n1,2\n")  # kept again at the end
        run.log({"page": client.Html("<b>x</b>"), "loss": 1})
    found = client.Api().run(run.id)
    assert sorted(file.name for file in found.files()) == ["out/fit.csv", "page.html"]
    with found.file("out/fit.csv").download(root="copy") as copy:
        assert copy.read() == "a,b\n1,2\n"
    with pytest.raises(ValueError, match="already exists"):
        found.file("out/fit.csv").download(root="copy")
    with client.restore("out/fit.csv", run_path=run.path, root=str(here / "back")) as back:
        assert back.read() == "a,b\n1,2\n"


def test_a_table_and_a_frame_come_back_as_they_were(client, store: Store) -> None:
    frame = pd.DataFrame(
        {"k": [0.5, np.nan], "n": [1, 2], "word": ["a", None], "on": [True, False]}
    )
    with client.init() as run:
        run.log({"policy": client.Table(dataframe=frame)})
        run.log({"policy": frame})
    (table, _) = list_tables(store, run.id)
    assert list(read_table(store, run.id, "policy", table.step)) == list(frame)
    first, second = client.Api().run(run.id).logged_artifacts()
    assert (first.name, second.aliases) == (f"run-{run.id}-policy:v0", ["latest"])
    pd.testing.assert_frame_equal(first.get("policy").get_dataframe(), frame, check_dtype=False)


def test_a_run_is_resumed_by_its_id(client, store: Store) -> None:
    with client.init(id="exp-1", project="p", config={"lr": 1}) as run:
        run.log({"loss": 2.0})
    with client.init(id="exp-1", resume="must", config={"more": 2}) as run:
        assert (run.resumed, run.config["lr"], run.step) == (True, 1, 1)
        run.log({"loss": 1.0})
    (row,) = store.runs()
    assert (row.config, row.metrics["loss"]) == ({"lr": 1, "more": 2}, 1.0)
    assert store.history(row.id)["loss"].tolist() == [2.0, 1.0]
    with pytest.raises(client.UsageError, match="has no run 'exp-9'"):
        client.init(id="exp-9", resume="must")
    with pytest.raises(client.UsageError, match="there is a run 'exp-1'"):
        client.init(id="exp-1", resume="never")
