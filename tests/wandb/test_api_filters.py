"""Filters and orders of wandb.Api: the rules of MongoDB, and the names of W&B's summaries."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from thetahat.analysis import again
from thetahat.store import Store, list_sweeps

# The rules are a function of their own; the error is wandb's, which has no name of ours.
from thetahat.wandb._conditions import holds
from thetahat.wandb._errors import CommError

FIELDS: list[list[Any]] = [
    [1],  # 0
    [True],  # 1
    ["1"],  # 2
    [None],  # 3
    [],  # 4: a run without the field
    [[1, 2]],  # 5
    [{"y": 3}],  # 6
    [0.0],  # 7
    [False],  # 8
    ["abc"],  # 9
    [[]],  # 10
    [[5, "abc", None]],  # 11
    [float("nan")],  # 12
]
EVERY = set(range(len(FIELDS)))


@pytest.mark.parametrize(
    ("condition", "passing"),
    [
        # The pages "Comparison Query Operators" and "Query an Array" of MongoDB's manual.
        (1, {0, 5}),
        ({"$eq": 1.0}, {0, 5}),
        (np.int64(1), {0, 5}),
        (True, {1}),
        (False, {8}),
        (0, {7}),
        ("1", {2}),
        ("abc", {9, 11}),
        (None, {3, 4, 11}),
        ([1, 2], {5}),
        ([2, 1], set()),
        ([True, 2], set()),
        ([], {10}),
        ({"y": 3}, {6}),
        ({"y": True}, set()),
        (float("nan"), {12}),
        ({"$ne": 1}, EVERY - {0, 5}),
        ({"$ne": None}, EVERY - {3, 4, 11}),
        ({"$gt": 0}, {0, 5, 11}),
        ({"$gte": 2}, {5, 11}),
        ({"$lt": 1}, {7}),
        ({"$lte": 1}, {0, 5, 7}),
        ({"$gt": False}, {1}),
        ({"$gt": "1"}, {9, 11}),
        ({"$lt": "b"}, {2, 9, 11}),
        ({"$gte": None}, {3, 4, 11}),
        ({"$gt": None}, set()),
        ({"$gt": [1]}, {5, 11}),
        ({"$in": [1, "abc"]}, {0, 5, 9, 11}),
        ({"$in": [True]}, {1}),
        ({"$in": [None]}, {3, 4, 11}),
        ({"$in": []}, set()),
        ({"$nin": [1, None]}, EVERY - {0, 3, 4, 5, 11}),
        ({"$all": [1, 2]}, {5}),
        ({"$all": []}, set()),
        ({"$exists": True}, EVERY - {4}),
        ({"$exists": False}, {4}),
        ({"$regex": "^a"}, {9, 11}),
        ({"$regex": "B", "$options": "i"}, {9, 11}),
        ({"$not": {"$gt": 0}}, EVERY - {0, 5, 11}),
        ({"$not": {"$regex": "b"}}, EVERY - {9, 11}),
        ({"$gt": 0, "$lt": 2}, {0, 5}),
        ({"$gt": 1, "$lt": 2}, {5}),  # of a list: one item passes one, another the other
    ],
    ids=str,
)
def test_a_condition_is_that_of_mongodb(condition: Any, passing: set[int]) -> None:
    assert {k for k, found in enumerate(FIELDS) if holds(found, condition)} == passing


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"$size": 2}, r"the operator '\$size' is not answered"),
        ({"$gt": 1, "x": 2}, "the operator 'x' is not answered"),
        ({"$in": "abc"}, r"\$in takes a list; got 'abc'"),
        ({"$nin": 1}, r"\$nin takes a list"),
        ({"$all": "abc"}, r"\$all takes a list"),
        ({"$gt": {"y": 1}}, r"\$gt does not compare with the mapping"),
        ({"$not": 1}, r"\$not takes a condition"),
        ({"$regex": "("}, "no regular expression"),
        ({"$regex": "a", "$options": "q"}, r"\$options letters of imsx"),
        ({"$options": "i"}, r"\$options is for \$regex"),
        ({"$eq": {1, 2}}, "a filter cannot compare with"),
    ],
    ids=str,
)
def test_a_condition_that_is_not_answered_is_refused_by_its_name(condition, message) -> None:
    with pytest.raises(CommError, match=message):
        holds([1], condition)


def names(runs: Any) -> list[str]:
    return [run.id for run in runs]


@pytest.fixture
def three(client: Any, store: Store) -> Any:
    """The API of a store with three runs of the project p, all of which are called ``base``."""
    for k in range(3):
        config = {"n": k % 2, "lr": [0.1, True, "0.1"][k], "nets": [{"units": k}, {"units": 9}]}
        with client.init(project="p", id=f"r{k}", name="base", config=config) as run:
            run.log({"val.rmse": 9.0 + k, "val/r2": 0.5, "train": {"loss": 2.0 - k}})
            run.summary["note"] = {"x": "t"}
    return client.Api()


def test_a_summary_has_the_names_that_were_logged(three: Any, client: Any) -> None:
    (run, *_) = three.runs("p")
    logged = {k: v for k, v in dict(run.summary).items() if k[0] != "_"}
    assert logged == {"val.rmse": 9, "val/r2": 0.5, "train": {"loss": 2}, "note": {"x": "t"}}
    assert json.loads(json.dumps(run.summary._json_dict))["val.rmse"] == 9
    assert run.summary.get("val.rmse") == run.summary["val"]["rmse"] == 9
    assert run.summary["train.loss"] == run.summary["train"]["loss"] == 2
    assert "val.mae" not in run.summary
    assert run.summary.get("train.mae", 7) == 7
    frame = run.history(keys=["val.rmse", "val/r2"])
    assert frame.to_dict("list") == {"_step": [0], "val.rmse": [9], "val/r2": [0.5]}
    assert list(run.scan_history(keys=["train.loss"])) == [{"train.loss": 2}]
    for name in ("val.rmse", "val/r2", "train.loss", "note.x"):
        assert len(three.runs("p", {f"summary_metrics.{name}": {"$exists": True}})) == 3, name
    assert names(three.runs("p", {"summary_metrics.val.rmse": {"$gt": 9.5}})) == ["r1", "r2"]


def test_runs_of_one_name_keep_it(three: Any, client: Any) -> None:
    assert [run.name for run in three.runs("p", {"display_name": "base"})] == ["base"] * 3
    assert len(three.runs("p", {"displayName": {"$regex": "^base$"}})) == 3
    with client.init(project="p", id="late") as run:
        run.name = "base"
        assert run.name == "base"
    assert len(client.Api().runs("p", {"display_name": "base"})) == 4
    with client.init(project="p", id="late", resume="must") as run:
        run.name = "other"
    found = client.Api().runs("p", {"display_name": "other"})
    assert names(found) == ["late"]
    assert found[0].display_name == "other"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"config.lr": True}, [1]),
        ({"config.lr": {"$gt": 0}}, [0]),
        ({"config.nets.units": 2}, [2]),
        ({"config.nets.0.units": 1}, [1]),
        ({"config.nets.value.units": 0}, [0]),
        ({"$and": []}, [0, 1, 2]),
        ({"$and": [{"config.n": 0}, {"summary_metrics.train.loss": {"$lt": 1}}]}, [2]),
        ({"$nor": [{"config.n": 1}, {"name": "r0"}]}, [2]),
        ({"$or": [{"config.n": 1}, {"name": {"$in": ["r0"]}}]}, [0, 1]),
        ({"$not": {"config.n": 1}}, [0, 2]),
        ({"tags": {"$ne": "a"}, "entity": "local"}, [0, 1, 2]),
    ],
)
def test_runs_that_pass(three: Any, filters: dict[str, Any], found: list[int]) -> None:
    assert names(three.runs("p", filters)) == [f"r{k}" for k in found]


def test_filters_and_orders_that_are_not_answered_are_refused(three: Any) -> None:
    for filters, message in [
        ({"$or": []}, r"\$or takes a list of filters"),
        ({"$nor": {"config.n": 1}}, r"\$nor takes a list of filters"),
        ({"$where": "1"}, r"the operator '\$where' is not answered"),
        ({"config.n": 7, "stat": "failed"}, "the filter 'stat' .* did you mean 'state'"),
        ({"created_at": {"$gt": "yesterday"}}, "compared with 'yesterday'; give ISO text"),
    ]:
        with pytest.raises(CommError, match=message):
            three.runs("p", filters)
    with pytest.raises(CommError, match=r"it is a mapping; .* summary_metrics.train.loss"):
        three.runs("p", order="+summary_metrics.train")
    for error in (ValueError, CommError):  # W&B raises the first
        with pytest.raises(error, match="has no project 'q'"):
            three.runs("q")
    (run, *_) = three.runs("p")
    with pytest.raises(ValueError, match="list of strings; got 'val.rmse'"):
        run.history(keys="val.rmse")
    with pytest.raises(CommError, match="no clock of each row, so no _timestamp"):
        run.history(keys=["val.rmse"], x_axis="_timestamp")


def test_runs_are_filtered_by_their_time(three: Any) -> None:
    run = three.runs("p")[1]
    began = datetime.fromisoformat(run.began).astimezone(UTC)
    for wanted in (run.created_at, began, began.replace(tzinfo=None)):
        assert "r1" in names(three.runs("p", {"created_at": wanted})), wanted
        assert "r1" in names(three.runs("p", {"createdAt": {"$lte": wanted, "$gte": wanted}}))
    east = began.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+05:00").tzinfo)
    for later in (began + timedelta(seconds=90), "2999-01-01", east + timedelta(microseconds=1)):
        assert "r1" not in names(three.runs("p", {"created_at": {"$gte": later}})), later
        assert "r1" in names(three.runs("p", {"created_at": {"$lt": later}})), later
    assert len(three.runs("p", {"created_at": {"$gt": "2020-01-01"}})) == 3


def test_runs_are_ordered_by_values_of_their_type(three: Any, client: Any, capsys) -> None:
    assert names(three.runs("p", order="+summary_metrics.val.rmse")) == ["r0", "r1", "r2"]
    assert names(three.runs("p", order="summary_metrics.train.loss")) == ["r2", "r1", "r0"]
    assert names(three.runs("p", order="+config.lr")) == ["r0", "r2", "r1"]
    assert names(three.runs("p", order="-config.nets.value.units")) == ["r0", "r1", "r2"]
    assert names(three.runs("p", order="+config.n,-summary_metrics.val.rmse")) == ["r2", "r0", "r1"]
    assert names(three.runs("p", order=["-config.n", "-created_at"])) == ["r1", "r2", "r0"]
    assert names(three.runs("p", order="-created_at", per_page=1)) == ["r2", "r1", "r0"]
    assert names(three.runs("p", order="")) == ["r0", "r1", "r2"]
    assert "order" not in capsys.readouterr().err
    assert names(three.runs("p", order="-summary_metrics.los")) == ["r0", "r1", "r2"]
    assert "no run has summary_metrics.los" in capsys.readouterr().err
    runs = three.runs("p")
    assert (len(runs), names(runs[1:]), runs[-1].id) == (3, ["r1", "r2"], "r2")
    assert [next(runs).id, runs.next().id] == ["r0", "r1"]
    assert names(itertools.chain(runs, runs)) == ["r0", "r1", "r2"] * 2


def test_the_best_run_is_best_by_the_summary_that_was_defined(client: Any, store: Store) -> None:
    def train() -> None:
        with client.init() as run:
            run.define_metric("loss", summary="min")
            run.define_metric("val/*", summary="min,max")
            for loss in ([12.0, 9.0], [11.0, 10.0])[run.config.x]:
                run.log({"loss": loss, "val/a": loss, "err": 1.0, "err.max": 2.0})

    metric = {"name": "loss", "goal": "minimize"}
    parameters = {"x": {"values": [0, 1]}}
    spec = {"method": "grid", "metric": metric, "parameters": parameters}
    id_ = client.sweep(spec, project="s")
    client.agent(id_, function=train)
    api = client.Api()
    sweep = api.sweep(id_)
    assert [run.summary["loss"] for run in sweep.runs] == [{"min": 9}, {"min": 10}]
    assert sweep.runs[1].summary["val/a"] == {"min": 10, "max": 11}
    assert sweep.runs[0].summary["err"] == 1  # the program's own err.max is no summary of it
    assert sweep.runs[0].summary["err.max"] == 2

    def at(runs: Any) -> list[int]:
        return [run.config["x"] for run in runs]

    for key in ("loss", "loss.min", "val/a.min"):
        assert at(api.runs("s", order=f"+summary_metrics.{key}")) == [0, 1], key
        assert at(api.runs("s", {f"summary_metrics.{key}": {"$lt": 9.5}})) == [0], key
    assert at(api.runs("s", order="-summary_metrics.val/a.max")) == [0, 1]
    for order, best in [(None, 0), ("+val/a", 0), ("-val/a", 0), ("loss", 1), ("-loss.min", 1)]:
        assert at([sweep.best_run(order)]) == [best], order
    with pytest.raises(CommError, match=r"val/a keeps min, max; name one of them"):
        api.runs("s", order="+summary_metrics.val/a")
    row = store.runs()[0]
    assert again(row, list_sweeps(store)[0]) == []  # a function has no command
    with pytest.raises(CommError, match=r"such as summary_metrics.val/a.min"):
        api.runs("s", {"summary_metrics.val/a": {"$lt": 9.5}})
    run = sweep.runs[0]
    run.config["x"] = 5
    with pytest.raises(CommError, match="the sweep proposed x"):
        run.update()
    run = client.Api().sweep(id_).runs[0]
    del run.config["x"]
    with pytest.raises(CommError, match="the sweep proposed x"):
        run.update()
    run = client.Api().sweep(id_).runs[0]
    run.config["more"] = 1
    run.update()
    assert client.Api().run(run.storage_id).config == {"x": 0, "more": 1}


def test_what_is_taken_out_of_a_run_is_gone(client: Any, store: Store) -> None:
    config = {"lr": 0.1, "flag": True, "net": {"depth": 2, "width": 8}}
    with client.init(project="p", config=config, tags=["x"], notes="n", group="g") as made:
        made.log({"loss": 3.0, "word": "yes", "val": {"rmse": 1.0, "note": "a"}})

    def again() -> Any:
        return client.Api().run(made.id)

    run = again()
    run.tags, run.notes, run.group = [], None, ""
    del run.config["flag"], run.config["net"]["width"]
    run.config["lr"] = 1
    run.update()
    assert (again().tags, again().notes, again().group) == ([], None, None)
    assert again().config == {"lr": 1, "net": {"depth": 2}}
    run = again()
    run.summary.update({"word": 3.5, "loss": "diverged", "val": {"rmse": 2.0}, "step": 4})
    run.summary["nan"] = float("nan")
    run = again()
    found = {k: v for k, v in dict(run.summary).items() if k[0] != "_" and k != "nan"}
    assert found == {"word": 3.5, "loss": "diverged", "val": {"rmse": 2}, "step": 4}
    assert np.isnan(run.summary["nan"])
    run.summary["loss"] = 0.25
    run.summary["val"]["rmse"] = 0.5
    del run.summary["word"]
    run.summary.update()
    found = {k: v for k, v in dict(again().summary).items() if k[0] != "_" and k != "nan"}
    assert found == {"loss": 0.25, "val": {"rmse": 0.5}, "step": 4}
