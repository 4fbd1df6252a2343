"""The pool's workers and the messages that they get, without any process."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

# The pool is driven by messages that no worker sends at will.
from thetahat.sweep.workers._messages import Job, Ready, Regroup, Stop
from thetahat.sweep.workers._pool import Pool
from thetahat.sweep.workers._slot import ClaimedJob, Slot


class Recorded:
    """A worker that only keeps the messages that it got."""

    def __init__(self, number: int = 0, *, breaks: bool = False) -> None:
        self.number, self.breaks = number, breaks
        self.ready: Ready | None = None
        self.got: list = []

    def send(self, message) -> None:
        self.got.append(message)

    def leave(self) -> None:
        self.got.append("leave")

    def close(self, patience_s: float = 2.0) -> None:
        self.got.append("close")
        if self.breaks:
            raise KeyboardInterrupt

    def kill(self) -> None:
        self.got.append("kill")


def claimed(name: str, *runs: str) -> ClaimedJob:
    return ClaimedJob(Job(name, [{}] * len(runs), runs, name))


def test_slot_stop_ends_runs_that_wait_without_their_worker() -> None:
    slot = Slot(Recorded())
    slot.send(claimed("now", "a", "b"))
    slot.waiting = [claimed("next", "c"), claimed("last", "d")]
    assert slot.stop({"b": "cancelled", "c": "cancelled"}) == ["c"]
    assert slot.worker.got[1:] == [Stop("now", {1: "cancelled"})]
    assert slot.runs == {"a", "b", "d"}
    assert slot.stop({"a": "cancelled", "d": "cancelled"}) == ["d"]
    assert slot.waiting == []


def test_pool_close_kills_all_workers_after_a_second_ctrl_c() -> None:
    pool = Pool(None, lambda k: Recorded(k, breaks=k == 0), 3)
    with pytest.raises(KeyboardInterrupt):
        pool.close()
    assert [slot.worker.got[0] for slot in pool.slots] == ["leave"] * 3
    assert [slot.worker.got[-1] for slot in pool.slots] == ["kill"] * 3


def test_pool_traces_what_its_present_workers_trace(tmp_path) -> None:
    pool = Pool(SimpleNamespace(folder=tmp_path), Recorded, 2)
    one, two = pool.slots

    def load(slot: Slot, *traced: str) -> None:
        slot.worker.ready = Ready(1, frozenset(traced))
        pool.take_message(slot, slot.worker.ready)

    load(one, "lr", "seed")
    assert (pool.ready, pool.traced) == (True, {"lr", "seed"})
    load(two, "lr", "seed")
    two.send(claimed("job", "a"))
    pool.take_message(two, Regroup("job", frozenset({"lr"})))
    assert pool.traced == {"lr"}
    # The program has changed: what the old one traced does not bind the new one.
    one.stale = two.stale = True
    assert (pool.ready, pool.open) == (False, [one, two])
    pool.slots[0] = Slot(Recorded())
    load(pool.slots[0], "lr", "beta")
    assert (pool.ready, pool.traced) == (True, {"lr", "beta"})
    assert pool.open == [pool.slots[0]]
