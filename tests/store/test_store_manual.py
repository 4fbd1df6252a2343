"""th.start: programs that are no experiment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import thetahat
from children import until
from thetahat import start
from thetahat.core import ConfigError, StoreError
from thetahat.store import ManualRun, Store, open_store

SOURCE = str(Path(thetahat.__file__).parents[1])


def script(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    file = folder / "script.py"
    file.write_text(textwrap.dedent(code))
    env = {**os.environ, "PYTHONPATH": SOURCE, "THETAHAT_STORE": str(folder / "runs")}
    return subprocess.run(
        [sys.executable, str(file)],
        env=env,
        text=True,
        capture_output=True,
        timeout=240,
        check=False,
    )


def test_log_and_finish(store: Store) -> None:
    run = start({"lr": 0.1}, name="mine", project="wages", store=store)
    assert store.run(run.id).status == "running"
    for step in range(5):
        run.log({"loss": 1.0 / (step + 1), "val_risk": step})
    run.finish(reason="enough")
    seen = store.run("mine")
    assert (seen.status, seen.reason, seen.project) == ("finished", "enough", "wages")
    assert seen.metrics == {"loss": 0.2, "val_risk": 4.0}
    assert (seen.best_val_risk, seen.best_epoch) == (0.0, 0)
    assert seen.config == run.config == {"lr": 0.1}
    assert seen.total_seconds is not None
    assert 0 < seen.total_seconds < 300
    history = store.history(run.id)
    np.testing.assert_array_equal(history["step"], range(5))
    np.testing.assert_allclose(history["loss"], 1 / np.arange(1.0, 6.0))


def test_scalars_of_any_library_are_numbers(store: Store) -> None:
    with start(store=store) as run:
        run.log(
            {"a": np.float32(0.5), "b": jnp.float32(0.25), "c": True, "d": np.array([2.0]), "e": 3}
        )
    assert store.run(run.id).metrics == {"a": 0.5, "b": 0.25, "c": 1.0, "d": 2.0, "e": 3.0}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("low", "run.log: loss='low' is not a number (str)"),
        (None, "run.log: loss=None is not a number (NoneType)"),
        ([1.0], "run.log: loss=[1.0] is not a number (list)"),
        (1j, "run.log: loss=1j is not a number (complex)"),
    ],
)
def test_words_are_no_numbers(store: Store, value: Any, message: str) -> None:
    with start(store=store) as run, pytest.raises(ConfigError) as caught:
        run.log({"loss": value})
    assert str(caught.value) == f"{message}; log numbers only, and put words into the config"
    assert store.history(run.id) == {}


def test_arrays_steps_and_statuses_that_are_wrong(store: Store) -> None:
    with start(store=store) as run:
        with pytest.raises(ConfigError) as caught:
            run.log({"loss": np.ones((3, 1))})
        assert str(caught.value) == (
            "run.log: 'loss' has the shape (3, 1); log one number, such as its mean"
        )
        with pytest.raises(ConfigError) as caught:
            run.log({"loss": 1.0}, step=0.5)  # type: ignore[arg-type]
        assert str(caught.value) == (
            "run.log: step=0.5 is not an integer; leave it out to count up from 0"
        )
        with pytest.raises(ConfigError) as caught:
            run.finish("running")
        assert str(caught.value) == (
            "a run cannot end with the status 'running'; give one of finished, stopped, diverged,"
            " unmoved, rejected, interrupted, cancelled, failed"
        )


def test_a_run_that_has_ended_takes_nothing_more(store: Store) -> None:
    with start(name="short", store=store) as run:
        pass
    run.finish("failed")
    assert store.run(run.id).status == "finished"
    with pytest.raises(ConfigError) as caught:
        run.log({"loss": 1.0})
    assert str(caught.value) == "the run 'short' has ended; th.start(...) begins another"


def test_steps_given_by_hand_are_merged(store: Store) -> None:
    with start(store=store) as run:
        run.log({"train": 1.0}, step=10)
        run.log({"val": 2.0}, step=10)
        run.log({"train": 0.5, "step": 20})
        run.log({"train": 0.25})
        run.log({"train": 9.0}, step=20)
    history = store.history(run.id)
    np.testing.assert_array_equal(history["step"], [10, 20, 21])
    np.testing.assert_array_equal(history["train"], [1.0, 9.0, 0.25])
    np.testing.assert_array_equal(history["val"], [2.0, np.nan, np.nan])
    assert store.run(run.id).metrics == {"train": 0.25, "val": 2.0}


def test_the_last_value_of_every_column_is_the_metric_whatever_was_logged_between(
    store: Store,
) -> None:
    with start(store=store) as run:
        run.log({"a": 1.0})
        run.log({"a": 3.0, "b": 2.0}, step=0)
        run.log({"a": float("inf")}, step=4)
    assert store.run(run.id).metrics == {"a": None, "b": 2.0}


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError("bad data"), "failed", "ValueError: bad data"),
        (KeyboardInterrupt(), "interrupted", "Ctrl-C"),
        (SystemExit(3), "failed", "SystemExit: 3"),
        (SystemExit(0), "finished", ""),
    ],
)
def test_an_exception_becomes_the_status(
    store: Store, error: BaseException, status: str, reason: str
) -> None:
    with pytest.raises(type(error)), start(store=store) as run:
        raise error
    ended = store.run(run.id)
    assert ended.status == status
    assert re.sub(r" \(test_store_manual\.py, line \d+\)$", "", ended.reason) == reason


def test_rows_are_seen_within_a_second_without_another_call(store: Store) -> None:
    run = start(store=store)
    run.log({"loss": 1.0})
    until(lambda: store.blocks(run.id))
    assert store.run(run.id).metrics == {"loss": 1.0}
    run.finish()


def test_many_threads_log_into_one_run(store: Store) -> None:
    with start(store=store) as run:

        def work(k: int) -> None:
            for i in range(500):
                run.log({f"loss{k}": float(i)}, step=k * 1000 + i)

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    history = store.history(run.id)
    assert len(history["step"]) == 2000
    assert np.isfinite(history["loss3"]).sum() == 500


def test_more_rows_than_the_buffer_holds(store: Store) -> None:
    with start(store=store) as run:
        for i in range(10_000):
            run.log({"loss": i})
    np.testing.assert_array_equal(store.history(run.id)["loss"], np.arange(10_000.0))


def test_a_write_that_failed_is_raised_and_can_be_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thetahat.store._live_run.FLUSH_S", 600.0)  # its thread writes nothing
    with open_store(tmp_path, timeout_s=0.1) as store:
        run = start(store=store)
        run.log({"loss": 1.0})
        with (
            open_store(tmp_path) as other,
            other.batch(),
            pytest.raises(StoreError, match="locked"),
        ):
            run.finish()
        run.finish()
        assert store.run(run.id).metrics == {"loss": 1.0}
        assert store.run(run.id).status == "finished"


def test_a_program_that_forgets_to_finish(tmp_path: Path) -> None:
    done = script(
        tmp_path,
        """
        from thetahat import start
        run = start({"lr": 0.1}, name="lazy")
        run.log({"loss": 0.5})
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with open_store(tmp_path / "runs") as store:
        run = store.run("lazy")
        assert (run.status, run.reason) == ("finished", "the program ended without run.finish()")
        assert run.metrics == {"loss": 0.5}
        assert run.experiment == "script"
        assert Path(run.source).resolve() == (tmp_path / "script.py").resolve()


