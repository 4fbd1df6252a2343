"""Provenance: versions, command and git, and nothing that gives a person away."""

from __future__ import annotations

import getpass
import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import thetahat
from thetahat.core.provenance import command_line, git_state, provenance, short_path, versions


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git may take long on a busy machine."""
    monkeypatch.setattr("thetahat.core.provenance.GIT_TIMEOUT_S", 240.0)


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, "-C", str(folder), *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "wages.py").write_text("x = 1\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    return folder


def test_a_clean_repository(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository / "code")
    state = git_state("wages.py")
    assert state is not None
    assert len(state["commit"]) == 40
    assert (state["dirty"], state["folder"]) == (False, "code")


def test_changes_and_uncommitted_sources_are_dirt(repository: Path) -> None:
    source = repository / "code" / "wages.py"
    (repository / "notes.txt").write_text("not tracked, not the source")
    state = git_state(source)
    assert state is not None
    assert state["dirty"] is False
    new = repository / "code" / "new.py"
    new.write_text("")
    state = git_state(new)
    assert state is not None
    assert state["dirty"] is True
    source.write_text("x = 2\n")
    state = git_state(source)
    assert state is not None
    assert state["dirty"] is True


def test_no_repository_no_commit_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wages.py").write_text("")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path / "wages.py") is None
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path / "wages.py") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path / "wages.py") is None


def test_a_git_that_hangs_is_left_alone(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thetahat.core.provenance.GIT_TIMEOUT_S", 1e-6)
    assert git_state(repository / "code" / "wages.py") is None


def test_versions_are_those_of_what_is_loaded() -> None:
    found = versions()
    assert found["thetahat"]
    assert found["numpy"] == np.__version__
    assert ("torch" in found) == ("torch" in sys.modules)


def test_thetahat_itself_is_always_named() -> None:
    assert versions()["thetahat"] == thetahat.__version__


def test_nothing_gives_the_person_or_the_machine_away(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    script = repository / "code" / "wages.py"
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, str(script), "--lr=0.1"])
    text = json.dumps(provenance(script))
    assert str(repository) not in text
    assert str(Path.home()) + "/" not in text
    assert socket.gethostname() not in text.replace(sys.platform, "")
    assert getpass.getuser() not in text or getpass.getuser() == "root"


def test_the_command_can_be_typed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    python = Path(sys.executable)
    monkeypatch.setattr(sys, "orig_argv", [str(python), str(tmp_path / "a b.py"), "--name=x y"])
    assert command_line() == f"{python.name} 'a b.py' '--name=x y'"
    monkeypatch.setattr(sys, "orig_argv", [str(python), str(python.parent / "thetahat"), "runs"])
    assert command_line() == "thetahat runs"


def test_paths_are_seen_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert short_path(tmp_path / "a" / "b.py") == "a/b.py"
    assert short_path(tmp_path.parent / "d" / "c.py") == "../d/c.py"
    assert short_path("/somewhere/else/c.py") == "/somewhere/else/c.py"
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    assert short_path(tmp_path.parent / "d" / "c.py") == "~/d/c.py"
    monkeypatch.setattr(sys, "orig_argv", ["python", str(tmp_path.parent / "d e.py"), "--x=\u202e"])
    assert command_line() == r"python ~/'d e.py' $'--x=\u202e'"


def test_settings_that_change_numbers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert provenance()["settings"]["OMP_NUM_THREADS"] == "3"
    assert provenance()["cpus"] >= 1
