"""A folder of its own for every test of the command line, with one small program in it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from programs import LINE


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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


def load(folder: Path, text: str, name: str = "line") -> Callable[..., Any]:
    """Write a program and load its experiment."""
    file = folder / f"{name}.py"
    file.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"{name}_script", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return getattr(module, name)


@pytest.fixture
def thetahat(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The ``thetahat`` command in this process: exit code, standard output, standard error."""
    from thetahat.cli import run

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call