def test_a_program_that_raises(tmp_path: Path) -> None:
    done = script(
        tmp_path,
        """
        from thetahat import start
        run = start(name="broken")
        run.log({"loss": 0.5})
        raise RuntimeError("no convergence")
        """,
    )
    assert done.returncode == 1
    with open_store(tmp_path / "runs") as store:
        run = store.run("broken")
        assert (run.status, run.reason) == (
            "failed",
            "RuntimeError: no convergence (script.py, line 5)",
        )


def test_a_program_that_is_killed_leaves_its_run_interrupted_at_its_heartbeat(
    tmp_path: Path,
) -> None:
    script(
        tmp_path,
        """
        import os, time
        from thetahat import start
        run = start(name="killed")
        run.log({"loss": 0.5})
        while not run.store.blocks(run.id):
            time.sleep(0.05)
        os._exit(9)
        """,
    )
    with open_store(tmp_path / "runs") as store:
        run = store.run("killed")
        assert (run.status, run.metrics) == ("interrupted", {"loss": 0.5})
        assert (
            run.reason
            == "its process ended without a word: it was killed, or the machine went down"
        )
        assert run.finished == run.heartbeat
        assert run.heartbeat is not None
        assert run.heartbeat >= run.created


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_write_its_parents_rows_again(tmp_path: Path) -> None:
    done = script(
        tmp_path,
        """
        import os
        from thetahat import start
        run = start(name="forked")
        run.log({"loss": 1.0})
        child = os.fork()
        if child == 0:
            run.log({"loss": 2.0}, step=7)
            run._flush()
            raise SystemExit
        os.waitpid(child, 0)
        run.finish()
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with open_store(tmp_path / "runs") as store:
        run = store.run("forked")
        assert run.status == "finished"
        history = store.history(run.id)
        np.testing.assert_array_equal(history["step"], [0, 7])
        assert sum(block.count for block in store.blocks(run.id)) == 2


def test_a_started_run_says_what_it_is(store: Store) -> None:
    run = start(name="mine", store=store)
    assert isinstance(run, ManualRun)
    assert repr(run) == f"ManualRun('mine', id={run.id!r})"
    run.finish()


def test_starting_loads_no_jax(tmp_path: Path) -> None:
    done = script(
        tmp_path,
        """
        import sys
        from thetahat import start
        with start() as run:
            run.log({"loss": 0.5})
        print("jax" in sys.modules, "numpy" in sys.modules, "torch" in sys.modules)
        """,
    )
    assert done.stdout == "False False False\n", done.stderr
