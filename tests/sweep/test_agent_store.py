"""An agent and its store: many runs, one that another took over, a disk that is full."""

from __future__ import annotations

import errno
import sys
from collections import Counter
from pathlib import Path

import pytest
from at_work import LINE, LOSES
from sqlalchemy import event

from thetahat.core.errors import StoreError
from thetahat.core.run import Ended, Logged, Started, Status
from thetahat.store import find_sweep
from thetahat.sweep import SweepOptions, Work, parse_sweep
from thetahat.sweep.agent import Remarked, new_sweep, work_on


class AtOnce:
    """Runs that end as soon as they are begun."""

    ready = True

    def __init__(self, width: int = 128, then=None) -> None:
        self.width, self.then = width, then
        self.events: list = []
        self.forgotten: set[str] = set()

    def follow(self, proposed) -> None:
        pass

    @property
    def busy(self) -> set[str]:
        return set()

    def room(self) -> int:
        return self.width

    def take(self, again, fresh) -> None:
        for run in [*(r for group in again for r in group), *fresh]:
            x = float(run.config["x"])
            self.events += [
                Started(0, run.config, None, None, {}, run=run.id),
                Logged(0, {"epoch": [1, 2], "loss": [x + 1, x]}, run.id),
                Ended(0, Status.FINISHED, "", 2, {"loss": x}, run=run.id),
            ]

    def poll(self, timeout_s: float) -> list:
        if self.then is not None:
            self.then(self)
        events, self.events = self.events, []
        return events

    def stop(self, reasons) -> None:
        pass

    def forget(self, runs) -> None:
        self.forgotten |= runs

    def kept(self) -> None:
        pass

    def halt(self) -> None:
        pass

    def close(self) -> None:
        pass


def made(store, points: int, more: str = ""):
    """A grid over x = 1 .. points."""
    Path("train.py").write_text(LOSES, encoding="utf-8")
    metric = f"metric: {{name: loss{more}}}"
    text = (
        f"program: train.py\nmethod: grid\n{metric}\nparameters: {{x: {{min: 1, max: {points}}}}}"
    )
    return new_sweep(store, parse_sweep(text, "sweep.yaml").require(), SweepOptions())


def quiet(event) -> None:
    """Show nothing."""


def test_agent_needs_as_many_statements_for_each_of_many_runs_as_of_few(at) -> None:
    """The statements and the rows that a run needs do not grow with those that are there."""
    counts = []
    with at.store() as store:
        for points in (500, 4000):
            sweep = made(store, points)
            statements = Counter()

            def count(conn, cursor, statement, parameters, context, many) -> None:
                statements[statement.split(None, 1)[0]] += 1  # noqa: B023

            event.listen(store._engine, "before_cursor_execute", count)
            tally = work_on(store, sweep, Work(), quiet, AtOnce())
            event.remove(store._engine, "before_cursor_execute", count)
            assert (tally.claimed, tally.ended, tally.failed) == (points, points, 0)
            assert find_sweep(store, sweep.id).state == "finished"
            assert len(store.runs(sweep_id=sweep.id)) == points
            counts.append(sum(statements.values()) / points)
    assert counts[1] < 1.2 * counts[0]


def test_follower_reads_each_run_and_record_once(at, monkeypatch) -> None:
    from thetahat.store import Follower

    taken, appended = Counter(), Counter()
    take, append = Follower._take, Follower._append
    monkeypatch.setattr(
        Follower, "_take", lambda self, row: (taken.update([row["id"]]), take(self, row))
    )
    monkeypatch.setattr(
        Follower, "_append", lambda self, row: (appended.update([row.id]), append(self, row))
    )
    with at.store() as store:
        # A target has the agent look at all of the history after every step.
        sweep = made(store, 2000, ", target: -1")
        work_on(store, sweep, Work(), quiet, AtOnce())
    assert len(taken) >= 2000 - 128
    # Once when it is new, and again only while it has not ended.
    assert max(taken.values()) <= 3
    assert max(appended.values()) == 1


def test_agent_forgets_a_run_that_another_agent_took(at) -> None:
    with at.store() as store:
        sweep = made(store, 3)

        def steal(runner: AtOnce) -> None:
            runner.then = None
            held = [u.run for u in runner.events if isinstance(u, Started)]
            with store.batch() as writer:
                writer.connection.exec_driver_sql(
                    "UPDATE runs SET agent = 'other', attempt = 2 WHERE id = ?", (held[1],)
                )
            runner.stolen = held[1]

        runner = AtOnce(then=steal)
        work = Work(count=3)
        work_on(store, sweep, work, quiet, runner)
        assert runner.forgotten == {runner.stolen}
        found = store.run(runner.stolen)
        assert (str(found.status), found.agent, found.attempt) == ("running", "other", 2)
        assert store.blocks(runner.stolen) == []
        others = [r for r in store.runs() if r.id != runner.stolen]
        assert [str(r.status) for r in others] == ["finished"] * 2


