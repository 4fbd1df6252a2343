"""The queue of a sweep under agents that come, go and are cancelled; what followers see of it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from searches import grid_of

from thetahat.core import Started
from thetahat.store import (
    Follower,
    NewSweep,
    Queue,
    change_plan,
    create_sweep,
    find_sweep,
    open_store,
    set_state,
)


def test_the_next_attempt_begins_without_records_for_every_follower(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    one, two = Queue(store, sweep.id, "a1"), Queue(store, sweep.id, "a2")
    run = one.claim(1, grid_of(9)).fresh[0]
    before = Follower(store, sweep.id, "loss")
    store.log_block(run.id, {"epoch": [1, 2], "loss": [3.0, 2.0]})
    before.refresh()
    one.hand_back([run.id])
    assert two.claim(1, grid_of(9)).again[0][0].id == run.id
    # One who begins to follow while the next attempt compiles must not see the last one's.
    between = Follower(store, sweep.id, "loss")
    between.refresh()
    store.log_block(run.id, {"epoch": [1], "loss": [3.0]})
    for follower in (before, between):
        follower.refresh()
        assert list(follower.runs[run.id].values) == [3.0]


def test_no_id_of_a_record_is_given_twice(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    queue = Queue(store, sweep.id, "a1")
    run, other = queue.claim(2, grid_of(9)).fresh
    follower = Follower(store, sweep.id, "loss")
    store.log_block(other.id, {"epoch": [1], "loss": [9.0]})
    for epoch in (1, 2, 3):
        store.log_block(run.id, {"epoch": [epoch], "loss": [1.0 / epoch]})
    follower.refresh()
    queue.hand_back([run.id])
    queue.claim(1, grid_of(9))
    store.log_block(other.id, {"epoch": [2], "loss": [8.0]})
    store.log_block(run.id, {"epoch": [1], "loss": [1.0]})
    follower.refresh()
    assert list(follower.runs[other.id].values) == [9.0, 8.0]
    assert list(follower.runs[run.id].values) == [1.0]


def test_records_of_an_old_store_are_numbered_on(tmp_path) -> None:
    path = tmp_path / "old.db"
    with open_store(path) as made:
        run = made.create_run({"lr": 0.1}).id
        made.log_block(run, {"epoch": [1, 2], "loss": [3.0, 2.0]})
    with sqlite3.connect(path) as raw:
        (sql,) = raw.execute("SELECT sql FROM sqlite_master WHERE name = 'records'").fetchone()
        rows = raw.execute("SELECT * FROM records").fetchall()
        raw.execute("DROP TABLE records")
        raw.execute(sql.replace("AUTOINCREMENT", ""))
        raw.execute("CREATE INDEX records_of_run ON records (run_id, first)")
        raw.executemany(f"INSERT INTO records VALUES ({', '.join('?' * len(rows[0]))})", rows)
        raw.execute("UPDATE meta SET value = '1' WHERE key = 'schema_version'")
    with open_store(path) as store:
        assert list(store.history(run)["loss"]) == [3.0, 2.0]
        with store.batch() as writer:
            writer.drop_records(run, 0)
        store.log_block(run, {"epoch": [1], "loss": [5.0]})
        assert list(store.history(run)["loss"]) == [5.0]
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT id FROM records").fetchall() == [(2,)]
        names = {name for (name,) in raw.execute("SELECT name FROM sqlite_master")}
    assert "records_of_run" in names
    assert "records_before" not in names


@pytest.mark.parametrize("state", ["cancelled", "finished"])
@pytest.mark.parametrize("how", ["leave", "recover", "give_up", "keep"])
def test_runs_of_a_sweep_that_is_over_never_wait_for_anyone(store, how, state) -> None:
    sweep = create_sweep(store, NewSweep(""))
    queue = Queue(store, sweep.id, "a1")
    run = queue.claim(1, grid_of(9)).fresh[0]
    set_state(store, sweep.id, state)
    if how == "leave":
        queue.leave()
    elif how == "recover":
        assert Queue(store, sweep.id, "a2").recover(["a1"]) == 1
    else:
        with store.batch() as writer:
            keep = how == "keep"
            assert queue.give_up(writer, [run.id], reason="exit code 1", keep=keep) == []
    found = store.run(run.id)
    assert (str(found.status), found.reason) == ("cancelled", f"the sweep was {state}")
    assert found.finished is not None


def test_no_more_is_taken_of_a_cohort_than_an_agent_may_have(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    one, two = Queue(store, sweep.id, "a1"), Queue(store, sweep.id, "a2")
    runs = one.claim(5, grid_of(9)).fresh
    with store.batch() as writer:
        for k, run in enumerate(runs):
            writer.begin_run(run.id, Started(k, {"x": k}, 9, 1, {}, "c.ckpt", cohort="c"))
    one.hand_back([run.id for run in runs])
    assert [len(group) for group in two.claim(2, grid_of(9), 3).again] == [3]
    # Whole, where nothing but room is short; an agent takes no new ones beside it then.
    claim = two.claim(1, grid_of(9))
    assert [run.id for run in claim.runs] == [run.id for run in runs[3:]]


def test_what_an_agent_keeps_is_begun_again_without_records(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    one, two = Queue(store, sweep.id, "a1"), Queue(store, sweep.id, "a2")
    run = one.claim(1, grid_of(9)).fresh[0]
    store.log_block(run.id, {"epoch": [1, 2], "loss": [3.0, 2.0]})
    with store.batch() as writer:
        (kept,) = one.give_up(writer, [run.id], reason="boom", failed=True, keep=True)
    assert (kept.id, str(kept.status), kept.agent) == (run.id, "running", "a1")
    assert (kept.attempt, kept.failures) == (2, 1)
    assert store.blocks(run.id) == []
    assert [r.config["x"] for r in two.claim(1, grid_of(9)).runs] == [1]


def test_a_sweep_that_was_given_another_file_meanwhile_is_not_finished(store) -> None:
    sweep = create_sweep(store, NewSweep("one"))
    queue = Queue(store, sweep.id, "a1")
    claim = queue.claim(1, grid_of(0))
    assert (claim.runs, claim.exhausted, claim.open) == ([], True, 0)
    change_plan(store, sweep.id, text_="two", plan={}, points=None)
    assert queue.finish(claim.sweep) == "running"
    assert find_sweep(store, sweep.id).state == "running"
    claim = queue.claim(1, grid_of(0))
    assert queue.finish(claim.sweep) == "finished"
    assert find_sweep(store, sweep.id).finished is not None


def test_a_search_whose_file_was_changed_meanwhile_is_asked_again(store) -> None:
    sweep = create_sweep(store, NewSweep("one"))
    queue = Queue(store, sweep.id, "a1")
    asked = []

    def propose(row, begun, n):
        asked.append(row.text)
        if len(asked) == 1:
            change_plan(store, sweep.id, text_="two", plan={}, points=None)
        return grid_of(5)(row, begun, n)

    assert len(queue.claim(2, propose).fresh) == 2
    assert asked == ["one", "two"]


def test_no_more_is_taken_when_others_hand_back_while_a_search_thinks(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    one, two = Queue(store, sweep.id, "a1"), Queue(store, sweep.id, "a2")
    left = [run.id for run in two.claim(2, grid_of(9)).fresh]

    def propose(row, begun, n):
        two.hand_back(left)
        left.clear()
        return grid_of(9)(row, begun, n)

    claim = one.claim(3, propose)
    assert [run.config["x"] for run in claim.runs] == [0, 1, 2]
    # The search lost nothing by it.
    assert [run.config["x"] for run in one.claim(9, grid_of(9)).runs] == [3, 4, 5, 6, 7, 8]


def test_replicates_that_are_too_many_are_left_for_the_next_claim(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    queue = Queue(store, sweep.id, "a1")

    def threes(row, begun, n):
        """Whole settings, of three runs each; the beginning of one is completed first."""
        whole = -(-(begun + n) // 3) * 3
        offer = grid_of(6)(replace(row, position=begun), begun, whole - begun)
        return replace(offer, position=whole // 3, exhausted=whole >= 6)

    claims = [queue.claim(n, threes) for n in (2, 2, 2, 2)]
    assert [[run.config["x"] for run in claim.runs] for claim in claims] == [
        [0, 1],
        [2, 3],
        [4, 5],
        [],
    ]
    assert [claim.exhausted for claim in claims] == [False, False, True, True]
