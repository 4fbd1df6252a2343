"""A crew's workers and what they are told, without any process."""

from __future__ import annotations

import pytest

from thetahat.sweep.workers._messages import Job, Ready, Stop
from thetahat.sweep.workers._slot import Seat, Task
from thetahat.sweep.workers._staff import Staff


class Nobody:
    """A worker that only remembers what it was told."""

    def __init__(self, number: int = 0, *, breaks: bool = False) -> None:
        self.number, self.breaks = number, breaks
        self.ready: Ready | None = None
        self.told: list = []

    def send(self, message) -> None:
        self.told.append(message)

    def leave(self) -> None:
        self.told.append("leave")

    def close(self, patience_s: float = 2.0) -> None:
        self.told.append("close")
        if self.breaks:
            raise KeyboardInterrupt

    def kill(self) -> None:
        self.told.append("kill")


def task(name: str, *runs: str) -> Task:
    return Task(Job(name, [{}] * len(runs)), list(runs), set(range(len(runs))), name)


def test_runs_that_wait_for_a_worker_end_without_it() -> None:
    seat = Seat(Nobody())
    seat.give(task("now", "a", "b"))
    seat.waiting = [task("next", "c"), task("last", "d")]
    assert seat.stop({"b": "cancelled", "c": "cancelled"}) == ["c"]
    assert seat.worker.told[1:] == [Stop("now", {1: "cancelled"})]
    assert seat.runs == {"a", "b", "d"}
    assert seat.stop({"a": "cancelled", "d": "cancelled"}) == ["d"]
    assert seat.waiting == []


def test_no_worker_stays_behind_when_ctrl_c_is_pressed_while_they_end() -> None:
    staff = Staff(lambda k: Nobody(k, breaks=k == 0), 3, None)
    with pytest.raises(KeyboardInterrupt):
        staff.close()
    assert [seat.worker.told[0] for seat in staff.seats] == ["leave"] * 3
    assert [seat.worker.told[-1] for seat in staff.seats] == ["kill"] * 3


def test_what_is_traced_is_what_the_workers_of_today_say() -> None:
    staff = Staff(Nobody, 2, None)
    one, two = staff.seats

    def meet(seat: Seat, *traced: str) -> None:
        seat.worker.ready = Ready(1, 0, frozenset(traced), {})
        staff.meet(seat, seat.worker.ready)

    meet(one, "lr", "seed")
    assert (staff.loaded, staff.traced) == (True, {"lr", "seed"})
    meet(two, "lr", "seed")
    staff.narrow(frozenset({"lr"}))
    assert staff.traced == {"lr"}
    # The program has changed: what the old one traced does not bind the new one.
    one.stale = two.stale = True
    assert (staff.loaded, staff.open) == (False, [one, two])
    staff.seats[0] = Seat(Nobody())
    meet(staff.seats[0], "lr", "beta")
    assert (staff.loaded, staff.traced) == (True, {"lr", "beta"})
    assert staff.open == [staff.seats[0]]
