"""``thetahat fit --seeds K``: what varies over seeds, and how many of them a quantile is over."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from thetahat.store import open_store

N = 120


@pytest.fixture
def table(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    a, b = rng.normal(5, 2, N), rng.normal(-1, 3, N)
    y = 3 + 2 * a - b + rng.standard_t(3, N)
    rows = "\n".join(f"{y[i]},{a[i]},{b[i]}" for i in range(N))
    (folder / "t.csv").write_text(f"y,a,b\n{rows}\n", encoding="utf-8")
    return folder / "t.csv"


FIT = ["fit", "t.csv", "--target=y", "--model=linear", "--optimizer=sgd", "--format=json"]
MINI = [*FIT, "--batch-size=8", "--epochs=15", "--lr=0.05"]


def rows(out: str) -> dict[str, dict]:
    return {row["model"]: row for row in json.loads(out)}


def risks() -> list[dict]:
    with open_store(create=False) as store:
        return [dict(run.metrics) for run in store.runs()]


@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_seeds_of_a_minibatch_fit_equal_separate_fits(table: Path, thetahat, loss: str) -> None:
    words = [*MINI, f"--loss={loss}"]
    _, out, _ = thetahat(*words, "--seeds=6")
    together = risks()
    for seed in range(6):
        assert thetahat(*words, f"--seed={seed}")[0] == 0
    alone = risks()[6:]
    for one, other in zip(together, alone, strict=True):
        for name, value in one.items():
            assert value == pytest.approx(other[name], rel=1e-5)
    found = rows(out)
    for q, at in (("10 %", 0.1), ("median", 0.5), ("90 %", 0.9)):
        expected = np.quantile([run["test_risk"] for run in alone], at)
        assert found[f"linear, {q}"]["test_risk"] == pytest.approx(expected, rel=1e-5)


def test_the_order_of_batches_varies_with_the_seed(table: Path, thetahat) -> None:
    # From zero a linear model has one start up to noise; what spreads is the order of batches.
    _, out, _ = thetahat(*MINI, "--epochs=60", "--seeds=8")
    found = rows(out)
    low, high = (found[f"linear, {q}"]["val_risk"] for q in ("10 %", "90 %"))
    assert high > low * 1.01
    with open_store(create=False) as store:
        assert {store.run(run.id).detail["batch_order"] for run in store.runs()} == {"own"}


def test_seeds_that_diverge_are_counted_and_left_out(table: Path, thetahat) -> None:
    words = [w.replace("linear", "mlp") for w in FIT]
    words = [*words, "--width=16", "--epochs=30", "--seeds=12", "--lr=1.1"]
    code, out, err = thetahat(*words)
    with open_store(create=False) as store:
        runs = store.runs()
    well = [run for run in runs if run.status == "finished"]
    assert 0 < len(well) < 12, "this rate must make some of the fits diverge, and not all"
    assert code == 1
    assert err.count(" diverged: ") == 12 - len(well)
    found = rows(out)
    for q, at in (("10 %", 0.1), ("median", 0.5), ("90 %", 0.9)):
        row = found[f"mlp, {q}"]
        assert (row["n"], row["failed"]) == (len(well), 12 - len(well))
        expected = np.quantile([run.metrics["test_risk"] for run in well], at)
        assert row["test_risk"] == pytest.approx(expected, rel=1e-6)
    shown = thetahat(*[w for w in words if w != "--format=json"])[1]
    head = shown.splitlines()[2].split()
    assert head[:3] == ["model", "n", "failed"]
    assert f"quantiles over the {len(well)} of 12 seeds that ended well" in shown
    assert "each R² is that of the MSE beside it" in " ".join(shown.split())


@pytest.mark.parametrize("kind", ["csv", "latex", "table"])
def test_every_format_has_n_and_failures_beside_the_quantiles(
    table: Path, thetahat, kind: str
) -> None:
    words = [w.replace("linear", "mlp") for w in FIT if w != "--format=json"]
    words = [*words, "--width=16", "--epochs=30", "--seeds=12", "--lr=1.1", "--no-store"]
    json_row = rows(thetahat(*words, "--format=json")[1])["mlp, median"]
    n, failed = json_row["n"], json_row["failed"]
    assert n + failed == 12 and min(n, failed) > 0
    out = thetahat(*words, f"--format={kind}")[1]
    line = next(line for line in out.splitlines() if "mlp, median" in line)
    cells = line.replace('"mlp, median"', "mlp median").replace("mlp, median", "mlp median")
    cells = [cell for cell in re.split(r"[,&\s]+", cells) if cell][2:4]
    assert cells == [str(n), str(failed)]


def test_seeds_that_patience_stopped_ended_well(table: Path, thetahat) -> None:
    words = [*MINI, "--lr=0.5", "--patience=2", "--epochs=60", "--seeds=4"]
    code, out, _ = thetahat(*words)
    with open_store(create=False) as store:
        runs = store.runs()
    assert code == 0
    assert {str(run.status) for run in runs} >= {"stopped"}
    found = rows(out)["linear, median"]
    assert (found["n"], found["failed"]) == (4, 0)
    expected = np.median([run.metrics["test_risk"] for run in runs])
    assert found["test_risk"] == pytest.approx(expected, rel=1e-6)


def test_other_losses_have_a_spread_over_the_order_of_batches_too(table: Path, thetahat) -> None:
    for loss in (["--loss=pinball", "--tau=0.3"], ["--loss=absolute"]):
        _, out, _ = thetahat(*MINI, *loss, "--seeds=5", "--no-store")
        low, high = (rows(out)[f"linear, {q}"]["val_risk"] for q in ("10 %", "90 %"))
        assert high > low


def test_no_aggregate_where_every_seed_fails(table: Path, thetahat) -> None:
    code, out, _ = thetahat(*FIT, "--seeds=3", "--lr=1e9")
    assert code == 1
    found = rows(out)
    assert list(found) == ["linear", "OLS"]
    assert (found["linear"]["n"], found["linear"]["failed"]) == (0, 3)
    assert {v for k, v in found["linear"].items() if k not in ("model", "n", "failed")} == {None}
    shown = thetahat(*[w for w in FIT if w != "--format=json"], "--seeds=3", "--lr=1e9")[1]
    assert "no quantiles: none of 3 seeds ended well (3 diverged)" in shown


def test_runs_of_a_cohort_keep_their_share_of_its_seconds(table: Path, thetahat) -> None:
    thetahat(*MINI, "--seeds=4")
    with open_store(create=False) as store:
        runs = [store.run(run.id) for run in store.runs()]
    for run in runs:
        whole = sum(run.seconds[part] for part in ("import", "compile", "run"))
        assert run.total_seconds == pytest.approx(whole / 4)
        assert run.detail["together"] == 4
    said = thetahat("show", runs[0].name)[1]
    assert "its share; the 4 runs trained together took " in said
