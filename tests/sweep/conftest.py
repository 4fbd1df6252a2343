"""A folder of its own for every sweep, and the command line in this process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from at_work import At

from children import SOURCE


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[At]:
    """The current folder, empty, with no store given; workers find the package's source."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PYTHONPATH", SOURCE)
    made = At(tmp_path)
    yield made
    made.close()
