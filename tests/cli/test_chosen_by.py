"""What chose the state of a run is named wherever its best epoch stands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from thetahat.core.run import Status
from thetahat.figures import draw_fit
from thetahat.store import open_store

CURVES = {
    "epoch": [1, 2, 3],
    "train_risk": [0.9, 0.8, 0.7],
    "val_risk": [0.3, 0.4, 0.5],
    "val_accuracy": [0.5, 0.9, 0.8],
    "val_error": [0.5, 0.3, 0.1],
}
CHOSEN = [
    ("val_risk", 1, "min", "val_risk 0.3 at epoch 1"),
    ("val_accuracy", 2, "max", "val_accuracy 0.9 at epoch 2"),
    ("val_error", 3, "min", "val_error 0.1 at epoch 3"),
]


@pytest.mark.parametrize(("by", "epoch", "mode", "said"), CHOSEN)
def test_show_names_what_chose_the_state(
    folder: Path, thetahat, by: str, epoch: int, mode: str, said: str
) -> None:
    metrics = {name: CURVES[name][epoch - 1] for name in CURVES if name != "epoch"}
    detail = {"best_by": by, "best_epoch": epoch, "directions": {"val_risk": "min", by: mode}}
    with open_store() as store:
        run = store.create_run({"lr": 0.1})
        store.log_block(run.id, CURVES)
        store.finish_run(run.id, status=Status.FINISHED, epochs=3, metrics=metrics, detail=detail)
    out = thetahat("show", "last")[1]
    line = next(line for line in out.splitlines() if line.startswith("best"))
    assert line.split(maxsplit=1)[1].strip() == said


@pytest.mark.parametrize(("by", "epoch", "mode", "said"), CHOSEN)
def test_the_ring_of_a_figure_is_at_what_chose_the_state(
    by: str, epoch: int, mode: str, said: str
) -> None:
    pytest.importorskip("matplotlib")
    axes = draw_fit(CURVES, best_epoch=epoch, best_by=by).axes[0]
    points = [np.asarray(line.get_xydata()) for line in axes.lines if line.get_marker() == "o"]
    assert [point.tolist() for point in points if len(point) == 1] == [
        [[epoch, CURVES[by][epoch - 1]]]
    ]
    legend = axes.get_legend()
    assert legend is not None
    named = "" if by == "val_risk" else f" {by}"
    assert f"best{named}: epoch {epoch}" in [text.get_text() for text in legend.get_texts()]
