"""The agent: claims runs of one sweep, has them run, and records their events, until all is done.

    claim -> run -> record -> judge -> claim ...

It keeps nothing that the store does not have: if it is killed at any moment, another one continues.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from thetahat.core.errors import StoreError
from thetahat.core.run import Ended, Logged, Started, Status, Tracker
from thetahat.search import Hyperband, Trial, asha, stop, target_reached, targets_reached
from thetahat.store import (
    CANCELLED_REASON,
    WORK,
    Changes,
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
from thetahat.sweep._events import AgentEvent, Alive, Noted, Remarked, RunEvent
from thetahat.sweep._full_disk import FullDisk
from thetahat.sweep.agent._data_files import DataFiles
from thetahat.sweep.agent._followers import Followers
from thetahat.sweep.agent._history import PRUNED, SweepTrials
from thetahat.sweep.agent._kept_models import KeptModels
from thetahat.sweep.agent._liveness import (
    AgentWatch,
    StorePlace,
    between_searches_s,
    proof_of_life,
)
from thetahat.sweep.agent._logged_metric import LoggedMetric
from thetahat.sweep.agent._proposer import Proposer
from thetahat.sweep.agent._recorder import Recorder, Written
from thetahat.sweep.agent._runner import Runner, doing
from thetahat.sweep.agent._signals import TERMINATED_S, listening, was_terminated
from thetahat.sweep.agent._tally import RUNNING, Tally, check_first_failures
from thetahat.sweep.processes._process_group import end_programs, host_name

POLL_S, BEAT_S, FLUSH_S, LOOK_S = 0.1, 5.0, 0.25, 1.0
EMPTY_S, EMPTY_SHARE = 2.0, 0.05
"""After a claim that found nothing: seconds until the next, at most, and as a share of those since
the first of them. A thousand agents at a sweep's end do not ask ten times a second each."""
CANCELLED, FINISHED = "cancelled", "finished"


@dataclass(frozen=True)
class Search:
    """What a sweep's file and the agent's flags ask for.

    Args:
        cap: runs of the sweep over all agents, at most.
        count: runs of this agent, at most.
        keep_going: whether to go on when the first runs all fail.
        asha: whether ASHA judges the runs that report at ``early``'s bands.
        columns: metrics that a run can have beside its records; None if only its end tells.
    """

    propose: Proposer
    trials: SweepTrials
    cap: int | None = None
    count: int | None = None
    keep_going: bool = False
    early: Hyperband | None = None
    prune: Callable[[Sequence[Trial]], set[str]] | None = None
    """The runs that a study's pruner stops, of the trials of the search."""
    asha: bool = False
    columns: frozenset[str] | None = None
    kept: KeptModels | None = None
    """The models of its best runs; None where none are kept."""


Refit = Callable[[SweepRow], "Search | None"]
"""The search of a sweep's current file; None if this agent's runner cannot run it."""


Say = Callable[[AgentEvent], None]
"""Receives the events that an agent sends to the screen."""


