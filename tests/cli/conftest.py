"""A folder of its own for every test of the command line, with one small program in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from programs import LINE, load

from thetahat.core.run import Status
from thetahat.store import open_store


@pytest.fixture
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_progress: None, shared_workers: None
) -> Path:
    """The current folder, empty, with no store given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


@pytest.fixture
def line(folder: Path) -> Iterator[Callable[..., Any]]:
    """The experiment ``line`` of line.py in the current folder."""
    yield load(folder, LINE)
    sys.modules.pop("line_script", None)


@pytest.fixture
def kept(folder: Path) -> str:
    """A store here with one run; its name."""
    with open_store() as store:
        made = store.create_run({"lr": 0.1}, experiment="line")
        columns = {"epoch": [1, 2], "train_risk": [1.0, 0.5], "val_risk": [2.0, 1.5]}
        store.log_block(made.id, columns)
        store.finish_run(made.id, status=Status.FINISHED, epochs=2, metrics={"val_risk": 1.5})
    return made.name
