"""All checks of scikit-learn's ``check_estimator`` pass, none is skipped, by few programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

OWN_PYTHONS = True  # SCIPY_ARRAY_API is read when SciPy is loaded

PROGRAM = """
import functools, json, sys
from sklearn.utils.estimator_checks import check_estimator
import thetahat as th

kind, traces = getattr(th.sklearn, sys.argv[1]), []

@functools.wraps(kind.fit)
def fit(self, *args, fit=kind.fit, **more):
    fit(self, *args, **more)
    traces.append(self.traces_)  # of a fit that succeeds
    return self

kind.fit = fit
model = kind(width=8, depth=1, epochs=60, n_seeds=2)
results = check_estimator(model, on_fail=None, on_skip=None)
wrong = [[r["check_name"], r["status"], str(r["exception"])] for r in results if r["status"] != "passed"]
print(json.dumps({"checks": len(results), "wrong": wrong, "fits": len(traces), "traces": sum(traces)}))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "checks"), [("NeuralRegressor", 60), ("NeuralClassifier", 62)])
def test_every_check_of_scikit_learn_passes(name: str, checks: int) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, name],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["wrong"] == [] and found["checks"] >= checks
    assert found["fits"] > 40 and 0 < found["traces"] <= 10
