"""The tracker: events in, rows out; resuming goes on in the same row."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thetahat.core import Ended, Logged, Started, Status, StoreError
from thetahat.store import Store, open_store, store_tracker


def started(store: Store, member: int = 0, **changes: Any) -> Started:
    fields: dict[str, Any] = {
        "member": member,
        "config": {"lr": 0.1, "seed": member},
        "epochs": 10,
        "n_params": 17,
        "provenance": {"device": "cpu"},
        "checkpoint": str(store.folder / "checkpoints" / "c.ckpt"),
    }
    return Started(**{**fields, **changes})


def logged(first: int, last: int, member: int = 0, value: float = 1.0) -> Logged:
    epoch = np.arange(first, last + 1.0)
    return Logged(member, {"epoch": epoch, "val_risk": value / epoch})


def ended(
    member: int = 0, status: Status = Status.FINISHED, epochs: int = 10, **detail: Any
) -> Ended:
    metrics = {"val_risk": 0.1, "test_risk": math.nan}
    return Ended(member, status, "all done", epochs, metrics, {"run": 2.0}, detail)


def test_a_run_from_start_to_end(store: Store) -> None:
    track = store_tracker(
        store, experiment="wages.mlp", source="wages.py", command="thetahat fit", cohort="c1"
    )
    for event in (started(store), logged(1, 4), logged(5, 10), ended(notices=["lr is static"])):
        track(event)
    run = store.run(track.run_id())
    assert (run.experiment, run.source, run.command, run.cohort) == (
        "wages.mlp",
        "wages.py",
        "thetahat fit",
        "c1",
    )
    assert run.name == track.run_name() == "bright-magnolia-1"
    assert (run.status, run.reason, run.epochs, run.max_epochs) == ("finished", "all done", 10, 10)
    assert run.metrics == {"val_risk": 0.1, "test_risk": None}
    assert (run.best_val_risk, run.best_epoch) == (0.1, 10)
    assert run.config == {"lr": 0.1, "seed": 0}
    assert run.provenance["device"] == "cpu"
    assert run.provenance["versions"]["thetahat"]
    assert store.notices(run.id) == ["lr is static"]
    np.testing.assert_array_equal(store.history(run.id)["epoch"], np.arange(1, 11))


def test_a_cohort_fills_one_row_a_member(store: Store) -> None:
    track = store_tracker(store, cohort="c1")
    for member in range(5):
        track(started(store, member))
    for member in range(5):
        track(logged(1, 10, member, value=member + 1.0))
    for member in reversed(range(5)):
        track(ended(member))
    for member in range(5):
        run = store.run(track.run_id(member))
        assert run.config["seed"] == run.member == member
        assert run.best_val_risk == pytest.approx((member + 1) / 10)
    assert len(store.runs(cohort="c1")) == 5


def test_records_wait_half_a_second_and_an_end_waits_for_nothing(store: Store) -> None:
    now = [0.0]
    track = store_tracker(store, clock=lambda: now[0])
    track(started(store))
    run_id = track.run_id()

    def seen() -> int:
        return sum(block.count for block in store.blocks(run_id))

    track(logged(1, 2))
    assert seen() == 0
    now[0] = 0.49
    track(logged(3, 4))
    assert seen() == 0
    now[0] = 0.51
    track(logged(5, 6))
    assert seen() == 6
    track(logged(7, 8))
    track.flush()
    assert seen() == 8
    track(logged(9, 10))
    track(ended())
    assert seen() == 10


def test_a_resumed_run_goes_on_in_its_row_and_nothing_is_double(store: Store) -> None:
    track = store_tracker(store, command="first")
    for event in (started(store), logged(1, 4), logged(5, 8, value=100.0)):
        track(event)
    track.flush()
    again = store_tracker(store, command="second")
    again(started(store, resumed=6, provenance={"device": "gpu"}))
    run = store.run(again.run_id())
    assert run.id == track.run_id()
    assert (run.attempt, run.status, run.epochs, run.command) == (2, "running", 6, "first")
    np.testing.assert_array_equal(store.history(run.id)["epoch"], np.arange(1, 7))
    again(logged(7, 10))
    again(ended())
    history = store.history(run.id)
    np.testing.assert_array_equal(history["epoch"], np.arange(1, 11))
    assert sum(block.count for block in store.blocks(run.id)) == 10
    np.testing.assert_allclose(history["val_risk"][6:], 1 / np.arange(7.0, 11.0))
    run = store.run(run.id)
    assert (run.best_val_risk, run.best_epoch) == (0.1, 10)
    assert run.provenance["device"] == "gpu"
    (earlier,) = run.provenance["earlier"]
    assert (earlier["device"], earlier["until_epoch"]) == ("cpu", 6)
    assert len(store.runs()) == 1


def test_a_best_value_that_is_dropped_is_forgotten(store: Store) -> None:
    track = store_tracker(store)
    for event in (started(store), logged(1, 4), logged(5, 8, value=1e-6)):
        track(event)
    track.flush()
    assert store.runs()[0].best_epoch == 8
    store_tracker(store)(started(store, resumed=4))
    assert (store.runs()[0].best_val_risk, store.runs()[0].best_epoch) == (0.25, 4)


def test_records_that_are_sent_again_replace_the_old_ones(store: Store) -> None:
    track = store_tracker(store)
    for event in (started(store), logged(1, 8)):
        track(event)
    track.flush()
    again = store_tracker(store)
    for event in (started(store, resumed=6), logged(1, 6, value=2.0), logged(7, 10), ended()):
        again(event)
    history = store.history(again.run_id())
    np.testing.assert_array_equal(history["epoch"], np.arange(1, 11))
    assert history["val_risk"][0] == 2.0


def test_members_resume_each_in_their_own_row(store: Store) -> None:
    track = store_tracker(store)
    for member in range(2):
        track(started(store, member))
    for member in range(2):
        track(logged(1, 4, member, value=member + 1.0))
    track.flush()
    again = store_tracker(store)
    for member in range(2):
        again(started(store, member, resumed=4))
    assert [again.run_id(m) for m in range(2)] == [track.run_id(m) for m in range(2)]


@pytest.mark.parametrize("changes", [{"checkpoint": "/elsewhere/c.ckpt"}, {"resumed": None}])
def test_another_checkpoint_or_a_fresh_start_is_another_run(
    store: Store, changes: dict[str, Any]
) -> None:
    store_tracker(store)(started(store))
    store_tracker(store)(started(store, **{"resumed": 3, **changes}))
    assert [run.attempt for run in store.runs()] == [1, 1]


def test_a_store_that_fails_says_so_before_anything_runs(tmp_path: Path) -> None:
    with (
        open_store(tmp_path, timeout_s=0.1) as store,
        open_store(tmp_path) as other,
        other.batch(),
        pytest.raises(StoreError, match=r"has been locked by another program for 0\.1 s"),
    ):
        store_tracker(store)(started(store))


def test_what_could_not_be_written_waits(tmp_path: Path) -> None:
    with open_store(tmp_path, timeout_s=0.1) as store:
        now = [0.0]
        track = store_tracker(store, clock=lambda: now[0])
        track(started(store))
        now[0] = 10.0
        with open_store(tmp_path) as other, other.batch(), pytest.raises(StoreError):
            track(logged(1, 4))
        track(logged(5, 10))
        track(ended())
        assert sum(block.count for block in store.blocks(track.run_id())) == 10


def test_an_empty_chunk_is_no_record(store: Store) -> None:
    track = store_tracker(store)
    track(started(store))
    track(Logged(0, {"epoch": [], "val_risk": []}))
    track(Logged(0, {}))
    track(ended(epochs=0))
    assert store.blocks(track.run_id()) == []


def test_a_failed_run_keeps_its_reason_and_its_last_records(store: Store) -> None:
    track = store_tracker(store)
    for event in (started(store), logged(1, 2)):
        track(event)
    track(Ended(0, Status.FAILED, "ValueError: no", 2, {}, {}))
    run = store.run(track.run_id())
    assert (run.status, run.reason, run.metrics) == ("failed", "ValueError: no", {"val_risk": 0.5})


def test_a_run_killed_in_its_first_chunk_goes_on_in_its_row(store: Store) -> None:
    store_tracker(store, name="mine")(started(store))
    again = store_tracker(store)
    again(started(store, resumed=0))
    again.flush()
    assert [run.name for run in store.runs()] == ["mine"]
    store_tracker(store)(started(store))
    assert len(store.runs()) == 2


def test_a_run_whose_state_another_column_chose_has_the_epoch_of_that_state(store: Store) -> None:
    events = store_tracker(store)
    events(Started(0, {}, 3, 2, {}))
    events(Logged(0, {"epoch": [1, 2, 3], "val_risk": [0.1, 0.2, 0.3], "val_acc": [0.5, 0.9, 0.8]}))
    detail = {"best_by": "val_acc", "best_epoch": 2, "directions": {"val_acc": "max"}}
    metrics = {"val_risk": 0.2, "val_acc": 0.9}
    events(Ended(0, Status.FINISHED, "all 3 epochs done", 3, metrics, {}, detail))
    run = store.run(events.run_id())
    assert (run.best_by, run.best_epoch, run.best_val_risk) == ("val_acc", 2, None)
