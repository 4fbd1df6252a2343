"""Runs chosen and sorted by SQL are those that Python chooses from whole runs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from thetahat.core.errors import ConfigError
from thetahat.core.run import Status
from thetahat.store import (
    NewRun,
    RunRow,
    Store,
    known_columns,
    open_store,
    read_condition,
    value_of,
)

NAMES = ["lr", "width", "net.depth", 'a"b', "größe", "x.y", "act", "epochs"]
VALUES: list[Any] = [
    *(0.1, 0.1, 0.1 + 1e-17, 1e-300, -3, 7, 7.0, 2**70, 2**70 + 1, 0.30000000000000004, 0.3),
    *(True, False, None, "relu", "tanh", "Ärger", "7", "", "nan", [1, 2], [1, 10], {"depth": 2}),
]
COLUMNS = [
    *("val_risk", "metrics.val_risk", "lr", "config.lr", "width", "net.depth", "config.net.depth"),
    *('a"b', "größe", "x.y", "act", "epochs", "config.epochs", "seconds", "seconds.fit", "status"),
    *("name", "number", "created", "contaminated", "experiment", "group", "labels.group", "epoch"),
    *("best_val_risk", "reason", "sweep_id", "attempt", "finished"),
]
CONDITIONS = [
    *("val_risk<0.3", "val_risk>=0.1", "lr=0.1", "lr!=0.1", "act~re", "act in (relu, tanh)"),
    *("status=finished", "width=7", "width=true", "lr<=7", "lr>a", "config.lr=null", "seconds>1"),
    *("net.depth=2", "größe>0", "epochs>3", "group=b", "name~a", "contaminated=true"),
]


def filled(store: Store, rng: random.Random, n: int) -> None:
    """Runs with the oddest configs, metrics and ends, some of them running."""
    with store.batch() as writer:
        for _ in range(n):
            config = {name: rng.choice(VALUES) for name in NAMES if rng.random() < 0.7}
            fields: dict[str, Any] = {
                "experiment": rng.choice(["a", "b", None]),
                "contaminated": rng.random() < 0.2,
                "labels": {"group": rng.choice(["a", "b"])} if rng.random() < 0.5 else {},
            }
            run, _ = writer.create_run(NewRun(config, agent="elsewhere", **fields))
            if rng.random() < 0.2:
                continue
            risk = rng.choice([0.1, 0.2, 0.2, 0.25, None, float("nan"), 1e-12, 12345678.123456789])
            metrics = {"val_risk": risk, "lr": 5.0} if rng.random() < 0.1 else {"val_risk": risk}
            status = Status(rng.choice(["finished", "failed", "diverged", "stopped"]))
            seconds = rng.choice([None, {"fit": 1.5, "compile": 2.0}, {"total": 0.5}, {"fit": 3.0}])
            ending = {"metrics": metrics if rng.random() < 0.9 else None, "seconds": seconds}
            writer.finish_run(run, status=status, reason=rng.choice(["", "why"]), **ending)


def by_hand(every: list[RunRow], where: list[str], sort: str, limit: int | None) -> list[str]:
    """The same listing from whole runs, one comparison at a time."""
    tests = [read_condition(text) for text in where]
    found = [run for run in every if all(test.holds(run) for test in tests)]
    values = {run.id: value_of(run, sort.removeprefix("-")) for run in found}

    def key(run: RunRow) -> tuple[int, Any]:
        value = values[run.id]
        return (0, value) if isinstance(value, (int, float)) else (1, str(value))

    have = sorted([r for r in found if values[r.id] is not None], key=key)
    if sort.startswith("-"):  # equal values stay in the order of their numbers
        downwards = sorted({key(run) for run in have}, reverse=True)
        have = [run for value in downwards for run in have if key(run) == value]
    return [r.id for r in (have + [r for r in found if values[r.id] is None])[:limit]]


@pytest.mark.parametrize("seed", range(4))
def test_listing_in_sql_equals_listing_of_whole_runs(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    with open_store(tmp_path) as store:
        filled(store, rng, rng.choice([5, 90, 200]))
        every = store.runs()
        told = 0
        for _ in range(150):
            where = rng.sample(CONDITIONS, rng.choice([0, 0, 1, 2]))
            sort = rng.choice(["", "-"]) + rng.choice(COLUMNS)
            limit = rng.choice([None, 1, 3, 40, 1000])
            said = f"where {where} sort {sort} limit {limit}"
            tests = [read_condition(text) for text in where]
            columns = {sort.removeprefix("-"), *(test.column for test in tests)}
            if any(
                column not in known_columns(every)
                and all(value_of(run, column) is None for run in every)
                for column in columns
            ):
                with pytest.raises(ConfigError, match="no run has a column"):
                    store.runs(where=tests, sort=sort, limit=limit)
                continue
            got = [run.id for run in store.runs(where=tests, sort=sort, limit=limit)]
            told += 1
            assert got == by_hand(every, where, sort, limit), said
        assert told > 100


def test_listing_has_the_whole_rows(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        filled(store, random.Random(7), 80)
        every = {run.id: run for run in store.runs()}
        for run in store.runs(sort="-val_risk", limit=20, where=[read_condition("lr!=9")]):
            assert run == every[run.id]
            assert run == store.run(run.id).__class__(
                **{**vars(store.run(run.id)), "detail": None, "provenance": None}
            )


def test_unknown_column_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.create_run({"lr": 0.1, "width": 8})
        with pytest.raises(ConfigError, match="did you mean 'width'"):
            store.runs(sort="widht", limit=3)
        with pytest.raises(ConfigError, match="no run has a column 'deep'"):
            store.runs(where=[read_condition("deep>3")])
