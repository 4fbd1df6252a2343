"""Standard output that is closed, or full: a program that a script starts so must not break."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs import LINE

from children import COMMAND, environment
from thetahat.cli import run
from thetahat.core import StoreError
from thetahat.core.run import Status
from thetahat.store import open_store


@pytest.fixture
def kept(folder: Path) -> str:
    """A store here with one run; its name."""
    with open_store() as store:
        made = store.create_run({"lr": 0.1}, experiment="line")
        store.finish_run(made.id, status=Status.FINISHED, epochs=1, metrics={"val_risk": 1.5})
    return made.name


def without(closed: str, words: list[str], folder: Path) -> tuple[int, str, str]:
    """A child Python whose streams are closed as a shell closes them."""
    script = f'exec "$0" "$@" {closed}'
    child = subprocess.run(
        ["sh", "-c", script, sys.executable, *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return child.returncode, child.stdout, child.stderr


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_silence(kept: str, folder: Path, closed: str) -> None:
    assert without(closed, ["-c", COMMAND, "runs"], folder) == (0, "", "")
    assert without(closed, ["-c", COMMAND, "show", "no-such-run"], folder)[0] == 2
    # Nothing was written into the store, whose file could have taken the number of a stream.
    with open_store(create=False) as store:
        assert [found.name for found in store.runs()] == [kept]


def test_a_message_does_not_end_up_among_the_data(kept: str, folder: Path) -> None:
    code, out, err = without("2>&-", ["-c", COMMAND, "show", "no-such-run"], folder)
    assert (code, out, err) == (2, "", "")


def test_a_script_fits_with_standard_output_closed(folder: Path) -> None:
    (folder / "line.py").write_text(LINE, encoding="utf-8")
    code, _, err = without(">&-", ["line.py", "--epochs=2"], folder)
    assert code == 0
    assert "Traceback" not in err
    with open_store(create=False) as store:
        assert [found.status for found in store.runs()] == [Status.FINISHED]


class Full(io.StringIO):
    """Standard output on a disk that is full."""

    write_through = False

    def __init__(self, path: Path, *, at_once: bool) -> None:
        super().__init__()
        self.write_through = at_once
        self._handle = os.open(path, os.O_CREAT | os.O_WRONLY)

    def fileno(self) -> int:
        return self._handle

    def write(self, text: str) -> int:
        if self.write_through:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(text)

    def flush(self) -> None:
        if self.getvalue():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("words", [["runs"], ["runs", "--format=json"], ["show", "last"], ["-h"]])
def test_full_standard_output_is_one_line(
    kept: str, words: list[str], at_once: bool, capsys, monkeypatch
) -> None:
    full = Full(Path("full.txt"), at_once=at_once)
    monkeypatch.setattr(sys, "stdout", full)
    assert run(words) == 2
    os.close(full.fileno())
    assert capsys.readouterr().err == (
        "thetahat: standard output cannot be written (No space left on device)\n"
    )


def test_another_full_disk_is_not_laid_on_standard_output(kept: str, monkeypatch, capsys) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("thetahat.store.Store.runs", fails)
    assert run(["runs"]) == 1
    said = capsys.readouterr()
    assert said.out.strip() == ""
    assert "Traceback" in said.err
    assert "standard output" not in said.err


def test_the_demo_says_where_its_files_cannot_be_written(folder: Path) -> None:
    # The demo's files are laid out without its sweep.
    from thetahat.cli.commands._demo import lay_out

    (folder / "st").write_text("a file in the way", encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        lay_out(folder / "st" / "demo")
    assert str(caught.value) == (
        f"the files of the demo cannot be written to {folder / 'st' / 'demo'} (Not a directory);"
        " give another place with --store or THETAHAT_STORE"
    )


def test_a_demo_leaves_changed_files_alone(folder: Path) -> None:
    # The demo's files are laid out without its sweep.
    from thetahat.cli.commands._demo import FILE, PROGRAM, lay_out

    assert lay_out(folder / "demo") == Path("demo") / FILE
    assert lay_out(folder / "demo") == Path("demo") / FILE
    (folder / "demo" / PROGRAM).write_text("mine\n", encoding="utf-8")
    assert lay_out(folder / "demo") == Path("demo-2") / FILE
    assert (folder / "demo" / PROGRAM).read_text(encoding="utf-8") == "mine\n"
    assert (folder / "demo-2" / PROGRAM).read_text(encoding="utf-8") != "mine\n"
