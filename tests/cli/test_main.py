"""``th.main``: runs kept, endings told, failures with the right exit code."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import pytest
from programs import LINE, load, run_python

import thetahat as th
from thetahat.core import InputError, StoreError
from thetahat.store import open_store


def test_a_run_is_kept_with_where_it_came_from(line, folder: Path) -> None:
    result = th.main(line, ["--lr=0.3", "--epochs", "8", "--quiet"])
    assert result.status == "finished"
    assert result.epochs == 8
    with open_store(create=False) as store:
        run = store.run("last")
        history = store.history(run.id)
    assert run.experiment == "line"
    assert run.source == "line.py"
    assert run.config["lr"] == 0.3
    assert run.metrics["test_risk"] == pytest.approx(result.risk["test"])
    assert history["train_risk"].tolist() == result.history["train_risk"].tolist()
    assert run.provenance["versions"]["thetahat"] == th.__version__
    assert run.provenance["threefry_partitionable"] in (True, False)
    assert len(run.provenance["source_hash"]) == 16
    checkpoint = Path(run.checkpoint)
    assert checkpoint.parent == folder / ".thetahat" / "checkpoints"
    assert checkpoint.is_file()
    assert not list(checkpoint.parent.glob("*.lock"))


def test_the_printed_line_where_nobody_looks(line, capsys) -> None:
    th.main(line, ["--epochs=3", "--name=first"])
    said = capsys.readouterr()
    number = r"[-+.e\d]+"
    shape = (
        rf"first finished \(all 3 epochs done\): train_risk={number} val_risk={number}"
        rf" test_risk={number} best_epoch=3 n_params=2 seconds={number}\n"
    )
    assert re.fullmatch(shape, said.out)
    assert said.err == ""


def test_quiet_says_nothing_and_no_store_keeps_nothing(line, folder: Path, capsys) -> None:
    before = set(folder.iterdir())
    th.main(line, ["--epochs=3", "--no-store", "--quiet"])
    assert capsys.readouterr() == ("", "")
    assert set(folder.iterdir()) == before


def test_no_checkpoint(line, folder: Path) -> None:
    th.main(line, ["--epochs=3", "--no-checkpoint", "--quiet", "--store=s"])
    with open_store("s", create=False) as store:
        assert store.run("last").checkpoint is None
    assert not (folder / "s" / "checkpoints").exists()


def test_help_and_print_config_run_nothing(line, folder: Path, capsys) -> None:
    assert th.main(line, ["--help"]) is None
    assert "slope" in capsys.readouterr().out
    assert th.main(line, ["--print_config", "--lr=0.5"]) is None
    assert "lr: 0.5\n" in capsys.readouterr().out
    assert not (folder / ".thetahat").exists()


def test_a_batch_size_above_n_is_an_error_only_where_it_was_given(line, folder: Path) -> None:
    said = (
        "batch_size=512 is larger than the 24 training observations;"
        " give at most 24, or none for the full batch"
    )
    with pytest.raises(InputError) as caught:
        th.main(line, ["--batch_size=512", "--quiet"])
    assert str(caught.value) == said
    (folder / "c.yaml").write_text("batch_size: 512\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        th.main(line, ["--config=c.yaml", "--quiet"])
    assert str(caught.value) == said
    with open_store(create=False) as store:
        assert store.runs() == []


def test_a_store_that_cannot_be_made(line, folder: Path) -> None:
    (folder / "taken").write_text("", encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        th.main(line, ["--store=taken/here", "--quiet"])
    assert str(caught.value).startswith(f"a store cannot be made in {folder / 'taken' / 'here'}")


def call(experiment, words: list[str], monkeypatch, capsys) -> tuple[int, str, str]:
    """th.main as a script calls it: exit code, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["line.py", *words])
    try:
        th.main(experiment)
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_script_exits_with_2_and_one_line(line, monkeypatch, capsys) -> None:
    code, out, err = call(line, ["--learning_rate=1"], monkeypatch, capsys)
    said = "thetahat: line() has no parameter 'learning_rate'; did you mean 'lr'?\n"
    assert (code, out, err) == (2, "", said)


def test_a_script_whose_run_diverged_exits_with_1(line, monkeypatch, capsys) -> None:
    code, out, err = call(line, ["--lr=1e9", "--quiet"], monkeypatch, capsys)
    assert (code, out) == (1, "")
    assert err.startswith("thetahat: bright-magnolia-1 diverged: train_risk = ")
    assert err.count("\n") == 1
    with open_store(create=False) as store:
        run = store.run("last")
    assert run.status == "diverged"
    assert run.metrics["test_risk"] is None


