"""Blocks of records: what goes in comes out, and missing is not NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from thetahat.core import ConfigError
from thetahat.store import Store, pack

# Blocks of records are tested as a pure function.
from thetahat.store._blocks import best_of, join, last_values

numbers = st.floats(allow_nan=True, allow_infinity=False)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=40), st.integers(0, 10**9))
def test_a_block_gives_back_its_columns_bit_for_bit(
    rows: list[tuple[float, float]], first: int
) -> None:
    columns = {
        "b": [row[0] for row in rows],
        "epoch": [first + i for i in range(len(rows))],
        "a": [row[1] for row in rows],
    }
    block = pack(columns)
    assert (block.first, block.last, block.count) == (first, first + len(rows) - 1, len(rows))
    assert block.columns == ("epoch", "b", "a")
    for name in columns:
        assert block.column(name).tobytes() == np.array(columns[name], "<f8").tobytes()
    joined = join([block])
    for name in columns:
        np.testing.assert_array_equal(joined[name], columns[name])


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda v: np.array(v, np.float32)])
def test_lists_and_arrays_of_any_precision_are_taken(kind: object) -> None:
    values = [0.5, 0.25, 2.0]
    block = pack({"epoch": [1, 2, 3], "loss": kind(values)})  # type: ignore[operator]
    assert list(block.column("loss")) == values


@pytest.mark.parametrize("kind", [list, np.array])
def test_infinity_becomes_nan(kind: object) -> None:
    block = pack({"epoch": [1, 2, 3], "loss": kind([math.inf, 1.0, -math.inf])})  # type: ignore[operator]
    loss = list(block.column("loss"))
    assert loss[1] == 1.0
    assert math.isnan(loss[0])
    assert math.isnan(loss[2])
    assert last_values(block) == {"epoch": 3.0, "loss": None}


def test_missing_and_nan_are_told_apart() -> None:
    one = pack({"epoch": [1, 2], "loss": [1.0, math.nan]})
    two = pack({"epoch": [3], "val_risk": [0.5]})
    assert one.columns == ("epoch", "loss")
    assert two.columns == ("epoch", "val_risk")
    joined = join([one, two])
    np.testing.assert_array_equal(joined["epoch"], [1, 2, 3])
    np.testing.assert_array_equal(joined["loss"], [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(joined["val_risk"], [np.nan, np.nan, 0.5])


def test_rows_of_one_step_are_one_row_and_a_logged_nan_wins_over_what_came_before() -> None:
    one = pack({"step": [0, 1], "a": [1.0, 2.0]})
    two = pack({"step": [1], "b": [5.0]})
    three = pack({"step": [0], "a": [math.nan]})
    joined = join([one, two, three])
    np.testing.assert_array_equal(joined["step"], [0, 1])
    np.testing.assert_array_equal(joined["a"], [np.nan, 2.0])
    np.testing.assert_array_equal(joined["b"], [np.nan, 5.0])
    assert joined["step"].dtype == np.int64


def test_the_part_before_an_epoch() -> None:
    block = pack({"epoch": [3, 4, 5], "loss": [1.0, 2.0, 3.0]})
    kept = block.before(5)
    assert kept is not None
    assert list(kept.column("loss")) == [1.0, 2.0]
    assert (kept.first, kept.last, kept.count) == (3, 4, 2)
    assert block.before(3) is None


def test_the_best_is_the_first_lowest_finite_value() -> None:
    block = pack({"epoch": [1, 2, 3, 4], "val_risk": [math.nan, 2.0, 0.5, 0.5]})
    assert best_of(block) == (0.5, 3)
    assert best_of(pack({"epoch": [1], "val_risk": [math.nan]})) is None
    assert best_of(pack({"epoch": [1], "loss": [1.0]})) is None


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"loss": [1.0]}, "records need a column 'epoch' or 'step' that counts them; got loss"),
        ({}, "records need a column 'epoch' or 'step' that counts them; got none"),
        (
            {"epoch": [1, 2], "loss": [1.0]},
            "the columns of records must be equally long, and not empty; epoch has 2, loss has 1",
        ),
        (
            {"epoch": [], "loss": []},
            "the columns of records must be equally long, and not empty; epoch has 0, loss has 0",
        ),
    ],
)
def test_columns_that_are_no_records(columns: dict[str, list[float]], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pack(columns)
    assert str(caught.value) == message


def test_the_summary_follows_the_records(store: Store) -> None:
    run = store.create_run({"lr": 0.1})
    store.log_block(run.id, {"epoch": [1, 2], "train_risk": [3.0, 2.0], "val_risk": [0.7, 0.9]})
    store.log_block(
        run.id, {"epoch": [3, 4], "train_risk": [1.0, math.nan], "val_risk": [0.8, 0.75]}
    )
    seen = store.run(run.id)
    assert seen.metrics == {"train_risk": None, "val_risk": 0.75}
    assert (seen.best_val_risk, seen.best_epoch, seen.epochs) == (0.7, 1, 4)
    np.testing.assert_array_equal(store.history(run.id)["epoch"], [1, 2, 3, 4])
    np.testing.assert_array_equal(store.history(run.id)["train_risk"], [3.0, 2.0, 1.0, np.nan])


def test_a_run_without_records_has_an_empty_history(store: Store) -> None:
    assert store.history(store.create_run().id) == {}


def test_a_hundred_thousand_records_take_few_rows(store: Store) -> None:
    run = store.create_run()
    with store.batch() as writer:
        writer.log_blocks(
            (run.id, pack({"epoch": np.arange(i, i + 64), "val_risk": np.ones(64)}))
            for i in range(0, 100_000, 64)
        )
    assert len(store.blocks(run.id)) == 1563
    assert store.run(run.id).best_epoch == 0
