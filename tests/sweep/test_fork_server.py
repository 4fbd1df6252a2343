"""Workers that are forked from one process, when they or the fork server die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from at_work import LINE

from children import until
from thetahat.core.errors import StoreError

# The fork server is used without an agent.
from thetahat.sweep.workers._connection import WorkerProcess
from thetahat.sweep.workers._fork_server import CAN_FORK, ForkServer, WorkerSetup, preloads, spawn

forks = pytest.mark.skipif(not CAN_FORK, reason="only Linux forks workers")

OWN_PYTHONS = True

TELLS = """\
import os, sys
import numpy as np
print("RANDOM", np.random.random())
print("GROUP", os.getpid() == os.getsid(0), "DEVICE", os.environ.get("CUDA_VISIBLE_DEVICES"))
print("WORDS", sys.orig_argv[-1 if "_worker" in sys.orig_argv[-1] else 2])
sys.stdout.flush()
"""


def begin(at, server: ForkServer, k: int = 0, device: str | None = None) -> WorkerProcess:
    log = at.folder / f"log-{k}"
    variables = {} if device is None else {"CUDA_VISIBLE_DEVICES": device}
    return WorkerProcess(at.folder / "train.py", at.folder, log, variables, start=server.fork)


def ready(*workers: WorkerProcess) -> None:
    def all_ready() -> bool:
        for worker in workers:
            list(worker.messages())
            assert worker.alive, worker.why_dead()
        return all(worker.ready for worker in workers)

    until(all_ready)


def told(at, k: int) -> dict[str, str]:
    lines = (at.folder / f"log-{k}").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines if line[:1].isupper())


def test_no_thread_waits_for_a_worker_that_ended_before_it_connected(at) -> None:
    def ends(setup: WorkerSetup) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", ""])

    before = set(threading.enumerate())
    worker = WorkerProcess(at.folder / "train.py", at.folder, at.folder / "log", {}, start=ends)
    (waits,) = set(threading.enumerate()) - before
    worker.close()
    until(lambda: not waits.is_alive())


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@forks
@pytest.mark.slow
def test_forked_workers_have_their_own_output_numbers_and_device(at) -> None:
    at.write("train.py", TELLS + LINE)
    server = ForkServer()
    workers = [begin(at, server, 0, "0"), begin(at, server, 1, "1")]
    try:
        ready(*workers)
        pids = [worker.ready.pid for worker in workers if worker.ready]
        parent_pid = parent(pids[0])
        assert len(set(pids)) == 2
        assert parent_pid == parent(pids[1]) != os.getpid()
        said = [told(at, 0), told(at, 1)]
        assert said[0]["RANDOM"] != said[1]["RANDOM"]
        assert [s["GROUP"] for s in said] == ["True DEVICE 0", "True DEVICE 1"]
        # One is killed: the other, and the server, live on.
        os.kill(pids[0], signal.SIGKILL)
        assert workers[0].process.wait() == -9
        assert "SIGKILL" in workers[0].why_dead()
        assert workers[1].alive
        third = begin(at, server, 2)
        ready(third)
        workers.append(third)
        assert parent(third.ready.pid) == parent_pid
    finally:
        for worker in workers:
            worker.close(patience_s=240.0)
    # With the last of them it ends too.
    assert [worker.process.poll() for worker in workers] == [-9, 0, 0]
    assert not alive(parent_pid)


@forks
@pytest.mark.slow
def test_workers_outlive_their_fork_server(at) -> None:
    at.write("train.py", LINE)
    server = ForkServer()
    worker = begin(at, server)
    ready(worker)
    parent_pid = parent(worker.ready.pid)
    os.kill(parent_pid, signal.SIGKILL)
    until(lambda: not alive(parent_pid))
    assert worker.alive
    with pytest.raises(subprocess.TimeoutExpired):
        worker.process.wait(0.2)
    other = begin(at, server, 1)
    ready(other)
    assert parent(other.ready.pid) != parent_pid
    worker.kill()
    worker.close()
    assert worker.process.poll() == -9
    other.close(patience_s=240.0)
    assert other.process.poll() == 0


@forks
@pytest.mark.slow
def test_a_worker_that_is_not_forked_yet_can_be_ended(at) -> None:
    at.write("train.py", LINE)
    server = ForkServer()
    workers = [begin(at, server, 0), begin(at, server, 1)]
    for worker in workers:
        worker.leave()
    for worker in workers:
        worker.close()
    assert [worker.process.poll() for worker in workers] == [-9, -9]


@forks
@pytest.mark.slow
def test_a_fork_server_that_cannot_start_says_why(at, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(at.folder))
    (at.folder / "thetahat").mkdir()
    at.write("thetahat/__init__.py", "raise RuntimeError('broken on purpose')\n")
    at.write("train.py", LINE)
    worker = begin(at, ForkServer())
    assert worker.process.wait() == 1
    assert "broken on purpose" in worker.why_dead()


@forks
@pytest.mark.slow
def test_beside_threads_a_worker_loads_everything_itself(at, monkeypatch) -> None:
    # A package that the fork server would load, which starts a thread.
    (at.folder / "lib").mkdir()
    at.write("lib/equinox.py", "import threading, time\n" + THREAD)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["lib", os.environ["PYTHONPATH"]]))
    at.write("train.py", TELLS + LINE)
    for modules, words in (
        (["equinox"], "thetahat.sweep.workers._worker"),
        ([], "thetahat.sweep.workers._fork_server_main"),
    ):
        worker = begin(at, ForkServer(modules), len(modules))
        ready(worker)
        worker.close()
        assert told(at, len(modules))["WORDS"] == words


THREAD = "threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\n"


def test_spawn_and_fork_report_a_log_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "logs").write_text("a file")
    setup = WorkerSetup(tmp_path, {}, {}, tmp_path / "logs" / "log")
    for begin_ in (spawn, ForkServer().fork):
        with pytest.raises(StoreError, match="logs cannot be written to .*--store"):
            begin_(setup)


def test_preloads_returns_the_known_packages_that_a_program_imports(tmp_path) -> None:
    program = tmp_path / "train.py"
    program.write_text(
        "import os, jax.numpy as jnp\nfrom flax import nnx\nimport pandas as pd\nimport mine\n"
        "from . import flax\nif True:\n    import scipy\n"
    )
    assert preloads(program) == ["jax.numpy", "flax", "flax.nnx", "pandas"]
    # What lies beside the program is meant, whatever its name.
    (tmp_path / "pandas.py").write_text("")
    (tmp_path / "jax").mkdir()
    assert preloads(program) == ["flax", "flax.nnx"]
    program.write_text("import jax(\n")
    assert preloads(program) == []
    assert preloads(tmp_path / "none.py") == []


def test_workers_are_forked_on_linux_only() -> None:
    assert (sys.platform == "linux") == CAN_FORK


def test_workers_and_the_front_door_load_neither_a_database_nor_jax() -> None:
    modules = "thetahat.sweep, thetahat.sweep.workers._worker, thetahat.sweep.workers._fork_server"
    code = (
        f"import sys, {modules}\n"
        "heavy = {'jax', 'numpy', 'sqlalchemy', 'thetahat.store', 'thetahat.train'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