def test_a_script_whose_run_is_done_goes_on(line, monkeypatch, capsys) -> None:
    assert call(line, ["--epochs=3", "--quiet"], monkeypatch, capsys) == (0, "", "")


BROKEN = LINE.replace(
    "    return th.Task(th.models.Linear(1), data,",
    '    def residual(h, z):\n        return h(z[0]) - {"y": z[1]}["z"]\n\n'
    "    return th.Task(th.models.Linear(1), data, residual=residual,",
)


def test_a_bug_in_the_residual_is_shown_in_the_users_own_lines(folder, monkeypatch, capsys) -> None:
    experiment = load(folder, BROKEN)
    monkeypatch.delenv("THETAHAT_TRACEBACK", raising=False)
    code, out, err = call(experiment, ["--quiet"], monkeypatch, capsys)
    assert (code, out) == (1, "")
    lines = err.splitlines()
    assert lines[0] == "Traceback (your own lines; THETAHAT_TRACEBACK=1 shows all):"
    assert any('{"y": z[1]}["z"]' in text for text in lines)
    assert any(text.startswith("KeyError: 'z'") for text in lines)
    assert not any("site-packages" in text for text in lines)
    with open_store(create=False) as store:
        run = store.run("last")
    assert (run.status, run.reason) == ("failed", "KeyError: 'z' (line.py, line 15)")
    assert run.config["lr"] == 0.1
    monkeypatch.setenv("THETAHAT_TRACEBACK", "1")
    assert "_session.py" in call(experiment, ["--quiet"], monkeypatch, capsys)[2]


def test_an_experiment_that_gives_no_task(folder, monkeypatch, capsys) -> None:
    experiment = load(folder, LINE.replace("return th.Task(", "return {} if N else th.Task("))
    code, _, err = call(experiment, ["--quiet"], monkeypatch, capsys)
    said = (
        "an experiment must return a th.Task; got dict."
        " End it with: return th.Task(model=..., data=...)"
    )
    assert (code, err) == (2, f"thetahat: {said}\n")


STATIC = LINE.replace(
    "    x = np", "    if float(slope) < 0:\n        raise ValueError\n    x = np"
)


def test_notices_are_one_line_and_stay_with_the_run(folder, monkeypatch, capsys) -> None:
    experiment = load(folder, STATIC)
    code, _, err = call(experiment, ["--epochs=3", "--quiet"], monkeypatch, capsys)
    said = (
        "line(): 'slope' is static, because Python must know it at line.py:12: if float(slope)"
        " < 0:; each of its values compiles a program of its own. Write slope: th.Static[float] to"
        " say so for good"
    )
    assert (code, err) == (0, f"note: {said}\n")
    with open_store(create=False) as store:
        assert store.notices(store.run("last").id) == [said]


@pytest.mark.slow
def test_a_real_script(folder: Path) -> None:
    (folder / "line.py").write_text(LINE, encoding="utf-8")
    code, out, err = run_python(["line.py", "--epochs=3"], folder)
    assert (code, err) == (0, "")
    assert out.startswith("bright-magnolia-1 finished (all 3 epochs done): train_risk=")
    code, out, err = run_python(["line.py", "--epoch=3"], folder)
    said = "thetahat: line() has no parameter 'epoch'; did you mean 'epochs'?\n"
    assert (code, out, err) == (2, "", said)


EARLY = (
    LINE.replace("    x = np", "    once()\n    x = np")
    + """
import signal
done = []

def once():
    if not done:
        done.append(1)
        signal.raise_signal(signal.SIGNAL)
"""
)


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
def test_ctrl_c_before_the_first_epoch_waits_for_the_compiler(
    folder, monkeypatch, capsys, how
) -> None:
    # The signal comes while the experiment is traced.
    experiment = load(folder, EARLY.replace("SIGNAL", how))
    before = signal.getsignal(signal.SIGINT)
    code, out, err = call(experiment, ["--quiet"], monkeypatch, capsys)
    assert (code, out) == (130, "")
    assert err == (
        "note: stopping as soon as the program is compiled; Ctrl-C again stops at once\n"
        "thetahat: interrupted; nothing had run yet\n"
    )
    assert signal.getsignal(signal.SIGINT) is before
    with open_store(create=False) as store:
        assert store.runs() == []