class Agent:
    """Works on one sweep until it is done. Use ``work_on``.

    Args:    search: of the sweep's file as it is now.   refit: makes that of a later file.
             retries: how often a failed run is tried again.
             stops: tells whether to stop as at Ctrl-C.
             on: the user's functions of events; their errors end this agent.
    """

    def __init__(
        self,
        store: Store,
        sweep: SweepRow,
        runner: Runner,
        search: Search,
        refit: Refit,
        tally: Tally,
        say: Say,
        *,
        retries: int,
        stops: Callable[[], bool] | None = None,
        on: Sequence[Tracker] = (),
    ) -> None:
        self.id = new_agent_id()
        self.store, self.sweep, self.runner = store, sweep, runner
        self.tally, self.say = tally, say
        self.queue = Queue(store, sweep.id, self.id, search.cap, search.propose.ahead)
        self.outdated = False
        """Whether the sweep got a file that this agent's runner cannot run."""
        self._search, self._refit = search, refit
        self._recorder = Recorder(store, self.queue, retries, keep=search.count is not None)
        self._watch = AgentWatch(store.folder / "agents")
        self._place, self._changes = StorePlace(store.path), Changes(store, WORK)
        self._disk = FullDisk(lambda line: say(Remarked(line)))
        self._logged, self._data = LoggedMetric(store, sweep.id), DataFiles(store, sweep.id)
        self._beat_s = self._looked_s = self._searched_s = -1e9
        self._others = 0
        """Agents beside this one, when they were last counted."""
        self._empty_since: float | None = None
        self._claim_s = -1e9
        """When to claim again, after a claim that found nothing."""
        self._unwritten: list[RunEvent] = []
        self._stops, self._followers = stops or (lambda: False), Followers(on)
        self._asked = 0
        """How often Ctrl-C was pressed."""
        self._works = False
        """Whether some run has begun to train, or logged anything."""
        self._near = False
        """Whether a run that still trains has reached the target: no other begins until it ends."""

    def work(self) -> None:
        """Work until the sweep is done, a user stops this agent, or it is ``outdated``.

        Raises:  ConfigError: the metric is never logged, or the first runs all fail.
        """
        # With this space, an agent that ends on a full disk can return its runs to the queue.
        reserve = Reserve(self.store.folder)
        reserve.take()
        with proof_of_life(self.store.folder / "agents", self.id), listening(self._interrupt):
            self.queue.join(host_name(), os.getpid())
            try:
                # Agents that were killed at their end, or before they removed one, left locks.
                with suppress(StoreError):
                    self._watch.forget(self.queue.ended(self._watch.left(), host_name()))
                while self._turn():
                    pass
                self._drop_terminated()
                if self._unwritten:
                    # Once more: without it, the runs still go back to the queue.
                    with suppress(StoreError):
                        self._record()
                if self._search.kept is not None:
                    with suppress(StoreError):
                        self._search.kept.prune(now=True)
            except StoreError:
                # If the whole store was removed, a folder in it is missing too: report the store.
                self._place.check(self.sweep.id)
                raise
            finally:
                try:
                    self.runner.halt()
                finally:
                    self._changes.close()
                    # Also after a second Ctrl-C: other agents need not wait for the lease.
                    reserve.release()
                    self.queue.leave(unbegun=self._recorder.unbegun)

    def _propose(self, sweep: SweepRow, begun: int, n: int) -> Offer:
        """Propose runs from the sweep's file: always from the current one."""
        if (sweep.text, sweep.plan) != (self.sweep.text, self.sweep.plan):
            self.sweep = sweep
            self._logged.seen.clear()
            search = self._refit(sweep)
            self.outdated = search is None
            if search is not None:
                self._search, self.queue.cap = search, search.cap
                self.queue.ahead = search.propose.ahead
                self.say(Alive(self.id, sweep))
                line = "the sweep was given another file: it goes on with that"
                self.say(Remarked(line, again=True))
        if self.outdated:
            self.queue.cap, self.queue.ahead = None, 0
            return Offer([], sweep.position)
        return self._search.propose(sweep, begun, n)

    # -- one turn -------------------------------------------------------------------------------

    def _turn(self) -> bool:
        """Take one turn, or only a part of one while the disk is full; return whether to go on."""
        if self._stops() and not self._asked:
            self._interrupt()
        if self._disk.waits and not self._asked:
            self._unwritten += self.runner.poll(POLL_S)
            return True
        try:
            return self._whole_turn()
        except StoreError as error:
            self._disk.refused(error)
            return True

    def _whole_turn(self) -> bool:
        if not self._asked:
            self._live()
        if self._asked or self.tally.interrupted:
            self.tally.interrupted = True
            return False
        if self._near:
            self._check_target()
        # Claim nothing more while finished work cannot be written.
        waits = time.monotonic() < self._claim_s
        may_claim = self.runner.ready and not (self._unwritten or self._near or waits)
        if may_claim and not self._claim():
            return False
        pause_s = POLL_S if self.runner.busy or waits or not self.runner.ready else 0.02
        until = 0.0
        while more := self.runner.poll(pause_s):
            self._unwritten += more
            pause_s, until = 0.01, until or time.monotonic() + FLUSH_S
            # With early termination, runs wait at a band for the judgement: gather no more.
            full = len(self._unwritten) >= 4096 or self._search.early is not None
            if full or time.monotonic() >= until:
                break
        self._drop_terminated()
        self._judge(self._record())
        return True

    def _drop_terminated(self) -> None:
        """Forget the ends of programs that a signal to all of this job has ended, with this agent.

        Slurm sends SIGTERM to each process of a job, to its agent perhaps last. Such runs are not
        failed: this agent still holds them, and returns them to the queue when it leaves.
        """
        if not any(map(was_terminated, self._unwritten)):
            return
        until = time.monotonic() + TERMINATED_S
        while not self._asked and time.monotonic() < until:
            time.sleep(0.01)
        if self._asked:
            self._unwritten = [one for one in self._unwritten if not was_terminated(one)]

    def _live(self) -> None:
        """Renew the lease, read what users ask for, and find dead agents."""
        now = time.monotonic()
        if now - self._beat_s > BEAT_S:
            self._beat_s = now
            if self.queue.beat(doing(self.runner)) == "stop":
                self.tally.interrupted = True
        if now - self._looked_s > LOOK_S:
            self._looked_s = now
            self._place.check(self.sweep.id)
            if now - self._searched_s > between_searches_s(self._others):
                self._searched_s = now
                self._recover()
            sweep = self.queue.look()
            if sweep.state != self.tally.state:
                self._claim_soon()
                known = {"paused": "the sweep is paused: no new runs begin", RUNNING: "it goes on"}
                line = known.get(sweep.state, f"the sweep is {sweep.state}")
                self.say(Remarked(line, again=True))
            if sweep.state == CANCELLED:
                self.runner.stop(dict.fromkeys(self.runner.busy, CANCELLED_REASON))
            self.tally.state = sweep.state
            self.say(Alive(self.id, sweep))

    def _recover(self) -> None:
        """Find dead agents, end the orphans of their runs, and return the runs to the queue."""
        others = self.queue.others()
        self._others = len(others)
        dead = self._watch.dead(others)
        if not dead:
            return
        stopped = [a for a in others if a["id"] in dead and self._watch.is_stopped(a)]
        running = self.store.runs(sweep_id=self.sweep.id, status="running")
        ended = end_programs(self.store, [run for run in running if run.agent in dead])
        if ended:
            self.say(Remarked(f"ended what a dead agent had left running: {ended} programs"))
        runs = self.queue.recover(dead)
        self._watch.forget(a["id"] for a in others if a["id"] in dead and a["host"] == host_name())
        self._claim_soon()
        agents = "an agent" if len(dead) == 1 else f"{len(dead)} agents"
        how = f"{agents} died"
        if stopped:
            how = ", ".join(f"{a['host']}:{a['pid']}" for a in stopped) + " stopped (Ctrl-Z?)"
        self.say(Remarked(f"{how}; {runs} runs went back to the queue", again=True))

    def _claim(self) -> bool:
        """Claim as many runs as there is room for; return False when nothing is left to do."""
        if self.outdated:
            return bool(self.runner.busy)
        room, most = self.runner.room(), None
        if self._search.count is not None:
            most = self._search.count - self.tally.claimed
            room = min(room, most)
            if most <= 0 and not self.runner.busy:
                return False
        if room <= 0:
            return True
        claim = self.queue.claim(room, self._propose, most)
        self.tally.claimed += len(claim.runs)
        self._recorder.hold(claim.runs)
        self._written()
        if claim.runs:
            self._claim_soon()
            self._take(claim)
            return True
        now = time.monotonic()
        self._empty_since = now if self._empty_since is None else self._empty_since
        self._claim_s = now + min(EMPTY_S, EMPTY_SHARE * (now - self._empty_since))
        return bool(self.runner.busy) or self._wait(claim)

    def _claim_soon(self) -> None:
        """Claim in the next turn again: something has changed since a claim found nothing."""
        self._empty_since, self._claim_s = None, -1e9

    def _written(self) -> None:
        """Take in that the store can be written, perhaps again."""
        if self._disk.found():
            # A claim may have been committed although no answer came.
            self.queue.return_unknown(self._recorder.runs)

    def _take(self, claim: Claim) -> None:
        """Start claimed runs; return those that find no room on the disk to the queue."""
        try:
            self.runner.take(claim.again, claim.fresh)
        except StoreError as error:
            left = [run.id for run in claim.runs if run.id not in self.runner.busy]
            self.tally.claimed -= len(left)
            with suppress(StoreError):  # leaving returns them too
                self.queue.hand_back(left, str(error), unbegun=left)
            raise

    def _wait(self, claim: Claim) -> bool:
        """Wait if other agents still train; return whether to stay."""
        if claim.sweep.state in (CANCELLED, FINISHED):
            self.tally.state = claim.sweep.state
            return False
        if claim.sweep.state == RUNNING and claim.exhausted and claim.open == 0:
            # Another file may have been given to it since.
            self.tally.state = self.queue.finish(claim.sweep)
            return self.tally.state != FINISHED
        if claim.sweep.state == RUNNING and claim.open:
            self.say(Remarked("all runs have begun; waiting for those of other agents"))
        if self._changes.wait(POLL_S, max(POLL_S, self._claim_s - time.monotonic())):
            self._claim_soon()
        return True

    def _record(self) -> Sequence[RunEvent]:
        """Write what has happened, show it, and check the metric; return the events."""
        self._unwritten += self._data.notes(self._unwritten, self._recorder.runs)
        events = self._unwritten
        metric = self._search.trials.metric
        judged_by = None if metric is None else metric.name
        self._followers.take(events, self._recorder.runs, judged_by)
        written = self._recorder.write(events, judged_by)
        # Only now: events that could not be written still wait.
        self._unwritten = []
        if events:
            self._written()
        self.runner.kept()
        if written.lost:
            self.runner.forget(written.lost)
        if written.again:
            self.runner.take(_groups(written.again), [])
        for reason, n in Counter(written.retried.values()).items():
            self.say(Remarked(f"{n} runs are tried again: {reason}", again=True))
        for event in events:
            self._works |= isinstance(event, Logged) and bool(event.columns)
            self._works |= isinstance(event, Started) and event.n_params is not None
            self._logged.take(event)
            if isinstance(event, Noted):
                self.say(event)
        self._followers.call(written.lost)
        self._count(written)
        if self._search.kept is not None and written.ended:
            self._search.kept.prune()
        for objective in self._search.trials.objectives:
            self._logged.check(objective, written.ended, self._search.columns)
        if not self._search.keep_going and not self._works:
            check_first_failures(self.tally, self.sweep)
        return events

    def _count(self, written: Written) -> None:
        """Count the runs that have ended, and show them."""
        if written.ended or written.retried:
            self._claim_soon()
        for ended in written.ended:
            self.tally.ended += 1
            if ended.status is Status.FAILED:
                self.tally.failed += 1
                self.tally.last_failure = ended.reason
            self.say(ended)

    # -- judging --------------------------------------------------------------------------------

    def _judge(self, events: Sequence[RunEvent]) -> None:
        """End runs that early termination stops, and the sweep once its target is reached."""
        search, trials = self._search, self._search.trials
        if trials.metric is None or not any(isinstance(e, Logged | Ended) for e in events):
            return
        if search.early is not None:
            trials.refresh()
            rule, name = (asha, "asha") if search.asha else (stop, "hyperband")
            losers = rule(trials.all(), search.early, trials.metric) & self.runner.busy
            reason = (
                f"{name}: its {trials.metric.name} is not among the best"
                f" {1 / search.early.eta:.0%} of its band"
            )
            # Also without losers: runs that wait at a band go on.
            self.runner.stop(dict.fromkeys(losers, reason))
        elif search.prune is not None:
            trials.refresh()
            losers = search.prune(trials.history(0).trials) & self.runner.busy
            self.runner.stop(dict.fromkeys(losers, f"{PRUNED} the study's pruner stopped it"))
        self._check_target()

    def _check_target(self) -> None:
        """End the sweep once a run that ended well has reached the target."""
        self._near, trials = False, self._search.trials
        metric = trials.metric
        aimed = [one for one in trials.objectives if one.target is not None]
        if metric is None or not aimed or self.tally.state != RUNNING:
            return
        trials.refresh()
        history = trials.history(0)
        if len(trials.objectives) > 1:
            if targets_reached(history, trials.objectives):
                words = " and ".join(f"{one.name} {one.target:g}" for one in aimed)
                self._reached(f"a run reached the targets {words}")
            return
        reached = target_reached(history)
        ended = replace(history, trials=[trial for trial in history.trials if trial.over])
        self._near = reached and not target_reached(ended)
        if reached and not self._near:
            self._reached(f"{metric.name} reached its target {metric.target:g}")

    def _reached(self, reason: str) -> None:
        set_state(self.store, self.sweep.id, FINISHED, reason)
        self.queue.end_waiting(reason)
        self.say(Remarked(f"{reason}: no new runs begin"))

    def _interrupt(self, which: int | None = None, *_: Any) -> None:
        """Handle Ctrl-C: the first finishes the chunk, the second stops at once.

        SIGTERM is as the first, however often it comes: a batch system and a shell both send it.
        """
        if which == signal.SIGTERM and self._asked:
            return
        self._asked += 1
        if self._asked > 1:
            raise KeyboardInterrupt(f"go on with: thetahat agent {self.sweep.id}")
        self.say(Remarked("stopping; runs go back to the queue. Ctrl-C again stops at once"))


def _groups(again: Sequence[RunRow]) -> list[list[RunRow]]:
    """Group retried runs by cohort: runs that go on together share a checkpoint."""
    groups: dict[str, list[RunRow]] = {}
    for run in again:
        whole = run.cohort if run.checkpoint and not run.alone else None
        groups.setdefault(whole or run.id, []).append(run)
    return list(groups.values())
