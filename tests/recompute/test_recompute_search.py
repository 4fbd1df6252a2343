"""What a real sweep stopped, and its best so far, recomputed by NumPy from its records."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sweeps
import thetahat

PROGRAM = """\
import numpy as np
import thetahat as th


def wave(lr: float = 0.1, noise: float = 0.1, epochs: int = 24) -> th.Task:
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (96, 1))
    y = np.sin(3 * x[:, 0]) + noise * rng.normal(size=96)
    data = th.split((x, y), train=0.5, val=0.5, test=0, seed=1)
    near = th.Metric(lambda h, z: abs(h(z[0]) - z[1]) < 0.3, mode="max")
    return th.Task(
        th.models.MLP(1, width=8, depth=1),
        data,
        optimizer=th.optim.named("adam", lr),
        epochs=epochs,
        metrics={"near": near},
    )


if __name__ == "__main__":
    th.main(wave)
"""
SWEEP = """\
program: wave.py
method: random
run_cap: 12
metric: {{name: {metric}, goal: {goal}}}
early_terminate: {{type: hyperband, {bands}, eta: 3, strict: {strict}}}
parameters:
  lr: {{distribution: log_uniform_values, min: 0.0005, max: 0.3}}
"""
SOURCE = os.fspath(Path(thetahat.__file__).parents[1])
RULES = {
    "least risk, at the band": ("val_risk", "minimize", "min_iter: 2", "true", (2, 6, 18)),
    "most near, best so far": ("val_near", "maximize", "max_iter: 24, s: 2", "false", (2, 8)),
}


@pytest.mark.parametrize("rule", RULES)
def test_hyperband_stops_who_is_worse_than_its_threshold(
    rule: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    thetahat: Callable[..., tuple[int, str, str]],
    page: Callable[..., Any],
) -> None:
    metric, goal, said, strict, bands = RULES[rule]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)
    monkeypatch.setenv("PYTHONPATH", SOURCE)
    Path("wave.py").write_text(PROGRAM, encoding="utf-8")
    text = SWEEP.format(metric=metric, goal=goal, bands=said, strict=strict)
    Path("wave.yaml").write_text(text, encoding="utf-8")
    # All of them train together: at a band each is compared with all that reach it.
    code, _, err = thetahat("sweep", "wave.yaml", "--run", "--workers=1", "--cohort=12", "--quiet")
    assert code == 0, err
    where = tmp_path / ".thetahat"
    runs = sweeps.raw_runs(thetahat, where, "last")
    sign = 1 if goal == "minimize" else -1
    curves = []
    for run in runs["id"]:
        records = json.loads(thetahat("show", run, "--history", "--format=json")[1])
        curves.append(sign * np.array([row[metric] for row in records]))
    alive, ends = set(range(12)), {}
    for band in bands:
        at = {k: curves[k][band - 1] for k in alive}
        threshold = sorted(at.values())[int(len(at) / 3)]
        judged = at if strict == "true" else {k: curves[k][:band].min() for k in alive}
        out = {k for k in alive if judged[k] > threshold}
        ends |= dict.fromkeys(out, band)
        alive -= out
    assert len(ends) > 0 and len(alive) > 0
    assert [len(curve) for curve in curves] == [ends.get(k, 24) for k in range(12)]
    assert [*runs["status"]] == ["stopped" if k in ends else "finished" for k in range(12)]

    # The best so far is that of all runs that ended well: those that were stopped, too.
    asked = {"metric": metric, "goal": goal}
    found = page(where, "/api/sweeps/last/settings", **asked)["running"]
    values = sign * runs[f"metric {metric}"].to_numpy(float)
    best = np.minimum.accumulate(values)
    falls = np.flatnonzero(np.r_[True, np.diff(best) < 0])
    assert [tuple(s) for s in found["run"]] == [
        (k + 1, pytest.approx(sign * best[k])) for k in falls
    ]
    assert found["time"][-1][1] == pytest.approx(sign * best[-1])
