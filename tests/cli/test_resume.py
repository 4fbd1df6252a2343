"""Stopped by Ctrl-C or killed, a run goes on in its own row and ends with the same numbers."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from programs import LINE, run_python, run_thetahat, said

import thetahat as th
from children import STEPS, hold_at, start
from thetahat.store import open_store

STANDARD_PROGRAMS = True

EPOCHS = 100
HELD = STEPS + "from thetahat.store import _tracker; _tracker.FLUSH_S = 0.0\n" + LINE
"""The store has each chunk before the next begins."""


def wait_for_epochs(folder: Path, least: int) -> None:
    """Wait until the run in the store has logged some epochs."""
    while True:
        file = folder / ".thetahat" / "store.db"
        if file.exists():
            try:
                rows = sqlite3.connect(file).execute("SELECT epochs FROM runs").fetchall()
            except sqlite3.OperationalError:
                rows = []
            if rows and rows[-1][0] is not None and rows[-1][0] >= least:
                return
        time.sleep(0.05)


def numbers(folder: Path) -> tuple:
    """The final numbers of the only run of a store, and its whole history."""
    with open_store(folder / ".thetahat", create=False) as store:
        (run,) = store.runs()
        history = store.history(run.id)
    kept = {name: values.tolist() for name, values in history.items() if name != "seconds"}
    return run.status, run.epochs, dict(run.metrics), kept


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """The same run, never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "line.py").write_text(HELD, encoding="utf-8")
    code, _, err = run_python(["line.py", f"--epochs={EPOCHS}"], folder)
    assert (code, err) == (0, "")
    return numbers(folder)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_resume_ends_with_the_same_bits(
    folder: Path, whole: tuple, how: signal.Signals
) -> None:
    (folder / "line.py").write_text(HELD, encoding="utf-8")
    hold_at(folder, 40)
    with start(["line.py", f"--epochs={EPOCHS}"], folder) as child:
        wait_for_epochs(folder, 40)
        child.send_signal(how)
        hold_at(folder)
        _, err = child.communicate()
    assert child.returncode == 130
    with open_store(create=False) as store:
        run = store.run("last")
    assert run.status == "interrupted"
    assert 40 <= run.epochs < EPOCHS
    where = f"{run.name} interrupted after epoch {run.epochs} of {EPOCHS}"
    assert said(err) == f"thetahat: {where}; go on with: thetahat resume {run.name}\n"
    code, out, err = run_thetahat(["resume", run.name], folder)
    assert (code, err) == (0, "")
    assert out.startswith(f"{run.name} finished (all {EPOCHS} epochs done): ")
    assert numbers(folder) == whole


@pytest.mark.slow
def test_kill_9_loses_at_most_the_last_chunk(folder: Path, whole: tuple) -> None:
    (folder / "line.py").write_text(HELD, encoding="utf-8")
    hold_at(folder, 40)
    with start(["line.py", f"--epochs={EPOCHS}"], folder) as child:
        wait_for_epochs(folder, 40)
        code, _, err = run_thetahat(["resume", "last"], folder)
        why = (
            "thetahat: the run bright-magnolia-1 is being trained by another process; wait for it,"
        )
        assert (code, err) == (2, f"{why} or stop it\n")
        child.kill()
        child.communicate()
    hold_at(folder)
    code, _, err = run_thetahat(["resume", "last"], folder)
    assert (code, err) == (0, "")
    assert numbers(folder) == whole


@pytest.fixture
def cut(line, folder: Path):
    """A finished run that the store calls interrupted, so that there is something to resume."""
    th.main(line, ["--epochs=4", "--quiet", "--name=cut"])
    with open_store(create=False) as store:
        run = store.run("cut")
        store.finish_run(run.id, status="interrupted", reason="for this test")
    return run


def refusal(thetahat, *words: str) -> str:
    code, out, err = thetahat("resume", *words)
    assert (code, out) == (2, "")
    return err.removeprefix("thetahat: ").removesuffix("\n")


def test_a_run_that_has_ended(line, folder: Path, thetahat) -> None:
    th.main(line, ["--epochs=4", "--quiet", "--name=done"])
    said = (
        "the run done has ended: finished (all 4 epochs done); only interrupted runs can be"
        " resumed. To go further, run it again with more epochs"
    )
    assert refusal(thetahat, "done") == said
    with open_store() as store:
        store.finish_run(store.run("done").id, status="stopped", reason="no better for 3 epochs")
    assert refusal(thetahat, "done").endswith("with other stopping rules, such as more patience")


def test_no_such_run(cut, thetahat) -> None:
    said = refusal(thetahat, "cute")
    assert said.endswith("has no run 'cute'; did you mean 'cut'?")


def test_a_checkpoint_that_is_gone(cut, thetahat) -> None:
    Path(cut.checkpoint).unlink()
    said = f"the checkpoint of the run cut is gone ({cut.checkpoint}); run it again: {cut.command}"
    assert refusal(thetahat, "cut") == said


def test_a_checkpoint_that_is_corrupt(cut, thetahat) -> None:
    Path(cut.checkpoint).write_bytes(b"PK not really")
    said = refusal(thetahat, "cut")
    assert said.startswith(f"the checkpoint {cut.checkpoint} is damaged (")
    assert said.endswith("); delete it and run again from the start")


