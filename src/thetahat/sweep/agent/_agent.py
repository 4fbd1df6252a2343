"""The agent: claims runs of one sweep, has them run, keeps what they say, until all is done.

    claim -> run -> record -> judge -> claim ...

It holds nothing that the store does not: kill it at any moment, and another goes on.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from thetahat.core.errors import InputError, StoreError
from thetahat.core.run import Status
from thetahat.search import Hyperband, Objective, asha, stop, target_reached
from thetahat.store import (
    CANCELLED_REASON,
    Claim,
    Offer,
    Queue,
    Reserve,
    RunRow,
    Store,
    SweepRow,
    new_agent_id,
    set_state,
)
from thetahat.sweep._full_disk import Room
from thetahat.sweep._updates import Begun, Closed, Heard, Noted, Rows, Update
from thetahat.sweep.agent._data_files import DataFiles
from thetahat.sweep.agent._history import Book
from thetahat.sweep.agent._liveness import Place, Watch, proof_of_life
from thetahat.sweep.agent._logged_metric import LoggedMetric
from thetahat.sweep.agent._proposer import Proposer
from thetahat.sweep.agent._recorder import Recorder
from thetahat.sweep.processes._process_group import end_programs, host_name

POLL_S, BEAT_S, FLUSH_S = 0.1, 5.0, 0.25
FLAPPING = 3
"""Runs that fail, before any has worked, until the agent believes that all will."""
RUNNING, CANCELLED, FINISHED = "running", "cancelled", "finished"


class Runner(Protocol):
    """Whoever runs the runs: a crew of workers, or processes."""

    @property
    def ready(self) -> bool:
        """Whether runs can be taken."""
        ...

    @property
    def busy(self) -> set[str]:
        """Runs that are being run."""
        ...

    def room(self) -> int:
        """How many runs more it can take."""
        ...

    def take(self, again: Sequence[Sequence[RunRow]], fresh: Sequence[RunRow]) -> None:
        """Run these."""
        ...

    def poll(self, timeout_s: float) -> list[Update]:
        """What has happened; waits for it at most so long."""
        ...

    def stop(self, reasons: Mapping[str, str]) -> None:
        """End runs, each for its reason."""
        ...

    def forget(self, runs: set[str]) -> None:
        """Speak no more of these."""
        ...

    def kept(self) -> None:
        """All that was told is in the store."""
        ...

    def halt(self) -> None:
        """Stop all, soon; what checkpoints hold stands."""
        ...

    def close(self) -> None:
        """End every process."""
        ...


@dataclass(frozen=True)
class Orders:
    """What this agent in particular is to do."""

    count: int | None = None
    """Runs that it takes, at most."""
    keep_going: bool = False
    """Whether to go on when the first runs all fail."""
    early: Hyperband | None = None
    asha: bool = False
    columns: frozenset[str] | None = None
    """Metrics that a run can have beside its records; None where only its end tells."""


@dataclass(frozen=True)
class Search:
    """What is proposed next, and what an agent judges by: made of a sweep's file."""

    propose: Proposer
    book: Book
    orders: Orders
    cap: int | None


Refit = Callable[[SweepRow], "Search | None"]
"""The search of a sweep that was given another file; None where other programs must run it."""


@dataclass
class Tally:
    """What an agent has done."""

    claimed: int = 0
    ended: int = 0
    failed: int = 0
    began_s: float = field(default_factory=time.monotonic)
    interrupted: bool = False
    state: str = RUNNING
    last_failure: str = ""


Say = Callable[[str, Mapping[str, Any]], None]
"""``say(what, facts)``: a word on progress; "claimed", "ended", "note", "waiting", ...; and once
a second, while the agent works, "alive"."""


