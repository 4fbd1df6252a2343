"""The stop button of a notebook: a real kernel, interrupted while its cell trains."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import KernelManager

import thetahat as th

DEADLINE_S = 240
SETUP = """
import sys
import numpy as np
import thetahat as th

rng = np.random.default_rng(0)
x = rng.normal(size=(64, 1))
data = th.Data((x, x[:, 0] + rng.normal(size=64)), (x, x[:, 0]))

def slow(lr: float = 1e-3, epochs: int = 100_000_000) -> th.Task:
    optimizer = th.optim.named("sgd", lr)
    return th.Task(th.models.Linear(1), data, optimizer=optimizer, epochs=epochs, batch_size=16)

def began(event):
    if isinstance(event, th.Logged):
        print("training", flush=True)
"""


class Kernel:
    """A kernel and its client."""

    def __init__(self, folder: Path) -> None:
        source = str(Path(th.__file__).parents[1])
        own = {"PYTHONPATH": source, "IPYTHONDIR": str(folder / "ipython"), "NO_COLOR": "1"}
        own |= {"THETAHAT_STORE": str(folder / "store")}
        self.manager = KernelManager(
            kernel_name="python3", connection_file=str(folder / "kernel.json")
        )
        self.manager.start_kernel(cwd=str(folder), env={**os.environ, **own})
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=DEADLINE_S)

    def run(self, cell: str, stop_at: str = "") -> tuple[str, str]:
        """Run a cell and, once it has printed ``stop_at``, press stop; return output and error."""
        asked, text, error = self.client.execute(cell), "", ""
        until = time.monotonic() + DEADLINE_S
        while True:
            message: Any = self.client.get_iopub_msg(timeout=until - time.monotonic())
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                text += content["text"]
                if stop_at and stop_at in text:
                    self.manager.interrupt_kernel()
                    stop_at = ""
            elif kind == "error":
                error = f"{content['ename']}: {content['evalue']}"
            elif kind == "status" and content["execution_state"] == "idle":
                return text, error

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    made = Kernel(tmp_path_factory.mktemp("kernel"))
    try:
        assert made.run(SETUP) == ("", "")
        yield made
    finally:
        made.close()


def test_stop_ends_a_fit_with_its_result(kernel: Kernel) -> None:
    assert kernel.run("result = th.fit(slow, on=began)", "training")[1] == ""
    text, error = kernel.run(
        "print(result.status, result.reason, len(result.history['epoch']) == result.epochs > 0,"
        " np.isfinite(result.predict(x)).all())"
    )
    assert error == ""
    assert text.startswith("interrupted interrupted after epoch ") and text.endswith("True True\n")


def test_stop_ends_many_fits_with_their_results(kernel: Kernel) -> None:
    cell = "results = th.fit_many(slow, [{'lr': 1e-3}, {'lr': 2e-3}], on=began)"
    assert kernel.run(cell, "training")[1] == ""
    assert kernel.run("print([str(r.status) for r in results])") == (
        "['interrupted', 'interrupted']\n",
        "",
    )


def test_stop_between_programs_leaves_what_was_done_in_the_exception(kernel: Kernel) -> None:
    epochs = "[{'epochs': 3}, {'epochs': 90_000_000}, {'epochs': 80_000_000}]"
    shown = "lambda e: isinstance(e, th.Logged) and e.member == 1 and began(e)"
    cell = f"results = th.fit_many(slow, {epochs}, on={shown})"
    error = kernel.run(cell, "training")[1]
    assert error.startswith("Interrupted: interrupted: 1 of 3 fits had not begun; what was done is")
    code = error.partition("in a notebook: ")[2]
    text, error = kernel.run(f"{code}\nprint([str(r.status) for r in sys.last_value.results])")
    assert (text, error) == ("['finished', 'interrupted']\n", "")


def test_stop_returns_the_runs_of_a_sweep_to_the_queue_and_resume_ends_them(kernel: Kernel) -> None:
    # Each run takes some seconds: few epochs, each of many steps.
    grid = "{'method': 'grid', 'parameters': {'lr': {'values': [1e-3, 2e-3]}}}"
    kernel.run("many = np.repeat(x, 2000, 0); more = th.Data((many, many[:, 0]), (x, x[:, 0]))")
    kernel.run(
        "def longer(lr: float = 1e-3) -> th.Task:\n"
        "    optimizer = th.optim.named('sgd', lr)\n"
        "    return th.Task(th.models.Linear(1), more, optimizer=optimizer, epochs=40,"
        " batch_size=2)"
    )
    cell = f"sweep = th.run_sweep(longer, {grid}, on=began, quiet=True)"
    error = kernel.run(cell, "training")[1]
    assert error.startswith("Interrupted: interrupted: the runs of the sweep ")
    call = error.partition("go on with ")[2]
    look = "print(sorted({str(run.status) for run in th.open_sweep().runs}))"
    assert kernel.run(look) == ("['queued']\n", "")
    assert "resume(longer)" in call
    assert kernel.run(f"sweep = {call}")[1] == ""
    text, error = kernel.run(
        f"{look}; print([(run.attempt, run.epochs) for run in sweep.runs],"
        " len(sweep.history()), sweep.history()['epoch'].max())"
    )
    assert (text, error) == ("['finished']\n[(2, 40), (2, 40)] 80 40\n", "")
