"""Runs: names, ids, configs of any kind, listings, filters, sorting."""

from __future__ import annotations

import json
import math
import re
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from thetahat.core import ConfigError, Status, StoreError
from thetahat.core.json import from_json, to_json
from thetahat.store import (
    Condition,
    NewSweep,
    Store,
    create_sweep,
    has_more_runs,
    metric_series,
    open_store,
    read_condition,
    runs_stand,
    value_of,
)

# Ids and names are tested by the thousand, without a run each.
from thetahat.store._rows import new_id
from thetahat.store._run_names import ADJECTIVES, NOUNS, run_name


class Colour(Enum):
    RED = "red"


def test_names_are_memorable_fixed_and_never_given_twice() -> None:
    names = [run_name(n) for n in range(1, 20_001)]
    assert len(set(names)) == 20_000
    assert names[:3] == ["bright-magnolia-1", "mild-sun-2", "ample-dune-3"]
    assert all(re.fullmatch(r"[a-z]+-[a-z]+-[0-9]+", name) for name in names)
    pairs = {name.rpartition("-")[0] for name in names}
    assert len(pairs) == 20_000
    assert len(set(ADJECTIVES)) == len(ADJECTIVES) >= 150
    assert len(set(NOUNS)) == len(NOUNS) >= 150


def test_ids_are_short_and_never_look_like_a_number() -> None:
    ids = {new_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert all(re.fullmatch(r"[a-z][0-9a-z]{7}", i) for i in ids)


def test_a_new_run_is_running_and_named(store: Store) -> None:
    first = store.create_run({"lr": 0.1}, experiment="wages.mlp", n_params=7, max_epochs=50)
    second = store.create_run()
    assert (first.name, second.name) == ("bright-magnolia-1", "mild-sun-2")
    assert first.status is Status.RUNNING
    assert (first.n_params, first.max_epochs, first.attempt) == (7, 50, 1)
    assert first.created.endswith("+00:00")
    assert first.started == first.heartbeat == first.created
    assert first.finished is None


def test_a_taken_name_gets_its_number(store: Store) -> None:
    names = [store.create_run(name="ols").name for _ in range(3)]
    assert names == ["ols", "ols-2", "ols-3"]


def test_a_given_name_never_takes_a_later_one(store: Store) -> None:
    store.create_run(name=run_name(2))
    assert store.create_run().name == run_name(2) + "-2"


def test_the_listing_is_what_other_programs_rely_on(store: Store) -> None:
    run = store.create_run({"lr": 0.1, "widths": (8, 8)}, agent="box-1")
    store.finish_run(
        run.id,
        status="finished",
        reason="all epochs done",
        epochs=10,
        metrics={"val_risk": 0.5, "test_risk": math.nan},
        seconds={"compile": 1.0, "run": 2.5},
    )
    assert [r.listing() for r in store.runs()] == [
        {
            "id": run.id,
            "name": "bright-magnolia-1",
            "config": {"lr": 0.1, "widths": [8, 8]},
            "metrics": {"val_risk": 0.5, "test_risk": None},
            "status": "finished",
            "reason": "all epochs done",
            "epochs": 10,
            "seconds": 3.5,
            "agent": "box-1",
            "contaminated": False,
            "attempt": 1,
        }
    ]


def test_nan_and_infinity_are_never_numbers_in_the_table(store: Store) -> None:
    run = store.create_run({"bound": math.inf})
    store.finish_run(run.id, status="diverged", metrics={"a": math.inf, "b": -math.inf, "c": 1.0})
    with store._engine.connect() as raw:
        config, metrics = raw.exec_driver_sql("SELECT config, metrics FROM runs").one()
    assert json.loads(metrics) == {"a": None, "b": None, "c": 1.0}
    assert json.loads(config) == {"bound": "inf"}


def test_the_encoding_of_values() -> None:
    value = {
        "none": None,
        "yes": True,
        "whole": np.int64(3),
        "half": np.float32(0.5),
        "array": np.array([[1.0, np.nan]]),
        "path": Path("a") / "b",
        "enum": Colour.RED,
        "function": math.sqrt,
        "type": Colour,
        "set": {"b", "a"},
        "object": object(),
        3: "key",
        "status": Status.FINISHED,
        "big": 2**80,
    }
    assert from_json(to_json(value)) == {
        "none": None,
        "yes": True,
        "whole": 3,
        "half": 0.5,
        "array": [[1.0, "nan"]],
        "path": str(Path("a") / "b"),
        "enum": "red",
        "function": "math.sqrt",
        "type": f"{__name__}.Colour",
        "set": ["a", "b"],
        "object": "<object object>",
        "3": "key",
        "status": "finished",
        "big": 2**80,
    }


texts = st.text(max_size=30)
leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
trees = st.recursive(
    leaves | texts, lambda t: st.lists(t, max_size=4) | st.dictionaries(texts, t, max_size=4)
)


@given(st.dictionaries(texts, trees, max_size=5))
def test_json_values_come_back_as_they_were(value: dict[str, object]) -> None:
    assert from_json(to_json(value)) == value


@pytest.mark.parametrize(
    "name", ["naïve Ω 日本 😀", "'; DROP TABLE runs; --", "a\nb\x1b[31m", "\ud800"]
)
def test_any_text_goes_in_and_comes_out(store: Store, name: str) -> None:
    run = store.create_run({name: name}, name=name, source=name, command=name)
    kept = name.encode("utf-8", "backslashreplace").decode()
    assert (run.name, run.source, run.command) == (kept, kept, kept)
    assert dict(run.config) == {name: name}
    assert store.run(kept).id == run.id


def test_a_folder_of_any_name(tmp_path: Path) -> None:
    with open_store(tmp_path / "é 日本 % ? # &") as store:
        store.create_run()
        assert store.path.is_file()
    with open_store(tmp_path / "é 日本 % ? # &", create=False) as store:
        assert len(store.runs()) == 1


def test_a_checkpoint_inside_the_store_moves_with_it(tmp_path: Path) -> None:
    with open_store(tmp_path / "old") as store:
        inside = store.create_run(checkpoint=str(store.folder / "checkpoints" / "c.ckpt"))
        outside = store.create_run(checkpoint=str(tmp_path / "c.ckpt"))
        assert inside.checkpoint == str(tmp_path / "old" / "checkpoints" / "c.ckpt")
    (tmp_path / "old").rename(tmp_path / "new")
    with open_store(tmp_path / "new") as store:
        moved = tmp_path / "new" / "checkpoints" / "c.ckpt"
        assert store.run(inside.id).checkpoint == str(moved)
        assert store.run(outside.id).checkpoint == str(tmp_path / "c.ckpt")


def fill(store: Store) -> None:
    for i, (lr, status) in enumerate([(0.1, "finished"), (0.01, "failed"), (1.0, "finished")]):
        run = store.create_run({"lr": lr, "act": "relu", "flag": lr > 0.5}, experiment=f"e{i % 2}")
        metrics = {} if status == "failed" else {"val_risk": lr / 2}
        store.finish_run(run.id, status=status, epochs=i, metrics=metrics, seconds={"run": 3.0 - i})


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        ("status=finished", [1, 3]),
        ("status!=finished", [2]),
        ("val_risk<0.1", [1]),
        ("val_risk>=0.05", [1, 3]),
        ("metrics.val_risk<=0.5", [1, 3]),
        ("config.lr>=0.1", [1, 3]),
        ("lr = 0.01", [2]),
        ("lr==1", [3]),
        ("act=relu", [1, 2, 3]),
        ("name~SUN", [2]),
        ("seconds<2.5", [2, 3]),
        ("seconds.run>2.5", [1]),
        ("flag=true", [3]),
        ("flag=False", [1, 2]),
        ("val_risk=null", [2]),
        ("epochs>0", [2, 3]),
    ],
)
def test_conditions(store: Store, condition: str, numbers: list[int]) -> None:
    fill(store)
    assert [run.number for run in store.runs(where=[read_condition(condition)])] == numbers


