"""``thetahat fit --loss`` takes a loss that was added to the list, whatever its predictions are."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from thetahat import risk
from thetahat.core import choices
from thetahat.risk import _losses  # an addition to the table of functions is what is tested

COUNTS = risk.Need(lambda k: "counts, at least 0", lambda y, k: y >= 0)


def poisson(score: Any, y: Any) -> Any:
    """The Poisson deviance of a log mean, without its constant."""
    return jnp.exp(score) - jnp.asarray(y).astype(jnp.asarray(score).dtype) * score


@pytest.fixture
def counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of counts, and the loss ``poisson``."""
    made = lambda: risk.Loss("poisson", poisson, risk.PREDICTION, COUNTS)  # noqa: E731
    monkeypatch.setitem(choices.LOSSES, "poisson", "")
    monkeypatch.setitem(_losses._NAMED, "poisson", made)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    rows = np.column_stack([x, rng.poisson(np.exp(1 + 0.5 * x[:, 0]))])
    path = folder / "counts.csv"
    np.savetxt(path, rows, delimiter=",", header="a,b,n", comments="")
    return path


def fit(thetahat: Callable[..., Any], path: Path, *words: str) -> tuple[int, str, str]:
    return thetahat("fit", str(path), "--loss", "poisson", "--no-store", *words)


@pytest.mark.parametrize("model", [("--model", "linear", "--epochs", "40"), ("--epochs", "3")])
def test_the_risk_of_a_new_loss_is_that_of_its_formula(
    model: tuple[str, ...], counts: Path, thetahat: Callable[..., Any]
) -> None:
    words = ("--target", "n", "--predict", "out.csv", "--format", "json", *model)
    code, out, err = fit(thetahat, counts, *words)
    assert code == 0, err
    with open("out.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == "test"]
    h = np.array([float(row["fitted"]) for row in rows])
    y = np.array([float(row["n"]) for row in rows])
    [own] = json.loads(out)
    assert own["test_risk"] == pytest.approx(np.mean(np.exp(h) - y * h), rel=1e-4)
    # A log mean has no MSE, and least squares has no log mean.
    assert not any(key.endswith(("_mse", "_r2")) for key in own)


def test_a_new_loss_of_a_prediction_takes_one_target(
    counts: Path, thetahat: Callable[..., Any]
) -> None:
    code, _, err = fit(thetahat, counts, "--target", "n,a")
    assert code == 2
    assert err == (
        "thetahat: --target n,a: of several targets the MSE is reported, which --loss poisson has"
        " not; give one target, or a loss of a residual, such as squared\n"
    )


def test_a_new_loss_checks_its_targets(counts: Path, thetahat: Callable[..., Any]) -> None:
    code, _, err = fit(thetahat, counts, "--target", "a", "--model", "linear")
    assert code == 2
    assert "poisson needs counts, at least 0" in err
