"""Runs setting by setting: medians, quantiles, failures in the denominator."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, strategies as st

from thetahat.analysis import group_runs, quantile
from thetahat.cli import run as command
from thetahat.core import ConfigError
from thetahat.store import NewSweep, create_sweep, open_store


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "st") as opened:
        yield opened


@pytest.fixture
def ensemble(store):
    """Two widths, eleven seeds each; one of them diverged, one failed, one still runs."""
    sweep = create_sweep(store, NewSweep("", name="ensemble"))
    for width in (8, 16):
        for seed in range(11):
            run = store.create_run({"width": width, "seed": seed}, sweep_id=sweep.id)
            if (width, seed) == (8, 3):
                store.finish_run(run.id, status="diverged", metrics={"val_risk": None})
            elif (width, seed) == (8, 4):
                store.finish_run(run.id, status="failed", reason="boom")
            elif (width, seed) != (16, 10):
                value = {"val_risk": (seed + 1.0) / width}
                store.finish_run(run.id, status="finished", metrics=value)
    return sweep


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.floats(0, 1))
def test_quantiles_are_numpys(values: list[float], q: float) -> None:
    assert quantile(values, q) == pytest.approx(float(np.quantile(values, q)), rel=1e-9, abs=1e-9)


def test_groups_count_failures_and_leave_them_out_of_the_numbers(store, ensemble) -> None:
    groups = group_runs(store.runs(), ["seed"])
    assert [dict(g.config) for g in groups] == [{"width": 8}, {"width": 16}]
    assert [(g.runs, g.failed, g.unfinished) for g in groups] == [(11, 2, 0), (11, 0, 1)]
    eight = [(s + 1) / 8 for s in range(11) if s not in (3, 4)]
    numbers = groups[0].metrics["val_risk"]
    assert numbers["n"] == 9
    assert numbers["median"] == pytest.approx(np.median(eight))
    assert numbers["q10"] == pytest.approx(np.quantile(eight, 0.1))
    assert numbers["q90"] == pytest.approx(np.quantile(eight, 0.9))


def test_messages(store, ensemble) -> None:
    with pytest.raises(ConfigError, match="no run has the parameter 'sed'; did you mean 'seed'"):
        group_runs(store.runs(), ["sed"])
    with pytest.raises(ConfigError, match=r"--quantiles: 1.5 is outside"):
        group_runs(store.runs(), ["seed"], [1.5])


def test_the_command(store, ensemble, capsys, monkeypatch) -> None:
    monkeypatch.setenv("THETAHAT_STORE", str(store.path))
    assert command(["runs", ensemble.id, "--over", "seed", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(g["config"], g["runs"], g["failed"]) for g in listed] == [
        ({"width": 16}, 11, 0),
        ({"width": 8}, 11, 2),
    ]
    words = ["runs", "ensemble", "--over", "seed", "--quantiles", "0.25,0.75"]
    assert command([*words, "--sort", "-val_risk.median"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["width", "runs", "n", "failed", "unfinished", "val_risk", "median",
                                "val_risk", "q25", "val_risk", "q75"]  # fmt: skip
    assert [line.split()[0] for line in lines[2:]] == ["8", "16"]
    named = ["--columns", "width,val_risk", "--sort", "-val_risk"]
    assert command([*words, *named]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        *("width", "val_risk", "n", "val_risk", "median", "val_risk", "q25", "val_risk", "q75")
    ]
    assert [line.split()[0] for line in lines[2:]] == ["8", "16"]
    assert command([*words[:-1], "x"]) == 2
    assert "--quantiles=x: give numbers from 0 to 1" in capsys.readouterr().err
    assert command(["runs", "last", "--over", "seed", "--sort", "nothing"]) == 2
    assert "the groups have no column 'nothing'" in capsys.readouterr().err
    assert command(["runs", "ensembel"]) == 2
    assert "has no sweep, cohort, experiment, project or run 'ensembel'" in capsys.readouterr().err
