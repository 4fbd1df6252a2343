"""th.optim.plateau: the rate falls after epochs without improvement, in a metric's direction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small import parts

import thetahat as th


def task(metric: str, batch_size: int | None = 16, **options: Any) -> th.Task:
    """A fit on small data, whose rate falls."""
    model = th.models.MLP(2, width=4, depth=1)
    descent = th.optim.plateau("adam", 0.1, metric=metric, **options)
    return th.Task(
        model, parts(), metrics=["r2"], optimizer=descent, epochs=40, batch_size=batch_size
    )


@pytest.mark.parametrize(("metric", "sign"), [("val_risk", 1), ("val_r2", -1)])
@pytest.mark.parametrize("batch_size", [None, 16])
def test_the_rate_falls_after_epochs_without_improvement(metric, sign, batch_size):
    history = th.fit(task(metric, batch_size, patience=3, factor=0.5, least=0.2)).history
    scale, best, since, expected = 1.0, np.inf, 0, []
    for value in sign * history[metric]:
        expected.append(0.1 * scale)  # the rate of an epoch's last step
        since = 0 if value < best else since + 1
        best = min(best, value)
        if since >= 3:
            scale, since = max(0.2, scale * 0.5), 0
    np.testing.assert_allclose(history["learning_rate"], expected, rtol=1e-5)
    assert expected[-1] < 0.1


def test_what_a_plateau_cannot_watch_is_refused():
    with pytest.raises(th.InputError, match="plateau watches 'val_rsik'"):
        th.fit(task("val_rsik"))
    with pytest.raises(th.InputError, match="factor between 0 and 1"):
        th.optim.plateau("adam", factor=2.0)
