"""Progress: what it says, what it costs, and that a closed screen draws nothing."""

from __future__ import annotations

import dataclasses
import io
import sys
import time

import numpy as np
import pytest
from rich.cells import cell_len

# Lines of a terminal are drawn for given states and clocks.
from thetahat.cli.terminal._fit_progress import FitStatus, line, progress_bar, span
from thetahat.cli.terminal._live import RefreshRate, Window
from thetahat.train import Progress


def progress(epoch: int, size: int = 1, running: int = 1, val: bool = True) -> Progress:
    record = {
        "train_risk": np.full(size, 0.5),
        **({"val_risk": np.full(size, 0.25)} if val else {}),
    }
    return Progress(epoch, 2000, running, size, record, 1.0)


def test_what_stands_beside_the_bar() -> None:
    said = line(progress(50), 12.0)
    assert said == "epoch 50/2,000  train 0.5  val 0.25  12 s left"
    assert line(progress(50, val=False), None) == "epoch 50/2,000  train 0.5"
    said = line(progress(50, size=8, running=3), 4000.0)
    assert (
        said == "epoch 50/2,000  median train 0.5  median val 0.25  3 of 8 running  1 h 6 min left"
    )


def test_a_narrow_window_keeps_the_epoch_and_the_time() -> None:
    assert line(progress(50), 12.0, room=40) == "epoch 50/2,000  val 0.25  12 s left"
    assert line(progress(50), 12.0, room=30) == "epoch 50/2,000  12 s left"


def test_a_risk_that_is_not_finite() -> None:
    now = Progress(3, 9, 1, 1, {"train_risk": np.array([np.nan])}, 1.0)
    assert line(now, None) == "epoch 3/9  train nan"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (75, "1 min 15 s"), (7260, "2 h 1 min")],
)
def test_spans(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_nothing_is_drawn_where_standard_error_is_no_terminal(capsys) -> None:
    with progress_bar("fit") as show:
        assert show is not None
        show(progress(1))
    assert capsys.readouterr() == ("", "")


def test_a_long_fit_says_a_plain_line_now_and_then(capsys, monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with progress_bar("fit") as show:
        assert show is not None
        for epoch in range(1, 61):
            clock[0] += 1.0
            show(progress(epoch))
    said = capsys.readouterr().err.splitlines()
    # The first after ten seconds; none of a second each.
    assert said[0] == "fit: epoch 10/2,000  train 0.5  val 0.25  33 min 10 s left"
    assert len(said) == 6


def test_lines_come_ever_more_seldom(monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    pace, at = RefreshRate(2.0, share=0.05), []
    for second in range(1, 7201):
        clock[0] = float(second)
        at += [second] if pace.due() else []
    assert at[:4] == [2, 4, 6, 8]
    assert [b - a for a, b in zip(at[-4:], at[-3:], strict=False)] == [60, 60, 60]


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(monkeypatch, term) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", term)
    with progress_bar("fit") as show:
        assert show is not None
        show(progress(1))
    assert screen.getvalue() == ""


def told(*epochs: int, size: int = 1, best: tuple[int, float] | None = None) -> FitStatus:
    """A fit that has told of these epochs."""
    seen = FitStatus("mlp")
    for epoch in epochs:
        now = progress(epoch, size=size, running=size)
        if best is not None:
            at, value = np.full(size, best[0]), np.full(size, best[1])
            now = dataclasses.replace(now, best_epoch=at, best_value=value)
        seen.update(now)
    return seen


def drawn(seen: FitStatus, width: int, *, ascii_only: bool = False) -> list[str]:
    """Its lines, but for the sign of life."""
    window = Window(width, 24, ascii_only)
    lines = [line.plain for line in seen.lines(window)]
    assert all(cell_len(line) <= width for line in lines)
    return [lines[0][2:], *lines[1:]]


def test_before_the_first_chunk_it_compiles(monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    seen = FitStatus("mlp")
    clock[0] = 3.25
    assert drawn(seen, 80) == ["mlp  compiling  3.2 s"]


def test_two_lines_a_fit(monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    seen = told(100, best=(90, 0.2))
    clock[0] = 2.0
    seen.update(dataclasses.replace(seen.now or progress(0), epoch=300))
    assert drawn(seen, 100) == [
        "mlp  ━━━━━───────────────────────────  epoch 300/2,000  100 epochs/s  17 s left",
        "  train 0.5   val 0.25   best 0.2 at epoch 90   ▁▁",
    ]
    assert drawn(seen, 46) == [
        "mlp  ━━─────────  epoch 300/2,000  17 s left",
        "  train 0.5   val 0.25   best 0.2 at epoch 90",
    ]
    assert drawn(seen, 24) == ["mlp  epoch 300/2,000", "  val 0.25   ▁▁"]


def test_characters_that_every_console_has(monkeypatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    seen = told(500, 1000, *[1000] * 20)
    lines = drawn(seen, 100, ascii_only=True)
    assert "================----------------" in lines[0]
    assert "".join(lines).isascii()


def test_the_best_follows_the_direction_of_what_chooses_it() -> None:
    now = dataclasses.replace(
        progress(100, size=3, running=3),
        best_epoch=np.array([10, 90, 20]),
        best_value=np.array([0.5, 0.96, -np.inf]),
        best_by="val_accuracy",
        best_mode="max",
    )
    now = dataclasses.replace(now, record={**now.record, "val_accuracy": np.array([0.4, 0.9, 0.1])})
    seen = FitStatus("mlp")
    seen.update(now)
    assert "best val_accuracy 0.96 at epoch 90" in drawn(seen, 120)[1]


def test_of_a_cohort_the_median_and_the_best() -> None:
    lines = drawn(told(100, size=8, best=(90, 0.125)), 100)
    assert "8 of 8 running" in lines[0]
    assert lines[1] == "  median train 0.5   median val 0.25   best 0.125 at epoch 90"


class Terminal(io.StringIO):
    """A standard error that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_drawing_costs_little_of_the_processor(monkeypatch) -> None:
    # Processor time, so that other programs do not count. The engine calls four times a second:
    # on a fast machine this is less than a hundredth of its time.
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("fit") as show:
        assert show is not None
        show(progress(1))
        spent = []
        for epoch in range(2, 10):
            began = time.process_time()
            show(progress(100 * epoch, size=8, running=3))
            spent.append(time.process_time() - began)
    assert "3 of 8 running" in screen.getvalue()
    assert min(spent) < 0.05 * 0.25


def test_quiet_draws_nothing_on_a_terminal(monkeypatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar("fit", quiet=True) as show:
        assert show is None
    assert screen.getvalue() == ""
