"""A store that looks like one that was used, shared with the tests of the page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "web"))
sys.path.insert(0, str(Path(__file__).parent))

import stores

from thetahat.store import Store, open_store


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three sweeps and runs of none. Nothing writes to it."""
    where = tmp_path_factory.mktemp("reported")
    stores.realistic(where, runs=80)
    return where


@pytest.fixture
def store(reported: Path) -> Iterator[Store]:
    """That store, open."""
    with open_store(reported, create=False) as opened:
        yield opened


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own."""
    with open_store(tmp_path / "own") as opened:
        yield opened
