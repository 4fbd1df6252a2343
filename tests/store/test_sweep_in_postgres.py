"""A sweep of programs whose store is in PostgreSQL: from its file to its table."""

from __future__ import annotations

from pathlib import Path

import pytest

from thetahat.cli import run as command
from thetahat.store import count_runs, find_sweep, open_store

pytestmark = pytest.mark.postgres

FILE = """
program: program.py
method: grid
metric: {name: loss, goal: minimize}
parameters:
  x: {values: [1, 2, 3]}
"""
PROGRAM = """
import sys
import thetahat as th

x = float(sys.argv[1].partition("=")[2])
for step in range(3):
    th.log({"loss": (x - 2) ** 2 + 0.1 * (2 - step)})
"""


def test_a_sweep_of_programs_runs_and_is_listed(
    tmp_path: Path,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THETAHAT_STORE", postgres_url)
    Path("sweep.yaml").write_text(FILE)
    Path("program.py").write_text(PROGRAM)
    assert command(["sweep", "sweep.yaml", "--run", "--workers", "1", "--quiet"]) == 0
    with open_store(create=False) as store:
        sweep = find_sweep(store, "last")
        assert (sweep.state, count_runs(store, sweep.id)) == ("finished", {"finished": 3})
        runs = store.runs(sweep_id=sweep.id, sort="loss")
        assert [run.config["x"] for run in runs] == [2, 1, 3]
        assert [run.metrics["loss"] for run in runs] == [0.0, 1.0, 1.0]
        assert list(store.history(runs[0].id)["loss"]) == pytest.approx([0.2, 0.1, 0.0])
        assert store.folder == tmp_path / "runs"
        assert (store.folder / "logs").is_dir()
    capsys.readouterr()
    assert command(["runs", sweep.id, "--columns", "x,loss", "--format", "csv"]) == 0
    assert sorted(capsys.readouterr().out.splitlines()[1:]) == ["1,1.0", "2,0.0", "3,1.0"]
    assert not (tmp_path / ".thetahat").exists()
