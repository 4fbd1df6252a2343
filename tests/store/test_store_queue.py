"""Sweeps and their queue: claims, exact caps, handing back, the dead, the fence."""

from __future__ import annotations

import sqlite3

import pytest
from searches import grid_of

from thetahat.core import Started, Status, StoreError
from thetahat.store import (
    VERSION,
    Follower,
    NewSweep,
    Queue,
    count_runs,
    create_sweep,
    find_sweep,
    list_agents,
    open_store,
    retry_failed,
    set_state,
)


def xs(runs):
    return [run.config["x"] for run in runs]


def test_runs_are_claimed_once_in_order_and_the_end_is_known(store) -> None:
    sweep = create_sweep(store, NewSweep("method: grid", name="mine", points=5))
    one, two = (Queue(store, sweep.id, agent) for agent in ("a1", "a2"))
    first = one.claim(3, grid_of(5))
    second = two.claim(3, grid_of(5))
    assert (xs(first.fresh), xs(second.fresh)) == ([0, 1, 2], [3, 4])
    assert (first.exhausted, second.exhausted, second.open) == (False, True, 5)
    assert {run.agent for run in first.fresh} == {"a1"}
    assert all(run.status is Status.RUNNING and run.attempt == 1 for run in first.runs)
    third = one.claim(3, grid_of(5))
    assert (third.runs, third.exhausted, third.open) == ([], True, 5)
    for run in [*first.runs, *second.runs]:
        store.finish_run(run.id, status="finished")
    assert one.claim(1, grid_of(5)).open == 0


