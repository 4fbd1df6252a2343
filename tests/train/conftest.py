"""Fixtures of the engine's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import thetahat as th

sys.path.insert(0, str(Path(__file__).parent))

from small import parts


@pytest.fixture
def small() -> th.Data:
    """Small data in three parts."""
    return parts()
