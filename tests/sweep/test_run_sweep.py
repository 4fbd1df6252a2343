"""``th.run_sweep`` and the sweep that it returns: the engine of the command, from Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from at_work import LOSES

import thetahat as th
from children import SOURCE, until
from thetahat.core import ConfigError, Interrupted

GRID = {
    "method": "grid",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {"lr": {"values": [0.1, 0.3, 0.7]}, "epochs": {"value": 3}},
}
RANDOM = {
    "method": "random",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {"lr": {"min": 0.0, "max": 1.0}},
}
SHAKY = """\
import os, sys
given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
if float(given["lr"]) == 0.3 and os.path.exists("bug"):
    sys.exit("a bug")
print('{"step": 1, "loss": %s}' % given["lr"])
"""
SCRIPT = """\
import sys, time, thetahat as th, numpy as np

def line(lr: float = 0.1, epochs: int = 5) -> th.Task:
    x = np.linspace(-1, 1, 16, dtype=np.float32)[:, None]
    return th.Task(th.models.Linear(1), th.Data((x, 2 * x[:, 0])),
                   optimizer=th.optim.named("sgd", lr), epochs=epochs)

def go(**how):
    epochs = {"value": int(sys.argv[1]) if len(sys.argv) > 1 else 5}
    spec = {"method": "grid", "parameters": {"lr": {"values": [0.1, 0.2]}, "epochs": epochs}}
    return th.run_sweep(line, spec, workers=1, **how)

