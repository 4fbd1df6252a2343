"""A file of SQLite in which an agent of another machine is at work is refused, and no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from at_work import LOSES

from thetahat.core.errors import Notice

# Private: what the system says of a file is simulated.
from thetahat.store import Queue, _sqlite, find_sweep, open_store

# Private: no second machine is at hand; what one would write is written here.
from thetahat.sweep.agent import _one_machine
from thetahat.sweep.agent._liveness import machine_of, proof_of_life, this_machine

GRID = "program: train.py\nmethod: grid\nparameters: {lr: {values: [0.1, 0.2]}}"
AGENT = ("agent", "last", "--workers", "1")


@pytest.fixture
def far(at, thetahat, monkeypatch) -> Iterator[Queue]:
    """An agent of another machine, which has joined a sweep."""
    monkeypatch.setattr(_one_machine, "WATCH_S", 0.5)
    thetahat("sweep", at.sweep(GRID, LOSES))
    with at.store() as store:
        queue = Queue(store, find_sweep(store, "last").id, "far-agent")
        queue.join("far-machine", 1)
        yield queue


@pytest.fixture
def beating(far: Queue) -> Iterator[None]:
    """It lives."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.05):
            far.beat()

    thread = threading.Thread(target=beat)
    thread.start()
    yield
    over.set()
    thread.join()


def done(at) -> list[str]:
    return [str(run.status) for run in at.runs()]


def test_a_file_that_another_machine_works_in_is_refused(
    at, thetahat, beating, monkeypatch
) -> None:
    monkeypatch.setattr(_one_machine, "WATCH_S", 240.0)  # it ends at the first beat
    code, _, err = thetahat(*AGENT)
    assert code == 2
    path = at.folder / ".thetahat" / "store.db"
    assert err == (
        f"thetahat: the store {path} is a file of SQLite, which is for one machine, and an agent of"
        " far-machine is at work in it; work there, or keep it in PostgreSQL: thetahat store copy"
        f" {path} 'postgresql://USER@HOST/DATABASE?folder=SHARED', and give that address with"
        " --store or THETAHAT_STORE\n"
    )
    assert done(at) == []


def test_a_machine_that_gives_no_sign_of_life_is_not_in_the_way(at, thetahat, far) -> None:
    assert thetahat(*AGENT)[0] == 0
    assert done(at) == ["finished"] * 2


def test_an_agent_that_left_is_not_waited_for(at, thetahat, far, monkeypatch) -> None:
    far.leave()
    monkeypatch.setattr(_one_machine, "WATCH_S", 1e6)
    assert thetahat(*AGENT)[0] == 0


def test_an_old_sign_of_life_is_not_watched(at, thetahat, far, monkeypatch) -> None:
    with far.store.batch() as writer:
        old = "2020-01-01T00:00:00.000+00:00"
        writer.execute("UPDATE agents SET heartbeat = :old", {"old": old})
    monkeypatch.setattr(_one_machine, "WATCH_S", 1e6)
    assert thetahat(*AGENT)[0] == 0


@pytest.mark.skipif(this_machine() is None, reason="only Linux tells one machine's containers")
def test_a_container_of_this_machine_may_work_in_it(at, thetahat, beating) -> None:
    lock = at.folder / ".thetahat" / "agents" / "far-agent.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text(this_machine() or "")
    assert thetahat(*AGENT)[0] == 0
    assert done(at) == ["finished"] * 2


def test_the_log_of_the_file_is_what_decides(at, tmp_path, monkeypatch) -> None:
    with open_store(tmp_path / "near") as store:
        assert _one_machine._needs_one_machine(store)
    monkeypatch.setattr(_sqlite, "network_file_system", lambda path: "NFS")
    with pytest.warns(Notice), open_store(tmp_path / "far") as store:
        assert not _one_machine._needs_one_machine(store)


def test_a_file_without_a_write_ahead_log_is_not_refused(
    at, thetahat, beating, monkeypatch
) -> None:
    monkeypatch.setattr(_one_machine, "_needs_one_machine", lambda store: False)
    assert thetahat(*AGENT)[0] == 0


def test_an_agent_says_on_which_machine_it_is(at, monkeypatch) -> None:
    folder = at.folder / "agents"
    with proof_of_life(folder, "one"):
        assert machine_of(folder, "one") == this_machine()
    assert machine_of(folder, "one") is None
