"""``thetahat store copy``: a whole copy, also while a program writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import thetahat as th
from thetahat.store import list_files, open_store, read_file


def test_a_copy_is_whole_while_a_run_writes(folder: Path, thetahat) -> None:
    with open_store() as store:
        for k in range(3):
            store.create_run({"k": k})
        # By hand: what lies in the log beside it is missing.
        shutil.copy(store.path, folder / "by-hand.db")
        code, out, err = thetahat("store", "copy", "backup.db")
        assert (code, err) == (0, "")
        assert out == f"backup.db: 3 runs; checkpoints and logs stay beside {store.path}\n"
    with open_store(folder / "backup.db", create=False) as copy:
        assert [run.config for run in copy.runs()] == [{"k": k} for k in range(3)]


def test_a_copy_replaces_nothing_and_has_the_name_of_a_store(kept: str, folder, thetahat) -> None:
    (folder / "mine.db").write_text("mine", encoding="utf-8")
    for name, said in (
        ("mine.db", "is there already"),
        ("backup", "give a name such as backup.db"),
        ("none/x.db", "cannot be written"),
    ):
        code, out, err = thetahat("store", "copy", name)
        assert (code, out) == (2, "")
        assert said in err
    assert (folder / "mine.db").read_text(encoding="utf-8") == "mine"


def test_doctor_says_how_to_back_up(kept: str, thetahat) -> None:
    assert "thetahat store copy FILE" in " ".join(thetahat("doctor")[1].split())


def test_a_copy_has_the_files_of_its_runs(folder: Path, thetahat) -> None:
    with th.start({}) as run:
        run.log_file("note.txt", "hello")
    (folder / "other").mkdir()
    assert thetahat("store", "copy", "other/copy.db")[0] == 0
    with open_store(folder / "other" / "copy.db") as store:
        assert read_file(list_files(store, run.id)[0]) == b"hello"
