"""All checks of scikit-learn's ``check_estimator`` pass, none is skipped, by few programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

OWN_PYTHONS = True  # SCIPY_ARRAY_API is read when SciPy is loaded

CHECKS = {"NeuralRegressor": 60, "NeuralClassifier": 62}
"""Estimators, and how many checks there are of each at least."""

# One Python for both: loading scikit-learn and JAX takes longer than many a check.
PROGRAM = """
import functools, json, sys
from sklearn.utils.estimator_checks import check_estimator
import thetahat as th

def checked(name):
    kind, traces = getattr(th.sklearn, name), []

    @functools.wraps(kind.fit)
    def fit(self, *args, fit=kind.fit, **more):
        fit(self, *args, **more)
        traces.append(self.traces_)  # of a fit that succeeds
        return self

    kind.fit = fit
    model = kind(width=8, depth=1, epochs=60, n_seeds=2)
    found = check_estimator(model, on_fail=None, on_skip=None)
    wrong = [[r["check_name"], r["status"], str(r["exception"])] for r in found if r["status"] != "passed"]
    return {"checks": len(found), "wrong": wrong, "fits": len(traces), "traces": sum(traces)}

print(json.dumps({name: checked(name) for name in sys.argv[1:]}))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)  # both estimators, also on a machine that is busy with other work
def test_every_check_of_scikit_learn_passes(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, *CHECKS],
        # Without programs of an earlier run, so that traces are all that a user would wait for.
        env={**os.environ, "SCIPY_ARRAY_API": "1", "THETAHAT_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    for name, checks in CHECKS.items():
        assert found[name]["wrong"] == [] and found[name]["checks"] >= checks, found[name]
        assert found[name]["fits"] > 40 and 0 < found[name]["traces"] <= 10, found[name]