class Agent:
    """Works on one sweep until it is done. Use ``work``."""

    def __init__(self, store: Store, sweep: SweepRow, retries: int, say: Say, tally: Tally) -> None:
        self.id = new_agent_id()
        self.store, self.sweep, self.say = store, sweep, say
        self.queue = Queue(store, sweep.id, self.id)
        self.recorder = Recorder(store, self.queue, retries)
        self.watch, self.place = Watch(store.folder / "agents"), Place(store.path)
        self.tally = tally
        self.asked = 0
        """How often Ctrl-C was pressed."""
        self.outdated = False
        """Whether the sweep was given a file that this agent's runner cannot run."""
        self._beat_s = self._looked_s = -1e9
        self._unwritten: list[Update] = []
        self._room = Room(lambda line: say("note", {"line": line}))
        self._logged, self._data = LoggedMetric(store, sweep.id), DataFiles(store, sweep.id)
        self._works = False
        """Whether some run has begun to train, or logged anything."""
        self._near = False
        """Whether a run that still runs has reached the target: no new one begins until it ends."""

    def work(self, runner: Runner, search: Search, refit: Refit) -> None:
        """Work until the sweep is done, or somebody stops this agent, or it is ``outdated``.

        Raises:  ConfigError: the metric is never logged, or the first runs all fail.
        """
        self.runner, self._refit = runner, refit
        self._take_over(search)
        # So that an agent that ends on a full disk can hand its runs back.
        reserve = Reserve(self.store.folder)
        reserve.take()
        with proof_of_life(self.store.folder / "agents", self.id), _listening(self._interrupt):
            self.queue.join(host_name(), os.getpid())
            try:
                while self._turn():
                    pass
                if self._unwritten:
                    # Once more: the runs go back to the queue without it.
                    with suppress(StoreError):
                        self._record()
            except StoreError:
                # A folder in the store is missing when the whole was taken away.
                self.place.check(self.sweep.id)
                raise
            finally:
                try:
                    self.runner.halt()
                finally:
                    # Also when Ctrl-C is pressed again: nobody waits for a lease then.
                    reserve.release()
                    self.queue.leave()

    def _take_over(self, search: Search) -> None:
        self._search, self.queue.cap = search, search.cap
        self.book, self.orders = search.book, search.orders
        self.recorder.keeps = search.orders.count is not None
        self.recorder.metric = None if search.book.metric is None else search.book.metric.name

    def _propose(self, sweep: SweepRow, begun: int, n: int) -> Offer:
        """What the sweep's file proposes: always the file that it has now."""
        if (sweep.text, sweep.plan) != (self.sweep.text, self.sweep.plan):
            self.sweep, self._logged.seen = sweep, False
            search = self._refit(sweep)
            self.outdated = search is None
            if search is not None:
                self.say("extended", {"sweep": sweep})
                self._take_over(search)
        if self.outdated:
            self.queue.cap = None
            return Offer([], sweep.position)
        return self._search.propose(sweep, begun, n)

    # -- one turn -------------------------------------------------------------------------------

    def _turn(self) -> bool:
        """One turn, or where the disk is full, a part of one; whether to go on."""
        if self._room.waits and not self.asked:
            self._unwritten += self.runner.poll(POLL_S)
            return True
        try:
            return self._whole_turn()
        except StoreError as error:
            self._room.refused(error)
            return True

    def _whole_turn(self) -> bool:
        if not self.asked:
            self._live()
        if self.asked or self.tally.interrupted:
            self.tally.interrupted = True
            return False
        # No more is taken while there is no room for what has been done.
        if self._near:
            self._check_target()
        may_claim = self.runner.ready and not (self._unwritten or self._near)
        if may_claim and not self._claim():
            return False
        pause_s = POLL_S if self.runner.busy or not self.runner.ready else 0.02
        until = 0.0
        while more := self.runner.poll(pause_s):
            self._unwritten += more
            pause_s, until = 0.01, until or time.monotonic() + FLUSH_S
            if time.monotonic() >= until or not self._may_wait(self._unwritten):
                break
        self._judge(self._record())
        return True

    def _may_wait(self, updates: Sequence[Update]) -> bool:
        """Whether to gather more before writing: not once somebody waits for the judgement."""
        return len(updates) < 4096 and not (self.orders.early and updates)

    def _live(self) -> None:
        """Say that this agent lives, hear what is asked of it, find the dead."""
        now = time.monotonic()
        if now - self._beat_s > BEAT_S:
            self._beat_s = now
            if self.queue.beat(_doing(self.runner)) == "stop":
                self.tally.interrupted = True
        if now - self._looked_s > 1.0:
            self._looked_s = now
            self.place.check(self.sweep.id)
            _recover(self.store, self.queue, self.watch, self.say)
            state = self.queue.look().state
            if state != self.tally.state:
                self.say("state", {"state": state})
            if state == CANCELLED:
                self.runner.stop(dict.fromkeys(self.runner.busy, CANCELLED_REASON))
            self.tally.state = state
            self.say("alive", {"agent": self.id, "doing": _doing(self.runner)})

    def _claim(self) -> bool:
        """Take what there is room for; False when there is nothing more to do."""
        if self.outdated:
            return bool(self.runner.busy)
        room, most = self.runner.room(), None
        if self.orders.count is not None:
            most = self.orders.count - self.tally.claimed
            room = min(room, most)
            if most <= 0 and not self.runner.busy:
                return False
        if room <= 0:
            return True
        claim = self.queue.claim(room, self._propose, most)
        self.tally.claimed += len(claim.runs)
        if claim.runs:
            self.recorder.hold(claim.runs)
            self._take(claim)
            self.say("claimed", {"runs": len(claim.runs), "again": len(claim.again)})
            return True
        return bool(self.runner.busy) or self._wait(claim)

    def _take(self, claim: Claim) -> None:
        """Have runs run; those that cannot be begun for want of room go back to the queue."""
        try:
            self.runner.take(claim.again, claim.fresh)
        except StoreError as error:
            left = [run.id for run in claim.runs if run.id not in self.runner.busy]
            self.tally.claimed -= len(left)
            with suppress(StoreError):  # leaving hands them back too
                self.queue.hand_back(left, str(error))
            raise

    def _wait(self, claim: Claim) -> bool:
        """Nothing to take and nothing to do: whether to stay."""
        if claim.sweep.state in (CANCELLED, FINISHED):
            self.tally.state = claim.sweep.state
            return False
        if claim.sweep.state == RUNNING and claim.exhausted and claim.open == 0:
            # Another file may have been given to it since.
            self.tally.state = self.queue.finish(claim.sweep)
            return self.tally.state != FINISHED
        self.say("waiting", {"state": claim.sweep.state, "open": claim.open})
        time.sleep(POLL_S)
        return True

    def _record(self) -> Sequence[Update]:
        """Write what has happened; what that was."""
        self._unwritten += self._data.notes(self._unwritten, self.recorder.runs)
        written = self.recorder.write(updates := self._unwritten)
        # Only now: what failed to be written still waits.
        self._unwritten = []
        if updates:
            self._room.found()
        self.runner.kept()
        if written.lost:
            self.runner.forget(written.lost)
        if written.again:
            self.runner.take(_groups(written.again), [])
        for reason in dict.fromkeys(written.retried.values()):
            n = sum(r == reason for r in written.retried.values())
            self.say("retried", {"runs": n, "reason": reason})
        for update in updates:
            if isinstance(update, Noted):
                self.say("note", {"line": update.line})
            elif isinstance(update, Rows):
                self._works = True
            elif isinstance(update, Begun):
                self._works |= update.n_params is not None
            self._logged.hear(update)
        for closed in written.closed:
            self.tally.ended += 1
            if closed.status is Status.FAILED:
                self.tally.failed += 1
                self.tally.last_failure = closed.reason
        if written.closed:
            said = {"closed": written.closed, "names": written.names, "tally": self.tally}
            self.say("ended", said)
        if self.book.metric is not None:
            self._logged.check(self.book.metric, written.closed, self.orders.columns)
        if not self.orders.keep_going and not self._works:
            _check_flapping(self.tally, self.sweep)
        return updates

    # -- judging --------------------------------------------------------------------------------

    def _judge(self, updates: Sequence[Update]) -> None:
        metric, early = self.book.metric, self.orders.early
        if metric is None or not any(isinstance(u, Rows | Heard | Closed) for u in updates):
            return
        if early is not None:
            self.book.refresh()
            rule = asha if self.orders.asha else stop
            losers = rule(self.book.trials(), early, metric) & self.runner.busy
            # Also when nobody loses: those that wait at a band go on.
            self.runner.stop(dict.fromkeys(losers, _why(self.orders, metric)))
        self._check_target()

    def _check_target(self) -> None:
        """End the sweep once a run that ended well has reached the target."""
        self._near, metric = False, self.book.metric
        if metric is None or metric.target is None or self.tally.state != RUNNING:
            return
        self.book.refresh()
        history = self.book.history(0)
        reached = target_reached(history)
        ended = replace(history, trials=[trial for trial in history.trials if trial.over])
        self._near = reached and not target_reached(ended)
        if reached and not self._near:
            reason = f"{metric.name} reached its target {metric.target:g}"
            set_state(self.store, self.sweep.id, FINISHED, reason)
            self.queue.end_waiting(reason)
            self.say("target", {"reason": reason})

    def _interrupt(self, *_: Any) -> None:
        """Ctrl-C once: finish the chunk and hand back. Twice: stop at once."""
        self.asked += 1
        if self.asked > 1:
            raise KeyboardInterrupt(f"go on with: thetahat agent {self.sweep.id}")
        self.say("interrupted", {})


