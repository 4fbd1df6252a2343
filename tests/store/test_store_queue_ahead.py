"""Points that are created ahead of the claims: each becomes one run, in order, within the cap."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace

import pytest
from searches import grid_of

from thetahat.core import StoreError
from thetahat.store import (
    NewRun,
    NewSweep,
    Queue,
    change_plan,
    create_sweep,
    find_sweep,
    open_store,
    set_state,
)

# A name that a user takes before its number comes.
from thetahat.store._run_names import run_name


def xs(runs):
    return [run.config["x"] for run in runs]


def counted(size, asked):
    """A search over 0 .. size - 1 that notes how many points it was asked for."""
    search = grid_of(size)

    def propose(sweep, begun, n):
        asked.append((sweep.position, begun, n))
        return search(sweep, begun, n)

    return propose


def test_points_are_created_once_and_claimed_in_order_by_several_agents(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    asked: list = []
    search = counted(12, asked)
    one, two = (Queue(store, sweep.id, name, ahead=4) for name in ("a1", "a2"))
    assert xs(one.claim(1, search).fresh) == [0]
    assert asked == [(0, 0, 5)]
    assert [run.number for run in store.runs()] == [1], "a point that waits is no run"
    # Another agent asks the search first, for its own cap and plan, and lacks nothing.
    assert xs(two.claim(1, search).fresh) == [1]
    assert asked[1:] == [(5, 5, 0)]
    assert [xs(q.claim(1, search).fresh) for q in (one, two, one)] == [[2], [3], [4]]
    assert len(asked) == 2
    # What lies ready comes first; the search is asked for the rest, and for points ahead.
    assert xs(two.claim(2, search).fresh) == [5, 6]
    assert asked[2:] == [(5, 5, 6)]
    claim = one.claim(5, search)
    assert (xs(claim.fresh), claim.exhausted) == ([7, 8, 9, 10, 11], True)
    last = two.claim(1, search)
    assert (last.runs, last.exhausted, last.open) == ([], True, 12)
    rows = store.runs(sweep_id=sweep.id)
    assert [run.number for run in rows] == list(range(1, 13))
    assert {(str(run.status), run.attempt) for run in rows} == {("running", 1)}
    assert all(run.agent and run.started and run.heartbeat and run.created for run in rows)


def test_a_run_of_a_point_is_what_the_search_proposed(store) -> None:
    sweep = create_sweep(store, NewSweep("", project="wages"))
    queue = Queue(store, sweep.id, "a1", ahead=3)

    def search(row, begun, n):
        offer = grid_of(9)(row, begun, n)
        new = [
            NewRun(**{**vars(run), "point": begun + k, "experiment": "m:f", "project": "wages"})
            for k, run in enumerate(offer.configs)
        ]
        return replace(offer, configs=new)

    at_once, from_point = queue.claim(1, search).fresh[0], queue.claim(1, search).fresh[0]
    assert (at_once.point, from_point.point) == (0, 1)
    same = ("experiment", "project", "sweep_id", "agent", "attempt", "status", "replicate")
    assert [getattr(at_once, n) for n in same] == [getattr(from_point, n) for n in same]
    assert from_point.name != at_once.name


def test_a_cap_is_exact_with_points_ahead_even_where_it_falls(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    queues = [Queue(store, sweep.id, f"a{k}", cap=7, ahead=64) for k in range(3)]
    claims = [queue.claim(2, grid_of(100)) for queue in queues * 2]
    assert [len(claim.fresh) for claim in claims] == [2, 2, 2, 1, 0, 0]
    assert claims[-1].exhausted
    # Another plan allows fewer runs than points have been created.
    other = create_sweep(store, NewSweep("other"))
    queue = Queue(store, other.id, "b", cap=50, ahead=40)
    queue.claim(1, grid_of(100))
    queue.cap = 3
    claims = [queue.claim(2, grid_of(100)) for _ in range(2)]
    assert ([len(claim.fresh) for claim in claims], claims[-1].exhausted) == ([2, 0], True)


def test_points_of_a_replaced_file_are_never_begun(store) -> None:
    sweep = create_sweep(store, NewSweep("one"))
    queue, asked = Queue(store, sweep.id, "a1", ahead=8), []

    def search(row, begun, n):
        asked.append(row.text)
        offer = grid_of(100)(row, begun, n)
        new = [replace(run, config={**run.config, "file": row.text}) for run in offer.configs]
        return replace(offer, configs=new)

    queue.claim(1, search)
    change_plan(store, sweep.id, text_="two", plan={}, points=None)
    found = queue.claim(2, search).fresh
    assert [run.config for run in found] == [{"x": 0, "file": "two"}, {"x": 1, "file": "two"}]
    # Where the search goes on, so do its points, and the search learns of the plan.
    change_plan(store, sweep.id, text_="two", plan={"count": 9}, points=None, again=False)
    assert xs(queue.claim(1, search).fresh) == [2]
    assert asked == ["one", "two", "two"]


def test_returned_runs_come_before_points_and_a_sweep_that_rests_gives_none(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    one, two = (Queue(store, sweep.id, name, ahead=8) for name in ("a1", "a2"))
    first = one.claim(2, grid_of(9)).fresh
    two.claim(1, grid_of(9))
    one.hand_back([first[0].id])
    claim = two.claim(2, grid_of(9))
    assert ([run.id for run in claim.again[0]], xs(claim.fresh)) == ([first[0].id], [3])
    set_state(store, sweep.id, "paused")
    claim = two.claim(2, grid_of(9))
    assert (claim.runs, claim.sweep.state) == ([], "paused")
    set_state(store, sweep.id, "running")
    assert xs(two.claim(2, grid_of(9)).fresh) == [4, 5]


def test_agents_that_claim_at_once_never_share_or_lose_a_point(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    taken: Counter = Counter()
    errors: list = []

    def work(name: str) -> None:
        try:
            with open_store(store.path) as mine:
                queue = Queue(mine, sweep.id, name, cap=90, ahead=16)
                while runs := queue.claim(1, grid_of(100)).runs:
                    taken.update(xs(runs))
        except Exception as error:  # noqa: BLE001  (reported by the test)
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"a{k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert taken == Counter(range(90))
    assert [run.number for run in store.runs()] == list(range(1, 91))
    assert find_sweep(store, sweep.id).position >= 90


def test_a_point_gets_another_name_where_a_user_has_taken_its_own(store) -> None:
    taken = [run_name(number) for number in (4, 5)]
    users = [store.create_run({}, name=name) for name in taken]
    sweep = create_sweep(store, NewSweep(""))
    queue = Queue(store, sweep.id, "a1", ahead=8)
    first, *more = [run for n in (1, 3) for run in queue.claim(n, grid_of(9)).fresh]
    assert [run.number for run in (*users, first, *more)] == [1, 2, 3, 4, 5, 6]
    assert [run.name for run in more] == [f"{taken[0]}-4", f"{taken[1]}-5", run_name(6)]
    assert xs([first, *more]) == [0, 1, 2, 3]
    assert len(store.runs()) == 6


@pytest.mark.sqlite
def test_an_agent_waits_for_the_write_lock_and_then_claims(store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    queue, claimed = Queue(store, sweep.id, "a1", ahead=4), []
    queue.claim(1, grid_of(9))
    with open_store(store.path, timeout_s=0.2) as other:
        waits = threading.Thread(target=lambda: claimed.append(queue.claim(1, grid_of(9))))
        impatient = Queue(other, sweep.id, "a2", ahead=4)
        with open_store(store.path) as third, third.batch():
            waits.start()
            with pytest.raises(StoreError, match=r"has been locked by another program for 0\.2 s"):
                impatient.claim(1, grid_of(9))
            assert claimed == []
        waits.join(240)
        assert [xs(claim.fresh) for claim in claimed] == [[1]]
        assert xs(impatient.claim(1, grid_of(9)).fresh) == [2]
