"""What ``thetahat.sklearn`` loads, and what it says where scikit-learn is missing."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np

from thetahat.sklearn import NeuralRegressor

OWN_PYTHONS = True

PREDICT = """
import pickle, sys
model = pickle.loads(open(sys.argv[1], "rb").read())
print(model.predict([[0.5, -0.5, 1.0]])[0].hex())
print([name for name in ("jax", "torch") if name in sys.modules])
"""
MISSING = """
import sys
sys.modules["sklearn"] = None
import thetahat as th
th.Task
try:
    th.sklearn
except th.InputError as error:
    print(error)
"""


def said(program: str, *words: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    return run.stdout.splitlines()


def test_a_pickled_estimator_predicts_without_jax(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(90, 3))
    model = NeuralRegressor(width=8, depth=1, epochs=24, n_seeds=3).fit(x, x[:, 0])
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps(model))
    expected = model.predict([[0.5, -0.5, 1.0]])[0].hex()
    assert said(PREDICT, str(path)) == [expected, "[]"]


def test_without_scikit_learn_one_line_says_what_to_install() -> None:
    told = "thetahat.sklearn needs an extra: pip install 'thetahat[sklearn]'"
    assert said(MISSING) == [told]