def test_a_checkpoint_with_one_byte_changed(cut, thetahat) -> None:
    path = Path(cut.checkpoint)
    good = path.read_bytes()
    for place in (70, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
        assert refusal(thetahat, "cut").startswith(f"the checkpoint {path} is damaged (")


@pytest.mark.parametrize(
    ("edit", "differs"),
    [
        (("th.models.Linear(1)", "th.models.MLP(1, width=3)"), "model was "),
        (("return th.Task(", "len(str(N))\n    return th.Task("), "the experiment's code differs"),
    ],
)
def test_a_program_that_was_edited_is_refused_by_name(
    cut, folder: Path, thetahat, edit: tuple[str, str], differs: str
) -> None:
    text = (folder / "line.py").read_text(encoding="utf-8")
    assert edit[0] in text
    (folder / "line.py").write_text(text.replace(*edit), encoding="utf-8")
    assert "line.py is not the file that began the run cut" in refusal(thetahat, "cut")
    said = refusal(thetahat, "cut", "--source", "line.py").partition("\nthetahat: ")[2]
    assert said.startswith(f"the checkpoint {cut.checkpoint} belongs to another fit: {differs}")
    with open_store(create=False) as store:
        assert store.run("cut").status == "interrupted"


def test_a_source_that_is_gone(cut, folder: Path, thetahat) -> None:
    (folder / "line.py").rename(folder / "moved.py")
    said = (
        "the run cut came from line.py, which is not here; go to its folder, or say where it is"
        " with --source"
    )
    assert refusal(thetahat, "cut") == said
    code, out, err = thetahat("resume", "cut", "--source", "moved.py")
    assert (code, err) == (0, "")
    assert out.startswith("cut finished (all 4 epochs done): ")


def test_resume_takes_the_program_that_began_the_run(
    cut, folder: Path, thetahat, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "line.py").write_text("raise SystemExit('another program ran')", encoding="utf-8")
    monkeypatch.chdir(elsewhere)
    code, out, err = thetahat("resume", "cut", "--store", str(folder / ".thetahat"))
    assert (code, err) == (0, "")
    assert out.startswith("cut finished (all 4 epochs done): ")


def test_a_store_from_elsewhere_runs_no_program_unasked(
    cut, folder: Path, thetahat, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "there").mkdir()
    shutil.copytree(folder / ".thetahat", folder / "there" / ".thetahat")
    (folder / "there" / "line.py").write_text("raise SystemExit('it ran')", encoding="utf-8")
    monkeypatch.chdir(folder / "there")
    said = refusal(thetahat, "cut")
    assert "line.py is not the file that began the run cut" in said
    assert "give --source" in said


def test_an_experiment_that_was_renamed(cut, folder: Path, thetahat) -> None:
    (folder / "line.py").write_text(LINE.replace("line", "lines"), encoding="utf-8")
    note, said = refusal(thetahat, "cut", "--source", "line.py").split("\n")
    assert note == (
        "note: line.py has changed since the run began; what follows is trained by the file as it"
        " is now"
    )
    assert said == "thetahat: line.py has no experiment 'line'; did you mean 'lines'?"


def test_a_script_that_runs_th_main_when_it_is_loaded_runs_nothing(cut, folder, thetahat) -> None:
    text = LINE.partition('if __name__ == "__main__":')[0] + "th.main(line)\n"
    (folder / "line.py").write_text(text, encoding="utf-8")
    code, out, err = thetahat("resume", "cut", "--source", "line.py")
    assert code == 0
    assert err.startswith("note: line.py has changed since the run began;")
    assert out.count("\n") == 1
    with open_store(create=False) as store:
        assert len(store.runs()) == 1


def test_a_run_that_kept_no_checkpoint(line, folder: Path, thetahat) -> None:
    th.main(line, ["--epochs=4", "--quiet", "--name=bare", "--no-checkpoint"])
    with open_store(create=False) as store:
        run = store.run("bare")
        store.finish_run(run.id, status="interrupted", reason="for this test")
    said = f"the run bare kept no checkpoint; run it again: {run.command}"
    assert refusal(thetahat, "bare") == said


def test_a_run_of_another_program(folder: Path, thetahat) -> None:
    with th.start({"lr": 0.1}, name="manual") as run:
        run.log({"loss": 1.0})
    with open_store(create=False) as store:
        store.finish_run(run.id, status="interrupted")
    assert refusal(thetahat, "manual").startswith(
        "the run manual kept no checkpoint; run it again: "
    )


def test_the_default_fit_is_interrupted_in_a_line_and_goes_on_as_one(
    folder: Path, thetahat, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def cut(*_: object, **__: object) -> Iterator[object]:
        yield lambda _: signal.raise_signal(signal.SIGINT)

    rows = "".join(f"{k % 7},{k * 13 % 11},{(k % 7) * 2 + k % 3}\n" for k in range(90))
    (folder / "t.csv").write_text(f"a,b,y\n{rows}", encoding="utf-8")
    fit = ("fit", "t.csv", "--target=y", "--members=3", "--width=4", "--epochs=400")
    fit = (*fit, "--model=mlp")
    with monkeypatch.context() as patch:
        patch.setattr("thetahat.cli._session.progress_bar", cut)
        code, out, err = thetahat(*fit, "--name=cut")
    assert code == 130 and "is the average" not in out
    with open_store(create=False) as store:
        done = {run.name: run.epochs for run in store.runs()}
    assert len(done) == 3
    (epochs,) = set(done.values())
    first = "cut-member"
    assert said(err) == (
        f"thetahat: 3 members interrupted after epoch {epochs} of 400; go on with: thetahat"
        f" resume {first}\n"
    )
    code, out, err = thetahat("resume", first)
    assert (code, said(err)) == (0, "")
    assert out.startswith("cut finished (the average of 3 members): ") and out.count("\n") == 1
    with open_store(create=False) as store:
        runs = store.runs()
        assert {(str(run.status), run.epochs) for run in runs} == {("finished", 400)}
        assert len({(run.cohort, run.command) for run in runs}) == 1
    code, out, _ = thetahat("show", "cut")
    assert code == 0 and "cut-member" in out  # with its members
