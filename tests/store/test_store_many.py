"""More runs in one statement than a database takes variables."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from searches import grid_of

from thetahat.core import Status, StoreError
from thetahat.store import Follower, NewSweep, Queue, Store, create_sweep, run_configs

MANY = 3_000
"""Three times the variables that a statement may have here."""


@pytest.fixture
def few_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a statement of SQLite have 999 variables, as before 2020, in place of 32,766."""

    def connect(*args: Any, connect: Any = sqlite3.connect, **more: Any) -> sqlite3.Connection:
        opened = connect(*args, **more)
        opened.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
        return opened

    monkeypatch.setattr(sqlite3, "connect", connect)


@pytest.mark.sqlite
def test_a_claim_of_many_runs_is_held_logged_and_given_back(
    few_variables: None, store: Store
) -> None:
    many = {f"a{k}": k for k in range(1000)}
    query = f"SELECT {', '.join(f':{name}' for name in many)}"
    with pytest.raises(StoreError, match="too many SQL variables"), store.batch() as writer:
        writer.execute(query, many)
    sweep = create_sweep(store, NewSweep("", points=MANY))
    queue = Queue(store, sweep.id, "me")
    claim = queue.claim(MANY, grid_of(MANY))
    assert (len(claim.fresh), claim.exhausted, claim.open) == (MANY, True, MANY)
    ids = [run.id for run in claim.fresh]
    follower = Follower(store, sweep.id)
    for _ in range(2):  # the second time it asks for the open ones by their ids
        follower.refresh()
        assert len(follower.runs) == MANY
    assert len(dict(run_configs(store, sweep.id, ids))) == MANY
    with store.batch() as writer:
        assert queue.still_mine(writer, ids) == set(ids)
        writer.beat(ids)
        queue.give_up(writer, ids, reason="it died")
    again = queue.claim(MANY, grid_of(MANY))
    assert sum(map(len, again.again)) == MANY
    assert {run.attempt for run in again.runs} == {2}
    queue.hand_back(ids, "enough")
    assert len(store.runs(sweep_id=sweep.id, status=str(Status.QUEUED))) == MANY
    assert Queue(store, sweep.id, "other").recover([f"a{k}" for k in range(MANY)]) == 0


def test_ids_are_matched_whole_and_as_they_are(store: Store) -> None:
    sweep = create_sweep(store, NewSweep(""))
    queue = Queue(store, sweep.id, "a\"'%_")
    held = queue.claim(3, grid_of(3)).fresh
    with store.batch() as writer:
        assert queue.still_mine(writer, [held[0].id, "x", held[2].id[:-1]]) == {held[0].id}
        assert queue.still_mine(writer, []) == set()
    assert Queue(store, sweep.id, "b").recover(["a", "a\"'%_"]) == 3