class Disk:
    """A store that may not grow by a page, as long as it is full."""

    def __init__(self, store) -> None:
        self.full = False

        @event.listens_for(store._engine, "checkout")
        def checkout(raw, *_) -> None:
            pages = raw.execute("PRAGMA page_count").fetchone()[0] if self.full else 1 << 30
            raw.execute(f"PRAGMA max_page_count={pages}")


def every_run_is_whole(store, sweep, points: int) -> None:
    runs = store.runs(sweep_id=sweep.id)
    assert sorted(run.config["x"] for run in runs) == list(range(1, points + 1))
    assert {str(run.status) for run in runs} == {"finished"}
    assert all(len(store.history(run.id)["epoch"]) == 2 for run in runs)


def test_agent_ends_without_a_loss_if_the_disk_stays_full(at, monkeypatch) -> None:
    monkeypatch.setattr("thetahat.sweep._full_disk.ROOM_S", 0.0)
    monkeypatch.setattr("thetahat.sweep._full_disk.AGAIN_S", 0.01)
    with at.store() as store:
        sweep, disk = made(store, 400), Disk(store)

        def fill(runner: AtOnce) -> None:
            disk.full = True

        with pytest.raises(StoreError, match="the disk is full: the store .* cannot grow; free"):
            work_on(store, sweep, Work(), quiet, AtOnce(width=16, then=fill))
    with at.store() as store:
        work_on(store, find_sweep(store, sweep.id), Work(), quiet, AtOnce())
        every_run_is_whole(store, sweep, 400)


def test_agent_waits_for_room_and_writes_all_in_order(at, monkeypatch) -> None:
    monkeypatch.setattr("thetahat.sweep._full_disk.AGAIN_S", 0.01)
    notes: list[str] = []

    def say(event) -> None:
        if isinstance(event, Remarked):
            notes.append(event.line)
            disk.full = False

    with at.store() as store:
        sweep, disk = made(store, 400), Disk(store)

        def fill(runner: AtOnce) -> None:
            disk.full = not notes

        tally = work_on(store, sweep, Work(), say, AtOnce(width=16, then=fill))
        assert (tally.claimed, tally.ended, tally.failed) == (400, 400, 0)
        assert find_sweep(store, sweep.id).state == "finished"
        every_run_is_whole(store, sweep, 400)
    assert len(notes) == 2
    assert notes[0].startswith("the disk is full: the store ")
    assert notes[0].endswith(". What runs goes on; the rest is tried again for 600 s")
    assert notes[1] == "there is room on the disk again: all that had waited is written"


def test_runs_go_back_to_the_queue_if_they_find_no_room_to_begin(at, monkeypatch) -> None:
    monkeypatch.setattr("thetahat.sweep._full_disk.AGAIN_S", 0.01)
    refusals = 3

    class Refuses(AtOnce):
        def take(self, again, fresh) -> None:
            nonlocal refusals
            if refusals:
                refusals -= 1
                raise StoreError("no room") from OSError(errno.ENOSPC, "full")
            super().take(again, fresh)

    with at.store() as store:
        sweep = made(store, 40)
        tally = work_on(store, sweep, Work(count=40), quiet, Refuses(width=16))
        assert (refusals, tally.claimed, tally.ended) == (0, 40, 40)
        every_run_is_whole(store, sweep, 40)


@pytest.mark.skipif(sys.platform == "win32", reason="paths of POSIX")
def test_agent_reports_a_checkpoint_folder_that_cannot_be_made(at, thetahat) -> None:
    text = "program: train.py\nmethod: grid\nparameters: {lr: {values: [0.1, 0.2]}}"
    thetahat("sweep", at.sweep(text, LINE))
    (at.folder / ".thetahat" / "checkpoints").write_text("a file in its place")
    code, _, err = thetahat("agent", "last", "--workers", "1")
    assert code == 2
    folder = at.folder / ".thetahat" / "checkpoints"
    assert err == (
        f"thetahat: checkpoints cannot be written to {folder} (File exists); give another store with"
        " store= (--store) or THETAHAT_STORE\n"
    )
    assert {str(run.status) for run in at.runs()} == {"queued"}
