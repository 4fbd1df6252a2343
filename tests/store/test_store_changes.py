"""PostgreSQL tells of changes of state; what is told may be lost, and then costs a look only."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator

import pytest
from searches import grid_of

from thetahat.store import (
    WORK,
    Changes,
    NewSweep,
    Queue,
    Store,
    change_plan,
    create_sweep,
    open_store,
    retry_failed,
    set_state,
)

# The database's own part, which is made to fail.
from thetahat.store._postgres import PostgresDatabase
from thetahat.web import Source

# The events of the page, without a server.
from thetahat.web._app import changes as page_events

LONG_S = 600.0
"""Longer than any test: what returns before it was told."""


@pytest.fixture
def listening(postgres_url: str) -> Iterator[tuple[Store, Changes]]:
    """A store in PostgreSQL, and one who listens already."""
    with open_store(postgres_url) as store:
        changes = Changes(store, WORK)
        changes.wait(0.0, 0.0)
        yield store, changes
        changes.close()


@pytest.mark.postgres
def test_a_change_of_state_wakes_who_waits(listening) -> None:
    store, changes = listening
    sweep = create_sweep(store, NewSweep(""))
    queue = Queue(store, sweep.id, "a1", ahead=4)
    one, two, three = queue.claim(3, grid_of(9)).fresh
    store.finish_run(one.id, status="failed")
    assert not changes.wait(0.0, 0.2), "who looks for work need not look at each end"
    steps: list[Callable[[], object]] = [
        lambda: queue.hand_back([two.id]),
        lambda: set_state(store, sweep.id, "paused"),
        lambda: set_state(store, sweep.id, "running"),
        lambda: retry_failed(store, sweep.id),
        lambda: change_plan(store, sweep.id, text_="", plan={"count": 3}, points=None),
        queue.leave,
        lambda: queue.end_waiting("over"),
    ]
    for step in steps:
        told: list[bool] = []
        waits = threading.Thread(target=lambda told=told: told.append(changes.wait(0.0, LONG_S)))
        waits.start()
        step()
        waits.join(240)
        assert told == [True]
    page = Changes(store)
    page.wait(0.0, 0.0)
    store.finish_run(three.id, status="finished")
    assert page.wait(0.0, LONG_S)
    page.close()


@pytest.mark.postgres
def test_what_is_no_change_of_state_is_not_told(listening) -> None:
    store, changes = listening
    sweep = create_sweep(store, NewSweep(""))
    queue = Queue(store, sweep.id, "a1", ahead=4)
    queue.join("here", 1)
    run = queue.claim(1, grid_of(9)).fresh[0]
    queue.claim(1, grid_of(9))
    queue.beat()
    store.log_block(run.id, {"epoch": [1], "loss": [1.0]})

    def undone() -> None:
        with store.batch() as writer:
            writer.finish_run(run.id, status=run.status)
            raise LookupError

    with pytest.raises(LookupError):
        undone()
    assert not changes.wait(0.0, 0.3)


@pytest.mark.postgres
def test_a_change_that_is_not_told_costs_one_look(listening, monkeypatch) -> None:
    store, changes = listening
    sweep = create_sweep(store, NewSweep(""))
    monkeypatch.setattr(PostgresDatabase, "tell", lambda *_: None)
    assert set_state(store, sweep.id, "paused")
    assert not changes.wait(0.0, 0.2)


@pytest.mark.postgres
def test_a_lost_connection_is_replaced_and_never_ends_who_waits(listening, monkeypatch) -> None:
    store, changes = listening
    monkeypatch.setattr("thetahat.store._changes._AGAIN_S", 1e9)
    sweep = create_sweep(store, NewSweep(""))
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    with store.batch() as writer:
        writer.connection.exec_driver_sql(ended.replace("%", "%%"))
    assert not changes.wait(0.0, LONG_S), "the connection is gone, and this is a look"
    assert not changes.wait(0.0, LONG_S), "it is not tried again at once"
    monkeypatch.setattr("thetahat.store._changes._AGAIN_S", -1.0)
    changes.wait(0.0, 0.0)
    set_state(store, sweep.id, "paused")
    assert changes.wait(0.0, LONG_S)


def test_where_nothing_tells_a_wait_is_a_pause(tmp_path) -> None:
    with open_store(tmp_path) as store:
        changes = Changes(store)
        set_state(store, create_sweep(store, NewSweep("")).id, "paused")
        assert not changes.wait(0.0, LONG_S)
        changes.close()


@pytest.mark.postgres
def test_the_page_follows_what_is_told(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        sweep = create_sweep(store, NewSweep(""))
        source = Source(postgres_url)
        states = iter(("paused", "running", "cancelled"))

        async def follow() -> list[str]:
            seen: list[str] = []
            events = page_events(source, every_s=LONG_S)
            async for line in events:
                if line.startswith("event: change"):
                    seen.append(json.dumps(json.loads(line.split("data: ")[1])))
                    state = next(states, None)
                    if state is None:
                        break
                    while not source.listening:
                        await asyncio.sleep(0.01)
                    await asyncio.to_thread(set_state, store, sweep.id, state)
            await events.aclose()
            return seen

        found = asyncio.run(asyncio.wait_for(follow(), LONG_S / 2.5))
        assert len(set(found)) == 4
        source.ending = lambda: True
        source.close()
