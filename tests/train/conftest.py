"""Fixtures of the engine's tests."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

import thetahat as th
from thetahat.train.jax import _compiled  # the store of programs has no public name

sys.path.insert(0, str(Path(__file__).parent))

from small import parts


@pytest.fixture
def small() -> th.Data:
    """Small data in three parts."""
    return parts()


@pytest.fixture
def on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of programs, which another process could have written."""
    monkeypatch.undo()  # of fresh_programs: this folder is new
    monkeypatch.setenv("THETAHAT_CACHE", str(tmp_path))
    monkeypatch.setattr(_compiled.compiled, "_programs", OrderedDict())
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    compilation_cache.reset_cache()
    yield tmp_path / "programs"
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()
