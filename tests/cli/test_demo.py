"""``thetahat demo``: a sweep that ends in a table; runs that stay."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

# The demo's files and its folders are replaced by small ones.
from thetahat.cli.commands import _demo as sweep
from thetahat.store import open_store

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


def test_a_layout_elsewhere_is_named_in_full(tmp_path, folder) -> None:
    inside = sweep.lay_out(folder / "st" / "demo")
    assert inside == Path("st/demo/mlp_sweep.yaml")
    outside = sweep.lay_out(tmp_path.parent / f"{tmp_path.name}-other")
    assert outside.is_absolute()
    assert (outside.parent / sweep.PROGRAM).is_file()