def test_a_cap_is_exact_over_agents(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    queues = [Queue(store, sweep.id, f"a{k}", cap=7) for k in range(3)]
    taken = [q.claim(3, grid_of(100)) for q in queues]
    assert [len(c.fresh) for c in taken] == [3, 3, 1]
    assert taken[-1].exhausted
    assert queues[0].claim(3, grid_of(100)).runs == []
    assert len(store.runs(sweep_id=sweep.id)) == 7


def test_a_search_that_was_overtaken_is_asked_again(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    mine, other = Queue(store, sweep.id, "me"), Queue(store, sweep.id, "other")
    asked = []

    def propose(row, begun, n):
        asked.append(row.position)
        if len(asked) < 3:
            other.claim(1, grid_of(100))
        return grid_of(100)(row, begun, n)

    assert xs(mine.claim(2, propose).fresh) == [2, 3]
    assert asked == [0, 1, 2]


def test_handed_back_runs_come_first_as_whole_cohorts_and_the_next_attempt(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    one, two = Queue(store, sweep.id, "a1"), Queue(store, sweep.id, "a2")
    claim = one.claim(4, grid_of(100))
    with store.batch() as writer:
        for k, run in enumerate(claim.fresh[:3]):
            event = Started(k, run.config, 9, 1, {}, "c.ckpt", cohort="c1")
            writer.begin_run(run.id, event)
    one.hand_back([run.id for run in claim.fresh], "Ctrl-C")
    assert {run.reason for run in store.runs(status="queued")} == {"Ctrl-C"}
    again = two.claim(2, grid_of(100))
    # The cohort of three shares a checkpoint: it is taken whole, even where two were wanted.
    assert [[r.config["x"] for r in group] for group in again.again] == [[0, 1, 2]]
    assert [run.attempt for run in again.runs] == [2, 2, 2]
    assert again.fresh == []
    later = two.claim(2, grid_of(100))
    assert (xs(later.again[0]), xs(later.fresh)) == ([3], [4])


def test_a_cohort_that_does_not_fit_beside_another_waits_for_the_next_claim(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    one, two = Queue(store, sweep.id, "a1"), Queue(store, sweep.id, "a2")
    claim = one.claim(6, grid_of(100))
    with store.batch() as writer:
        for k, run in enumerate(claim.fresh):
            name = "even" if k % 2 == 0 else "odd"
            event = Started(k, run.config, 9, 1, {}, f"{name}.ckpt", cohort=name)
            writer.begin_run(run.id, event)
    one.hand_back([run.id for run in claim.fresh])
    # The first run decides which cohort comes first; its members lie apart.
    claims = [two.claim(4, grid_of(100)) for _ in range(2)]
    assert [[xs(group) for group in claim.again] for claim in claims] == [[[0, 2, 4]], [[1, 3, 5]]]
    assert [xs(claim.fresh) for claim in claims] == [[], [6]]


def test_the_runs_of_the_dead_go_back_and_their_writes_are_fenced_off(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    dead, alive = Queue(store, sweep.id, "dead"), Queue(store, sweep.id, "alive")
    dead.join("elsewhere", 1)
    alive.join("here", 2)
    run = dead.claim(1, grid_of(9)).fresh[0]
    assert [agent["id"] for agent in alive.others()] == ["dead"]
    assert alive.recover(["dead"]) == 1
    assert alive.others() == []
    with store.batch() as writer:
        assert dead.still_mine(writer, [run.id]) == set()
    taken = alive.claim(1, grid_of(9))
    assert [r.id for r in taken.runs] == [run.id]
    with store.batch() as writer:
        assert dead.still_mine(writer, [run.id]) == set()
        assert alive.still_mine(writer, [run.id]) == {run.id}


def test_leaving_hands_back_and_is_written_down(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    queue = Queue(store, sweep.id, "a1")
    queue.join("here", 2)
    queue.claim(2, grid_of(9))
    assert queue.beat("2 runs") is None
    queue.leave()
    assert count_runs(store, sweep.id) == {"queued": 2}
    assert list_agents(store, sweep.id)[0]["ended"] is not None


def test_a_claim_that_was_never_begun_is_no_attempt(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    queue = Queue(store, sweep.id, "a1")
    queue.join("here", 2)
    begun, only_claimed = queue.claim(2, grid_of(9)).fresh
    queue.leave(unbegun=[only_claimed.id])
    again = {run.id: run.attempt for run in queue.claim(2, grid_of(9)).runs}
    assert again == {begun.id: 2, only_claimed.id: 1}
    queue.hand_back(list(again), "no room", unbegun=[begun.id])
    again = {run.id: run.attempt for run in queue.claim(2, grid_of(9)).runs}
    assert again == {begun.id: 2, only_claimed.id: 2}


def test_what_crashed_is_tried_alone_and_from_the_start(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    queue = Queue(store, sweep.id, "a1")
    runs = queue.claim(2, grid_of(9)).fresh
    with store.batch() as writer:
        queue.give_up(writer, [r.id for r in runs], reason="SIGSEGV", alone=True)
    again = queue.claim(2, grid_of(9)).runs
    assert [(r.alone, r.attempt, r.checkpoint) for r in again] == [(True, 2, None)] * 2


def test_only_failures_count_as_failures(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    queue = Queue(store, sweep.id, "a1")
    run = queue.claim(1, grid_of(9)).fresh[0]
    queue.hand_back([run.id])
    run = queue.claim(1, grid_of(9)).runs[0]
    assert (run.attempt, run.failures) == (2, 0)
    with store.batch() as writer:
        queue.give_up(writer, [run.id], reason="boom", failed=True)
    run = queue.claim(1, grid_of(9)).runs[0]
    assert (run.attempt, run.failures) == (3, 1)


def test_runs_that_wait_are_ended_when_nobody_will_take_them(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    queue = Queue(store, sweep.id, "a1")
    runs = queue.claim(2, grid_of(9)).fresh
    queue.hand_back([runs[0].id])
    queue.end_waiting("loss reached its target 0.1")
    ended, running = store.runs(sweep_id=sweep.id)
    assert (ended.status, ended.reason) == (Status.CANCELLED, "loss reached its target 0.1")
    assert running.status is Status.RUNNING


@pytest.mark.parametrize("state", ["paused", "cancelled", "finished"])
def test_nothing_is_claimed_from_a_sweep_that_rests(store, state) -> None:
    sweep = create_sweep(store, NewSweep(""))
    set_state(store, sweep.id, state, "why")
    claim = Queue(store, sweep.id, "a1").claim(2, grid_of(9))
    assert (claim.runs, claim.sweep.state, claim.sweep.reason) == ([], state, "why")


def test_following_reads_only_what_is_new(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    queue = Queue(store, sweep.id, "a1")
    runs = queue.claim(2, grid_of(9)).fresh
    follower = Follower(store, sweep.id, "val_loss")
    store.log_block(runs[0].id, {"epoch": [1, 2], "val_loss": [3.0, 2.0]})
    follower.refresh()
    assert [list(r.values) for r in follower.runs.values()] == [[3.0, 2.0], []]
    store.log_block(runs[0].id, {"epoch": [3], "val_loss": [1.0]})
    store.finish_run(runs[1].id, status="finished", metrics={"val_loss": 7.0})
    follower.refresh()
    assert list(follower.runs[runs[0].id].values) == [3.0, 2.0, 1.0]
    assert follower.runs[runs[1].id].metrics == {"val_loss": 7.0}
    queue.hand_back([runs[0].id])
    queue.claim(1, grid_of(9))
    follower.refresh()
    # The next attempt logs anew.
    assert list(follower.runs[runs[0].id].values) == []


def test_finding_a_sweep(store) -> None:
    with pytest.raises(StoreError, match=r"has no sweeps yet; make one with thetahat sweep FILE"):
        find_sweep(store, "abc")
    first = create_sweep(store, NewSweep("", name="wage sweep"))
    second = create_sweep(store, NewSweep("", name="wage again"))
    assert find_sweep(store, first.id) == first
    assert find_sweep(store, "wage sweep") == first
    assert find_sweep(store, second.id[:5]) == second
    assert find_sweep(store, "last") == second
    with pytest.raises(StoreError, match="could be any of 2 sweeps"):
        find_sweep(store, "wage")
    with pytest.raises(StoreError, match="did you mean 'wage sweep'"):
        find_sweep(store, "wage swep")


def test_a_store_of_the_first_version_is_brought_up(tmp_path) -> None:
    path = tmp_path / "old.db"
    with open_store(path) as made:
        kept = made.create_run({"lr": 0.1}).id
    with sqlite3.connect(path) as raw:
        for table in ("sweeps", "agents"):
            raw.execute(f"DROP TABLE {table}")
        raw.execute("DROP INDEX runs_of_sweep")
        for column in ("point", "replicate", "alone", "failures"):
            raw.execute(f"ALTER TABLE runs DROP COLUMN {column}")
        raw.execute("UPDATE meta SET value = '1' WHERE key = 'schema_version'")
    with open_store(path) as store:
        assert store.run(kept).config == {"lr": 0.1}
        assert store.health()["version"] == VERSION
        sweep = create_sweep(store, NewSweep(""))
        assert xs(Queue(store, sweep.id, "a").claim(1, grid_of(3)).fresh) == [0]


def test_a_run_that_begins_afresh_has_the_start_of_its_last_attempt(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    queue = Queue(store, sweep.id, "a1")
    first = queue.claim(1, grid_of(9)).fresh[0]
    queue.hand_back([first.id])
    resumed = queue.claim(1, grid_of(9)).runs[0]
    assert resumed.started == first.started
    with store.batch() as writer:
        queue.give_up(writer, [first.id], reason="boom", failed=True)
    assert store.run(first.id).started is None
    again = queue.claim(1, grid_of(9)).runs[0]
    assert again.started is not None
    store.finish_run(first.id, status="failed", reason="boom")
    assert retry_failed(store, sweep.id) == 1
    assert store.run(first.id).started is None
