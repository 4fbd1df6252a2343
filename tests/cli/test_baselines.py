"""The linear models beside a fit: each minimises what its name says, and has its risk.

They are looked at where they are made, since the printed table rounds nothing but hides coefficients.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import thetahat as th

# Baselines are compared with scikit-learn without the net beside them.
from thetahat.cli.commands._fit_baselines import baselines

N = 150


def parts(weighted: bool) -> th.Data:
    rng = np.random.default_rng(3)
    table = {"a": rng.normal(5, 2, N), "b": rng.normal(-1, 3, N), "w": rng.integers(1, 4, N)}
    table["y"] = 100 + 20 * table["a"] - 9 * table["b"] + 30 * rng.standard_t(2, N)
    read = th.read_table(table, "y", features=["a", "b"], weights="w" if weighted else None)
    return th.split(read, seed=1)


def arrays(data: th.Data, part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    there = getattr(data, part)
    x, y = np.asarray(there.x, float), np.asarray(there.y, float)
    w = np.ones(len(y)) if there.weight is None else np.asarray(there.weight, float)
    return np.column_stack([np.ones(len(y)), x]), y, w


def pinball(r: np.ndarray, tau: float) -> np.ndarray:
    return np.maximum((1 - tau) * r, -tau * r)


def huber(r: np.ndarray) -> np.ndarray:
    return np.where(np.abs(r) <= 1, r**2 / 2, np.abs(r) - 0.5)


@pytest.mark.parametrize("tau", [0.1, 0.5, 0.8])
def test_quantile_regression_is_that_of_statsmodels(tau: float) -> None:
    import statsmodels.api as sm

    data = parts(weighted=False)
    found = {line.name: line for line in baselines(data, "pinball", tau)}
    assert list(found) == ["quantile regression", "OLS"]
    x, y, _ = arrays(data, "train")
    model = sm.QuantReg(y, x).fit(q=tau, max_iter=20_000, p_tol=1e-10)
    np.testing.assert_allclose(found["quantile regression"].coefficients, model.params, atol=1e-4)
    ols = sm.OLS(y, x).fit()
    np.testing.assert_allclose(found["OLS"].coefficients, ols.params, rtol=1e-8, atol=1e-12)
    for part in ("train", "val", "test"):
        x, y, _ = arrays(data, part)
        for name, line in found.items():
            expected = pinball(x @ line.coefficients - y, tau).mean()
            assert line.risk[part] == pytest.approx(expected, rel=1e-10), name
    assert found["quantile regression"].risk["train"] <= found["OLS"].risk["train"]


def test_weighted_rows_equal_rows_repeated() -> None:
    data = parts(weighted=True)
    x, y, w = arrays(data, "train")
    times = np.round(w).astype(int)
    repeated = np.repeat(x, times, axis=0), np.repeat(y, times)
    for loss, name, measure in (
        ("pinball", "weighted quantile regression", lambda r: pinball(r, 0.3)),
        ("absolute", "weighted median regression", np.abs),
        ("huber", "weighted Huber regression", huber),
        ("squared", "WLS", np.square),
    ):
        line = baselines(data, loss, 0.3)[0]
        assert line.name == name
        at = line.coefficients
        least = measure(repeated[0] @ at - repeated[1]).mean()
        assert line.risk["train"] == pytest.approx(least, rel=1e-9)
        rng = np.random.default_rng(0)
        for _ in range(200):  # convex: no step from its minimum goes down
            near = at + rng.normal(0, 0.01, len(at))
            assert measure(repeated[0] @ near - repeated[1]).mean() >= least - 1e-9


def test_huber_regression_is_that_of_statsmodels() -> None:
    import statsmodels.api as sm

    data = parts(weighted=False)
    first, second = baselines(data, "huber", 0.5)
    assert (first.name, second.name) == ("Huber regression", "OLS")
    x, y, _ = arrays(data, "train")

    # The scale is fixed at one: the loss is in units of the standardised target.
    beta = sm.OLS(y, x).fit().params
    norm = sm.robust.norms.HuberT(t=1.0)
    for _ in range(2000):
        beta = sm.WLS(y, x, weights=norm.weights(y - x @ beta)).fit().params
    np.testing.assert_allclose(first.coefficients, beta, rtol=1e-7, atol=1e-10)
    for line in (first, second):
        expected = huber(x @ line.coefficients - y).mean()
        assert line.risk["train"] == pytest.approx(expected, rel=1e-10)


def test_wls_is_that_of_statsmodels() -> None:
    import statsmodels.api as sm

    data = parts(weighted=True)
    (line,) = baselines(data, "squared", 0.5)
    x, y, w = arrays(data, "train")
    np.testing.assert_allclose(
        line.coefficients, sm.WLS(y, x, weights=w).fit().params, rtol=1e-8, atol=1e-12
    )


def test_the_screen_names_what_was_minimised(folder: Path, thetahat) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=60)
    y = a + rng.normal(size=60)
    lines = "\n".join(f"{y[i]},{a[i]},{1 + i % 2}" for i in range(60))
    Path("t.csv").write_text(f"y,a,w\n{lines}\n", encoding="utf-8")
    words = ["fit", "t.csv", "--target=y", "--features=a", "--model=linear", "--format=json"]
    words = [*words, "--epochs=2", "--no-store"]
    for more, names in (
        ([], ["linear", "OLS"]),
        (["--weights=w"], ["linear", "WLS"]),
        (["--loss=pinball", "--tau=0.2"], ["linear", "quantile regression", "OLS"]),
        (["--loss=absolute", "--weights=w"], ["linear", "weighted median regression", "WLS"]),
        (["--loss=huber"], ["linear", "Huber regression", "OLS"]),
    ):
        found = json.loads(thetahat(*words, *more)[1])
        assert [row["model"] for row in found] == names
        assert all(row["test_risk"] is not None for row in found)
