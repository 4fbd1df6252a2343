"""Data files of a process: which were read, and with which contents."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from thetahat.core import data_files as files


@pytest.fixture
def folder(tmp_path: Path):
    """An empty folder, while the files that are read are recorded."""
    files.listen()
    yield tmp_path
    files._Opened.on = False  # the one switch; a worker never turns it off


def changed(path: Path, text: str) -> None:
    """Write a file with a later time of change."""
    stamp = path.stat().st_mtime_ns + 10**9
    path.write_text(text)
    os.utime(path, ns=(stamp, stamp))


def written(path: Path, text: str) -> Path:
    """A file that another process wrote: what this one writes is not data."""
    path.write_text(text)
    files._Opened.written.discard(str(path))
    return path


def found(folder: Path) -> list[files.DataFile]:
    return [file for file in files.data_files() if file.path.startswith(str(folder))]


def test_a_file_that_was_read_has_the_digest_of_its_contents(folder) -> None:
    path = written(folder / "x.csv", "1,2")
    path.read_text()
    assert [file.digest for file in found(folder)] == [files.digest_of(path)]


@pytest.mark.parametrize("edit", ["2,3", "1,2,3,4"])
def test_a_file_edited_after_it_was_read_does_not_get_the_digest_of_the_edit(folder, edit) -> None:
    path = written(folder / "x.csv", "1,2")
    path.read_text()
    changed(path, edit)
    files._Opened.written.discard(str(path))
    (file,) = found(folder)
    assert file.digest.startswith("changed ")
    assert file.digest != files.digest_of(path)
    path.read_text()
    assert [file.digest for file in found(folder)] == [files.digest_of(path)]


def test_a_file_that_changes_between_two_readings_has_no_digest(folder) -> None:
    path = written(folder / "x.csv", "1,2")
    path.read_text()
    (first,) = found(folder)
    path.read_text()
    changed(path, "2,3")
    files._Opened.written.discard(str(path))
    path.read_text()
    (file,) = found(folder)
    assert file.digest.startswith("changed ")
    assert file.stamp == first.stamp
    path.read_text()
    assert [file.digest for file in found(folder)] == [files.digest_of(path)]


def test_a_temporary_file_that_is_gone_is_not_data(folder) -> None:
    path = written(folder / "x.csv", "1,2")
    path.read_text()
    path.unlink()
    assert found(folder) == []


def test_files_that_this_process_writes_are_not_data(folder) -> None:
    (folder / "y.csv").write_text("1")
    (folder / "y.csv").read_text()
    assert found(folder) == []
