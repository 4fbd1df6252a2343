"""The lines of a sweep at every width: what stays, what goes, and what is never said too early."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from rich.cells import cell_len

# Lines of a terminal are drawn for given states and clocks.
from thetahat.cli._help import wrap
from thetahat.cli.terminal._live import Window, bar
from thetahat.cli.terminal._sweep_screen import AgentLine, Best, SweepCounts, block, plain
from thetahat.cli.terminal._sweep_status import Speed, SweepWatch
from thetahat.store import NewSweep, create_sweep, open_store

MINE = AgentLine("this agent", 8, "2 workers", (120, 240), 300, (4, 4))
OTHER = AgentLine("box:4711", 1, "1 worker")
NOW = SweepCounts(
    "mlp_sweep",
    "bayes",
    20,
    metric="val_risk",
    done=6,
    failed=2,
    running=9,
    best=Best(0.000123456, "otter-7", "id", {"lr": 0.0123, "width": 64}),
    per_second=0.5,
    left_s=24.0,
    took_s=75.0,
    agents=(MINE, OTHER),
)


def lines(now: SweepCounts, width: int, height: int = 24, *, ascii_only: bool = False) -> list[str]:
    """The block as text, but for the sign of life."""
    said = [line.plain for line in block(now, Window(width, height, ascii_only))]
    assert all(cell_len(line) <= width for line in said), said
    return [line.rstrip() for line in (said[0][2:], *said[1:])]


def test_a_wide_window_shows_all() -> None:
    assert lines(NOW, 100) == [
        "mlp_sweep  bayes  ━━━━━━━━━━━━××××╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍──────  8/20 runs",
        "  6 done   2 failed   9 running   3 waiting   30 runs/min   24 s left   1 min 15 s so far",
        "  best val_risk 0.0001235   otter-7   lr=0.0123, width=64",
        "  this agent  2 workers, 8 runs  epoch 120-240/300  4 + 4 together  ╍╍╍╍╍╍╍╍╍╍──────",
        "  box:4711    1 worker, 1 run",
    ]


def test_a_narrow_window_keeps_what_matters() -> None:
    assert lines(NOW, 48) == [
        "mlp_sweep  bayes  ━━━━━━━××╍╍╍╍╍╍╍╍╍╍───  8/20",
        "  6 done   2 failed   9 running   24 s left",
        "  best val_risk 0.0001235   otter-7   lr=0.012..",
        "  this agent  2 workers, 8 runs  4 + 4 together",
        "  box:4711    1 worker, 1 run",
    ]


@pytest.mark.parametrize("width", [20, 24, 32, 40, 60, 200])
def test_no_line_is_ever_wider_than_the_window(width) -> None:
    hostile = replace(
        NOW, name="名" * 80 + "\x1b[31m", best=Best(1.0, "\n" * 9, "id", {"a": "x" * 99})
    )
    said = lines(hostile, width)
    assert len(said) == 5
    assert not {"\x1b", "\n"} & set("".join(said))


def test_there_is_no_time_left_before_anybody_can_know_it() -> None:
    now = replace(NOW, done=0, failed=0, left_s=None, per_second=None, best=None, agents=())
    assert lines(now, 100)[1] == "  9 running   11 waiting   1 min 15 s so far"


def test_an_endless_search_has_a_count_and_no_bar() -> None:
    now = replace(NOW, points=None, left_s=None, agents=())
    assert lines(now, 100)[0] == "mlp_sweep  bayes  8 runs"


def test_what_a_reader_must_know() -> None:
    now = replace(NOW, contaminated=True, state="paused", agents=(replace(OTHER, silent_s=42.0),))
    said = lines(now, 100)
    assert said[0].startswith("mlp_sweep  bayes  paused  ")
    assert "   contaminated   " in said[2]
    assert said[3] == "  box:4711  1 worker, 1 run   silent for 42 s"


def test_more_agents_than_the_window_has_lines() -> None:
    now = replace(NOW, agents=(MINE, *(replace(OTHER, name=f"box:{k}") for k in range(50))))
    said = lines(now, 100, height=12)
    assert len(said) == 10
    assert said[-1] == "  and 45 agents more"


def test_characters_that_every_console_has() -> None:
    assert "".join(lines(NOW, 100, ascii_only=True)).isascii()


def test_what_is_tiny_still_has_its_cell() -> None:
    parts = {"done": 9998, "failed": 1, "running": 1, "left": 0}
    drawn = bar(parts, 20, Window(80, 24))
    assert drawn.plain == "━" * 18 + "×╍"
    assert [(span.start, span.style) for span in drawn.spans] == [
        *((0, "green"), (18, "red"), (19, "cyan"))
    ]


def test_one_plain_line() -> None:
    said = "8 of 20 runs; 2 failed; best val_risk 0.0001235 (otter-7); 30 runs/min; 24 s left; 2 agents"
    assert plain(NOW) == said


# -- how long it takes ----------------------------------------------------------------------------


def test_time_left_is_the_median_over_the_latest_stretches() -> None:
    speed = Speed()
    for second in range(21):
        speed.take(float(second), second, float(second), 100)
    assert speed.left_s(20.0) == pytest.approx(80.0)
    assert speed.left_s(25.0) == pytest.approx(75.0)
    # One stretch in which nothing ended (a program compiles) hardly counts.
    for second in range(30, 40):
        speed.take(float(second), second - 9, float(second - 9), 100)
    assert speed.left_s(39.0) == pytest.approx(70.0)


def test_nobody_knows_the_time_left_at_first_nor_of_an_endless_search() -> None:
    speed = Speed()
    speed.take(0.0, 0, 0.0, 10)
    speed.take(1.0, 1, 1.0, 10)
    assert speed.left_s(1.0) is None
    endless = Speed()
    for second in range(9):
        endless.take(float(second), second, float(second), None)
    assert endless.left_s(9.0) is None
    assert endless.runs_per_second() == pytest.approx(1.0)


def test_failures_alone_tell_nothing_of_the_time_left() -> None:
    speed = Speed()
    for second in range(9):
        speed.take(float(second), second, float(second), 100, lost=second)
    assert speed.left_s(8.0) is None
    # Ten that ended well in 20 seconds, and ten that failed at once: 80 more, of which 40 take 2 s.
    mixed = Speed()
    for k in range(11):
        mixed.take(2.0 * k, 2 * k, 2.0 * k, 100, lost=k)
    assert mixed.left_s(20.0) == pytest.approx(80.0)


@pytest.mark.parametrize(("at_first", "left_s"), [(50, 40.0 / 3), (1, 178.0 * 10 / 11)])
def test_runs_that_fail_at_once_make_the_others_no_faster(at_first, left_s) -> None:
    speed = Speed()
    speed.take(0.0, 0, 0.0, 100)
    speed.take(0.1, at_first, float(at_first), 100, lost=at_first)
    for k in range(11):
        over = at_first + k
        speed.take(0.1 + 2.0 * k, over, float(over), 100, lost=at_first)
    # One takes 2 seconds, and of the rest as many fail as of those that are over.
    assert speed.left_s(20.1) == pytest.approx(left_s, rel=0.05)


@pytest.mark.parametrize("status", ["diverged", "failed", "cancelled", "interrupted", "unmoved"])
def test_no_time_left_is_told_from_runs_of_a_store_that_did_not_end_well(
    tmp_path, status, monkeypatch
) -> None:
    clock = itertools.count(1000.0)
    monkeypatch.setattr("thetahat.cli.terminal._sweep_status.time.monotonic", lambda: next(clock))
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep("method: grid", "s", points=40))
        watch = SweepWatch(store, sweep, None, "grid", ())

        def ends(how: str) -> float | None:
            for _ in range(6):
                store.finish_run(store.create_run({}, sweep_id=sweep.id).id, status=how)
                watch.look(at_once=True)
            return watch.now().left_s

        assert ends(status) is None
        left_s = ends("finished")
    assert left_s is not None and 0 < left_s < 200


def test_runs_that_were_cut_short_are_no_done_runs() -> None:
    now = replace(NOW, done=3, failed=2, cut=4)
    assert now.over == 9
    assert "4 not finished" in plain(now)
    assert any("4 not finished" in line for line in lines(now, 100))


def test_runs_that_go_back_to_the_queue_begin_the_count_anew() -> None:
    speed = Speed()
    for second in range(5):
        speed.take(float(second), 2 * second, 2.0 * second, 100)
    speed.take(5.0, 4, 4.0, 100)
    assert speed.runs_per_second() is None


# -- help -----------------------------------------------------------------------------------------


def test_examples_wrap_between_words_and_under_themselves() -> None:
    assert wrap("  thetahat sweep ID    make it and say how", 80) == [
        "  thetahat sweep ID    make it and say how"
    ]
    assert wrap("  thetahat sweep ID    make it and say how to go on with it", 45) == [
        "  thetahat sweep ID    make it and say how to",
        "                       go on with it",
    ]
    assert wrap("  thetahat fit wages.csv --target wage --missing drop", 40) == [
        "  thetahat fit wages.csv --target wage",
        "      --missing drop",
    ]