def _why(orders: Orders, metric: Objective) -> str:
    """Why runs that lose at a band are ended."""
    rule, early = "asha" if orders.asha else "hyperband", orders.early
    assert early is not None
    return f"{rule}: its {metric.name} is not among the best {1 / early.eta:.0%} of its band"


def _check_flapping(tally: Tally, sweep: SweepRow) -> None:
    """The first runs all fail: probably all will.

    Raises:  ConfigError.
    """
    if tally.failed == tally.ended >= FLAPPING:
        raise InputError(
            f"the first {tally.ended} runs all failed, the last because:"
            f" {tally.last_failure.rstrip('.')}. Fix it and go on with: thetahat agent"
            f" {sweep.id}; or let it fail on with --keep-going"
        )


def _recover(store: Store, queue: Queue, watch: Watch, say: Say) -> None:
    """Find agents that died, end what they left running, and hand back their runs."""
    dead = watch.dead(queue.others())
    if not dead:
        return
    running = store.runs(sweep_id=queue.sweep_id, status="running")
    ended = end_programs(store, [run for run in running if run.agent in dead])
    if ended:
        say("note", {"line": f"ended what a dead agent had left running: {ended} programs"})
    n = queue.recover(dead)
    watch.bury(dead)
    say("recovered", {"agents": len(dead), "runs": n})


def _doing(runner: Runner) -> str:
    """What an agent does, in words: they stand in the store, for others to read."""
    runs, workers = len(runner.busy), getattr(runner, "size", 1)
    return f"{runs} run{'s' * (runs != 1)}, {workers} worker{'s' * (workers != 1)}"


def _groups(again: Sequence[RunRow]) -> list[list[RunRow]]:
    """Runs that are tried again, by cohort: those that go on together have one checkpoint."""
    groups: dict[str, list[RunRow]] = {}
    for run in again:
        whole = run.cohort if run.checkpoint and not run.alone else None
        groups.setdefault(whole or run.id, []).append(run)
    return list(groups.values())


@contextmanager
def _listening(interrupt: Callable[..., None]) -> Iterator[None]:
    """Ctrl-C, and being asked to end, call ``interrupt``: where there is a main thread to tell."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {s: signal.signal(s, interrupt) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
