"""Progress: what it says, what it costs, and that nobody sees it where nobody looks."""

from __future__ import annotations

import io
import sys
import time

import numpy as np
import pytest

from thetahat.cli._progress import line, progress_bar, span
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
    assert said == "epoch 50/2,000  train 0.5  val 0.25  3 of 8 running  1 h 6 min left"


def test_a_narrow_window_keeps_the_epoch_and_the_time() -> None:
    assert line(progress(50), 12.0, room=40) == "epoch 50/2,000  12 s left"


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
        assert show is None
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    """A standard error that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_drawing_costs_less_than_a_hundredth_of_the_time(monkeypatch) -> None:
    # Processor time, so that other programs do not count. The engine calls four times a second.
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("fit") as show:
        assert show is not None
        show(progress(1))
        began, began_wall = time.process_time(), time.perf_counter()
        for epoch in range(2, 10):
            show(progress(100 * epoch, size=8, running=3))
            time.sleep(0.25)
        spent, wall = time.process_time() - began, time.perf_counter() - began_wall
    assert "3 of 8 running" in screen.getvalue()
    assert spent / wall < 0.02  # measured: about 0.006


def test_quiet_draws_nothing_on_a_terminal(monkeypatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar("fit", quiet=True) as show:
        assert show is None
    assert screen.getvalue() == ""