"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)
    Path("loses.py").write_text(LOSES, encoding="utf-8")
    Path("shaky.py").write_text(SHAKY, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A finished sweep of a program; nothing writes to it."""
    where = tmp_path_factory.mktemp("swept")
    (where / "loses.py").write_text(LOSES, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(where)
        return th.run_sweep("loses.py", GRID, store=where / "st", quiet=True)


def lrs(sweep):
    return sorted(run.config["lr"] for run in sweep.runs)


# -- looking --------------------------------------------------------------------------------------


def test_a_program_is_swept_from_a_dict(swept):
    assert (swept.status, swept.name, len(swept.runs)) == ("finished", "loses", 3)
    assert swept.best.config == {"lr": 0.3, "epochs": 3}
    assert swept.best.median == pytest.approx(1 / 3)


def test_a_frame_has_a_row_for_each_run(swept):
    frame = swept.frame()
    assert frame["name"].tolist() == [run.name for run in swept.runs]
    assert frame["lr"].tolist() == [0.1, 0.3, 0.7]
    expected = (frame["lr"] - 0.3) ** 2 + 1 / 3
    np.testing.assert_allclose(frame["loss"], expected)
    assert frame["status"].unique() == ["finished"] and frame["attempt"].tolist() == [1, 1, 1]


def test_a_history_has_every_record_of_every_run(swept):
    history = swept.history()
    assert len(history) == 9
    with th.open_store(swept._path, create=False) as store:  # the records of one run
        for run in swept.runs:
            mine, alone = history[history["name"] == run.name], store.history(run.id)
            assert list(alone) == list(mine.columns[1:])
            for name, column in alone.items():
                np.testing.assert_array_equal(mine[name], column)
    assert list(swept.history(["loss"]).columns) == ["name", "epoch", "loss"]
    with pytest.raises(ConfigError, match="no run logged 'los'; did you mean 'loss'"):
        swept.history(["los"])


def test_a_history_leaves_gaps_where_a_run_logged_another_column(tmp_path):
    from thetahat.store import NewRun, NewSweep, create_sweep, open_store

    with open_store(tmp_path / "st") as store:
        row = create_sweep(store, NewSweep("method: grid", "two"))
        with store.batch() as writer:
            first, _ = writer.create_run(NewRun(sweep_id=row.id, name="one"))
            second, _ = writer.create_run(NewRun(sweep_id=row.id, name="two"))
        store.log_block(first, {"epoch": [1, 2], "a": [1.0, 2.0]})
        store.log_block(second, {"epoch": [1], "b": [3.0]})
        store.log_block(first, {"epoch": [2, 3], "a": [5.0, 6.0]})  # epoch 2 once more
    found = th.open_sweep(row.id, tmp_path / "st").history()
    wanted = pd.DataFrame(
        {
            "name": pd.Categorical(["one"] * 3 + ["two"], categories=["one", "two"]),
            "epoch": [1, 2, 3, 1],
            "a": [1.0, 5.0, 6.0, np.nan],
            "b": [np.nan, np.nan, np.nan, 3.0],
        }
    )
    pd.testing.assert_frame_equal(found, wanted)


def test_the_frame_tells_runs_of_another_code_apart(tmp_path):
    from thetahat.store import NewRun, NewSweep, create_sweep, open_store

    codes = [{"a.py": "12ab"}, {"a.py": "12ab"}, {"a.py": "9f"}, {"a.py": "9f", "b.py": "1"}, None]
    with open_store(tmp_path / "st") as store:
        row = create_sweep(store, NewSweep("method: grid", "two"))
        with store.batch() as writer:
            for code in codes:
                given = {} if code is None else {"code": code}
                writer.create_run(NewRun(sweep_id=row.id, provenance=given))
    found = th.open_sweep(row.id, tmp_path / "st").frame()["code"].tolist()
    assert found[:3] == ["12ab", "12ab", "9f"]
    assert found[3] not in found[:3] and len(found[3]) == 16 and pd.isna(found[4])


def test_groups_average_over_a_parameter(swept):
    (row,) = swept.groups(over="lr").to_dict("records")
    losses = [(lr - 0.3) ** 2 + 1 / 3 for lr in (0.1, 0.3, 0.7)]
    assert (row["runs"], row["n"]) == (3, 3)
    assert row["loss median"] == pytest.approx(np.median(losses))
    assert row["loss q90"] == pytest.approx(np.quantile(losses, 0.9))
    assert swept.groups()["lr"].tolist() == [0.3, 0.1, 0.7]


def test_a_report_is_one_file(swept, tmp_path):
    table = swept.report(tmp_path / "sweep.md").read_text(encoding="utf-8")
    assert "loses" in table and "0.333" in table
    with pytest.raises(ConfigError, match="its ending says no format"):
        swept.report(tmp_path / "sweep.doc")


# -- the spec -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "gird"}, "the spec: method: method is the text 'gird'"),
        ({"parameters": {"lr": {"min": 5, "max": 2}}}, "min 5 is above max 2; swap them"),
        ({"parameters": {"lr": {"values": [print]}}}, "a builtin_function_or_method; give numbers"),
        (
            {"method": "random", "parameters": {"lr": {"value": [1, 2]}}},
            r"did you mean lr: {values",
        ),
    ],
)
def test_a_mistake_of_a_spec_names_its_key(folder, change, said):
    with pytest.raises(ConfigError, match=said):
        th.run_sweep("loses.py", GRID | change)
    assert not Path(".thetahat", "store.db").exists()


def test_wrong_arguments_are_refused(folder):
    for wrong, said in (
        ({"cuont": 3}, "no option 'cuont'; did you mean 'count'"),
        ({"workers": 0}, "workers=0: give a whole number of at least 1"),
        ({"count": 0}, "^count=0: give a whole number"),
        ({"devices": "foo"}, r"^devices='foo': give a list of GPUs, such as \[0, 1\]"),
        ({"devices": ["gpu0"]}, r"^devices=\['gpu0'\]: give a list of GPUs"),
        ({"devices": 1}, "^devices=1: give a list of GPUs"),
    ):
        with pytest.raises(ConfigError, match=said):
            th.run_sweep("loses.py", GRID, **wrong)
    with pytest.raises(ConfigError, match=r"there is no file lost\.py"):
        th.run_sweep("lost.py", GRID)
    with pytest.raises(ConfigError, match="takes an experiment or the path"):
        th.run_sweep(3, GRID)  # pyright: ignore[reportArgumentType]


def test_words_and_numpy_numbers_reach_the_program_as_they_are(folder):
    Path("echo.py").write_text("import sys; print(sys.argv[1:])", encoding="utf-8")
    values = ["off", "1e-3", "ü: #", np.float32(0.5), np.int64(3), None, True, 1e-5]
    spec = {"method": "grid", "parameters": {"x": {"values": values}}}
    sweep = th.run_sweep("echo.py", spec, quiet=True, workers=2)
    assert [run.config["x"] for run in sweep.runs] == [
        "off",
        "1e-3",
        "ü: #",
        0.5,
        3,
        None,
        True,
        1e-5,
    ]


def test_a_sweep_file_is_taken_too(folder):
    text = "method: grid\nparameters:\n  lr: {values: [0.1, 0.2]}\n"
    Path("s.yaml").write_text(text, encoding="utf-8")
    assert lrs(th.run_sweep("loses.py", "s.yaml", quiet=True)) == [0.1, 0.2]


# -- going on -------------------------------------------------------------------------------------


def test_extend_adds_values_and_repeats_no_point(folder):
    sweep = th.run_sweep("loses.py", GRID, quiet=True)
    sweep.extend({"lr": [0.3, 0.9]}, quiet=True)
    assert lrs(sweep) == [0.1, 0.3, 0.7, 0.9]
    with pytest.raises(ConfigError, match="all 4 runs of the grid have begun; give new values"):
        sweep.extend(2)
    with pytest.raises(ConfigError, match="no parameter 'rl'; did you mean 'lr'"):
        sweep.extend({"rl": [1.0]})


def test_extend_goes_on_with_the_same_draws(folder):
    whole = th.run_sweep("loses.py", RANDOM, count=5, seed=3, quiet=True)
    sweep = th.run_sweep("loses.py", RANDOM, count=2, seed=3, quiet=True)
    sweep.extend(3, quiet=True)
    assert lrs(sweep) == lrs(whole) and len(set(lrs(whole))) == 5


def test_retry_runs_the_failed_points_and_no_others(folder, capsys):
    Path("bug").touch()
    sweep = th.run_sweep("shaky.py", GRID, quiet=True, workers=1)
    before = {run.id: run.finished for run in sweep.runs}
    assert sweep.frame()["status"].tolist() == ["finished", "failed", "finished"]
    Path("bug").unlink()
    capsys.readouterr()
    sweep.retry_failed()  # quiet, as the sweep
    assert capsys.readouterr() == ("", "")
    assert sweep.status == "finished"
    assert sweep.frame()["attempt"].tolist() == [1, 2, 1]
    assert sweep.best.config["lr"] == 0.1
    again = {run.id for run in sweep.runs if run.finished != before[run.id]}
    (failed,) = again
    with th.open_store() as store:
        (earlier,) = store.run(failed).provenance["earlier"]
    assert earlier["attempt"] == 1 and "a bug" in earlier["failed"]
    with pytest.raises(ConfigError, match="no run of the sweep .* has failed"):
        sweep.retry_failed()


CELL = """
def fit(lr: float = 0.1) -> th.Task:
    x = np.linspace(-1, 1, 32)[:, None]
    return th.Task(th.models.Linear(1), th.Data((x, x[:, 0])), optimizer=th.optim.named("sgd", %s),
                   epochs=20)
"""


def test_diverged_runs_run_again_by_the_function_as_its_cell_has_it_now(folder, monkeypatch):
    cell = types.ModuleType("cell")
    vars(cell).update(th=th, np=np)
    monkeypatch.setitem(sys.modules, "cell", cell)
    exec(CELL % "lr", vars(cell))
    spec = {"method": "grid", "parameters": {"lr": {"values": [0.1, 1e9]}}}
    sweep = th.run_sweep(cell.fit, spec, quiet=True)
    assert sweep.frame()["status"].tolist() == ["finished", "diverged"]
    hint = r"one that diverged runs again with retry_failed\(diverged=True\)"
    with pytest.raises(ConfigError, match=hint):
        sweep.retry_failed()
    exec(CELL % "0.1 * lr / (0.1 + lr)", vars(cell))
    with pytest.warns(th.Notice, match=r"fit\(\) was defined anew: the runs take it as it is now"):
        sweep.retry_failed(diverged=True)
    assert sweep.frame()["status"].tolist() == ["finished", "finished"]
    assert sweep.frame()["attempt"].tolist() == [1, 2]


def test_a_cancelled_sweep_retries_and_begins_no_other_run(folder):
    from thetahat.store import cancel_sweep, open_store, retry_failed

    Path("bug").touch()
    spec = RANDOM | {
        "parameters": {"lr": {"values": [0.3, 0.30000001]}, "x": {"max": 9.5, "min": 0}}
    }
    sweep = th.run_sweep("shaky.py", spec, count=4, quiet=True, workers=1)
    n_failed = sweep.frame()["status"].tolist().count("failed")
    sweep.extend(50, wait=False, quiet=True).cancel()
    runs = len(sweep.runs)
    with open_store() as store:
        assert not cancel_sweep(store, sweep.id)
        n_failed = sum(run.status == "failed" for run in store.runs(sweep_id=sweep.id))
    Path("bug").unlink()
    sweep.retry_failed(quiet=True)
    assert (len(sweep.runs), sweep.status) == (runs, "finished")
    assert sum(run.attempt == 2 for run in sweep.runs) == n_failed > 0
    with open_store() as store:
        assert retry_failed(store, sweep.id) == 0


# -- in the background ----------------------------------------------------------------------------


def test_a_background_sweep_returns_at_once_and_can_be_cancelled(folder):
    Path("slow.py").write_text("import time; time.sleep(600)", encoding="utf-8")
    sweep = th.run_sweep("slow.py", GRID, wait=False, workers=1)
    assert sweep.status == "running"
    while not any(run.status == "running" for run in sweep.refresh().runs):
        time.sleep(0.05)
    sweep.cancel()
    assert (sweep.status, sweep.best) == ("cancelled", None)
    assert {str(run.status) for run in sweep.runs} == {"cancelled"}
    assert sweep.wait() is sweep
    with pytest.raises(ConfigError, match="is cancelled already"):
        sweep.resume()


def test_wait_raises_what_ended_the_agent(folder):
    Path("dies.py").write_text("raise SystemExit('no luck')", encoding="utf-8")
    sweep = th.run_sweep("dies.py", GRID, wait=False, workers=1)
    with pytest.raises(th.InputError, match="the first 3 runs all failed.*no luck") as caught:
        sweep.wait()
    fix = str(caught.value).partition("run all again with: ")[2].partition(";")[0]
    assert fix == f"th.open_sweep('{sweep.id}').retry_failed()"
    Path("dies.py").write_text("import json; print(json.dumps({'loss': 1.0}))", encoding="utf-8")
    assert {str(run.status) for run in eval(fix).runs} == {"finished"}


def test_runs_that_an_interrupted_agent_never_began_had_no_attempt(folder):
    def here(epochs: int = 4) -> th.Task:
        if not asked:
            asked.append(True)
            signal.raise_signal(signal.SIGINT)
        return _task(0.1, epochs=epochs)

    asked: list[bool] = []
    spec = {"method": "grid", "parameters": {"epochs": {"values": [4, 5, 6, 7]}}}
    with pytest.raises(Interrupted):
        th.run_sweep(here, spec, quiet=True)
    sweep = th.open_sweep()
    left = [run.attempt for run in sweep.runs if run.status == "queued"]
    assert 0 in left
    assert max(left) <= 1
    begun = [run.name for run in sweep.runs if run.attempt]
    sweep.resume(here, quiet=True)
    assert {str(run.status) for run in sweep.runs} == {"finished"}
    assert all(run.attempt == 1 for run in sweep.runs if run.name not in begun)


# -- experiments ----------------------------------------------------------------------------------


def _task(lr, scale=1.0, epochs=4):
    x = np.linspace(-1, 1, 16, dtype=np.float32)[:, None]
    sgd = th.optim.named("sgd", lr)
    return th.Task(th.models.Linear(1), th.Data((x, scale * x[:, 0])), optimizer=sgd, epochs=epochs)


def test_a_function_of_no_file_runs_in_this_process(folder):
    def here(lr: float = 0.1, epochs: int = 4) -> th.Task:
        assert os.getpid() == me
        if broken and epochs == 5:
            raise ValueError("a bug")
        return _task(lr, epochs=epochs)

    me, broken = os.getpid(), True
    values = {"epochs": {"values": [4, 5]}}
    spec = {"method": "grid", "metric": {"name": "train_risk"}, "parameters": values}
    sweep = th.run_sweep(here, spec, quiet=True)
    frame = sweep.frame()
    assert frame["status"].tolist() == ["finished", "failed"]
    assert frame["code"].nunique(dropna=False) == 1
    assert ": 2 runs, 1 failed; train_risk: best " in repr(sweep)
    opened = th.open_sweep(sweep.id)
    with pytest.raises(
        ConfigError, match=r"is in no file; give it: for example retry_failed\(here\)"
    ):
        opened.retry_failed()
    broken = False
    opened.retry_failed(here, quiet=True)
    assert opened.frame()["status"].tolist() == ["finished", "finished"]
    alone = th.fit(here, **opened.best.config)
    assert alone.risk["train"] == pytest.approx(opened.best.median, rel=1e-6)
    with th.open_store() as store:
        assert list(store.run(opened.runs[0].id).provenance["code"]) == ["here()"]


def script(tail: str, *words: str) -> subprocess.Popen[str]:
    Path("script.py").write_text(SCRIPT + tail, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "script.py", *words],
        env={**os.environ, "PYTHONPATH": SOURCE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def running(count: int = 1) -> None:
    """Wait until runs of the latest sweep train."""
    while True:
        if Path(".thetahat").exists():
            try:
                runs = th.open_sweep("last").runs
            except th.ThetahatError:
                runs = []
            if sum(run.status == "running" and run.epochs > 0 for run in runs) >= count:
                return
            assert not any(run.reason for run in runs), runs
        time.sleep(0.1)


def test_a_script_without_a_guard_is_told_to_have_one(folder):
    done = script("go()\n", "5")
    _, said = done.communicate()
    assert done.returncode == 1
    assert "script.py calls th.run_sweep whenever it is loaded" in said.splitlines()[-1]
    assert "if __name__ == '__main__':" in said.splitlines()[-1]
    assert th.open_sweep("last").status == "cancelled"


def test_ctrl_c_returns_the_runs_of_a_script(folder):
    tail = 'if __name__ == "__main__":\n    go()\n'
    process = script(tail, "2000000")
    running(2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert (
        f"went back to the queue; go on with th.open_sweep('{th.open_sweep().id}').resume()" in said
    )
    assert {str(run.status) for run in th.open_sweep().runs} == {"queued"}


def test_a_background_agent_ends_with_python(folder):
    tail = """if __name__ == "__main__":
    sweep = go(wait=False)
    while not any(run.epochs or run.reason for run in sweep.refresh().runs):
        time.sleep(0.1)
"""
    process = script(tail, "2000000")
    _, said = process.communicate()
    assert (process.returncode, said) == (0, "")
    runs = th.open_sweep().runs
    assert {str(run.status) for run in runs} == {"queued"} and any(run.epochs for run in runs)

    def left() -> list[psutil.Process]:
        found = [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(folder)]
        return [p for p in found if p.pid != os.getpid()]

    until(lambda: not left())


def test_interrupted_carries_the_sweep():
    assert Interrupted("x", ["sweep"]).results == ("sweep",)


def test_the_call_that_goes_on_names_a_store_that_is_not_the_default(folder):
    Path("bug").touch()
    spec = {"method": "grid", "parameters": {"lr": {"value": 0.3}, "k": {"values": [1, 2, 3, 4]}}}
    with pytest.raises(th.InputError, match="the first") as caught:
        th.run_sweep("shaky.py", spec, store="elsewhere", quiet=True)
    Path("bug").unlink()
    fix = str(caught.value).partition("run all again with: ")[2].partition(";")[0]
    assert "elsewhere" in fix
    assert {str(run.status) for run in eval(fix).runs} == {"finished"}