def test_conditions_are_read() -> None:
    assert read_condition("config.lr>=1e-2") == Condition("config.lr", ">=", 0.01)
    assert read_condition(" note = a = b ") == Condition("note", "=", "a = b")
    assert read_condition("name~<b>") == Condition("name", "~", "<b>")
    assert read_condition("name=") == Condition("name", "=", "")


@pytest.mark.parametrize("text", ["finished", "lr>>1", "lr=>1", "lr=<1", "lr<", "name=~otter"])
def test_slips_are_no_conditions(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_condition(text)
    assert str(caught.value) == (
        f"{text!r} is not a condition; write a column, one of = != < <= > >= ~ and a value,"
        " such as 'status=finished' or 'config.lr>=0.01'"
    )


def test_sorting_puts_what_has_no_value_last(store: Store) -> None:
    fill(store)
    assert [run.number for run in store.runs(sort="val_risk")] == [1, 3, 2]
    assert [run.number for run in store.runs(sort="-val_risk")] == [3, 1, 2]
    assert [run.number for run in store.runs(sort="-lr", limit=2)] == [3, 1]
    assert [run.number for run in store.runs(sort="-number")] == [3, 2, 1]
    assert [run.number for run in store.runs(sort="number", limit=1)] == [1]


def test_filters_by_column(store: Store) -> None:
    fill(store)
    assert [run.number for run in store.runs(experiment="e0")] == [1, 3]
    assert [run.number for run in store.runs(status="failed")] == [2]
    assert store.runs(experiment="none") == []


def test_listings_do_not_read_provenance_and_say_so(store: Store) -> None:
    run = store.create_run(provenance={"git": None})
    assert store.runs()[0].provenance is None
    assert store.run(run.id).provenance == {"git": None}


@pytest.mark.parametrize("where", [{"sort": "val_rsk"}, {"where": [Condition("val_rsk", "<", 1)]}])
def test_an_unknown_column_is_answered_with_the_nearest(store: Store, where: dict) -> None:
    fill(store)
    with pytest.raises(ConfigError) as caught:
        store.runs(**where)
    assert str(caught.value) == "no run has a column 'val_rsk'; did you mean 'val_risk'?"


def test_value_of_prefers_own_columns_then_metrics_then_config(store: Store) -> None:
    run = store.create_run({"epochs": 500, "loss": "huber", "deep": {"a": 1}, "x.y": 2})
    store.finish_run(run.id, status="finished", epochs=7, metrics={"loss": 0.5})
    seen = store.run(run.id)
    asked = ["epochs", "config.epochs", "loss", "config.loss", "config.deep.a", "x.y", "none"]
    assert [value_of(seen, name) for name in asked] == [7, 500, 0.5, "huber", 1, 2, None]


def test_runs_are_found_by_id_name_beginning_and_last(store: Store) -> None:
    fill(store)
    first = store.runs()[0]
    for name in (first.id, first.name, first.id[:7], "bright"):
        assert store.run(name).id == first.id
    assert store.run("last").number == 3


def test_unknown_and_ambiguous_names(store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        store.run("bright-magnolia-1")
    assert (
        str(caught.value) == f"no run 'bright-magnolia-1': the store {store.path} has no runs yet"
    )
    fill(store)
    for _ in range(2):
        store.create_run(name="ols")
    with pytest.raises(StoreError) as caught:
        store.run("mild-son-2")
    assert str(caught.value) == (
        f"the store {store.path} has no run 'mild-son-2'; did you mean 'mild-sun-2'?"
    )
    with pytest.raises(StoreError) as caught:
        store.run("!!!!")
    assert str(caught.value) == (
        f"the store {store.path} has no run '!!!!'; the latest are ols-5, ols, ample-dune-3"
    )
    with pytest.raises(StoreError) as caught:
        store.run("ol")
    assert str(caught.value) == "'ol' could be any of 2 runs: ols-5, ols; give more of the name"


def test_a_run_is_found_by_the_id_that_its_program_gave(store: Store) -> None:
    for labels in ({"id": "mine"}, {"id": "Zürich-7", "project": "a"}, {"tags": ["mine"]}):
        store.create_run(labels=labels)
    first, second, third = sorted(store.runs(), key=lambda run: run.number)
    assert store.run("mine").id == first.id and store.run("Zürich-7").id == second.id
    named = store.create_run(name="mine")
    assert store.run("mine").id == named.id, "a name counts before it"
    assert store.run(third.name[:-1]).id == third.id
    store.create_run(labels={"id": "Zürich-7", "project": "b"})
    with pytest.raises(StoreError, match="2 runs have the id 'Zürich-7': .*; give a name"):
        store.run("Zürich-7")


def test_notices_stay_with_their_run(store: Store) -> None:
    one, two = store.create_run(), store.create_run()
    with store.batch() as writer:
        writer.note(one.id, "lr became static")
    assert store.notices(one.id) == ["lr became static"]
    assert store.notices(two.id) == []


def test_records_for_no_run(store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        store.log_block("nothere", {"epoch": [1]})
    assert str(caught.value) == "records for the run 'nothere', which the store does not have"


def test_a_metric_of_all_runs_is_as_it_was_logged(store: Store) -> None:
    sweep = create_sweep(store, NewSweep("method: grid")).id
    logged = [0.1 + 0.2, 7, 1e-300, "text", None, True, 2**60 + 1]
    for value in logged:
        run = store.create_run({}, sweep_id=sweep)
        store.finish_run(run.id, status="finished", metrics={"a": value, "b.c": 1.5})
    lacking = store.create_run({}, sweep_id=sweep)
    found = sorted(metric_series(store, sweep, "a")[1])
    assert [row[4] for row in found] == [*logged, None]
    assert [row[0] for row in found] == list(range(1, 9)) and found[-1][1] == lacking.id
    assert [row[2] for row in found] == ["finished"] * 7 + [str(lacking.status)]
    assert [row[4] for row in sorted(metric_series(store, sweep, "b.c")[1])] == [1.5] * 7 + [None]
    assert metric_series(store, sweep, "a")[0] == runs_stand(store, sweep)
    assert metric_series(store, "none", "a") == ([], [])
    assert [has_more_runs(store, sweep, n) for n in (7, 8)] == [True, False]
