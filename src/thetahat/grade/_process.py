"""Grade a program in a process of its own, with limits of time, memory, output and access.

The process writes its verdict into a file that the program may not write. It reports at once which
line was running when its time ended, and the parent ends it if it does not end itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from thetahat.core.errors import InputError
from thetahat.grade._finding import Grade, grade_of_json

SECONDS, MEMORY_GB = 120.0, 4.0
"""Limits of one file: time on the clock, and memory beside what the libraries take."""
OUTPUT_BYTES = 1_000_000
_POLL_S = 0.05
_GRACE_S = 3.0
_VERDICT, _OUTPUT, _RUNNING, _WORK = "verdict.json", "output.txt", "running.txt", "work"


def grade_file(
    path: str | Path, *, seconds: float = SECONDS, memory_gb: float = MEMORY_GB
) -> Grade:
    """Run a training program in a process of its own, and name its silent errors.

    The program defines ``train(f, config, tracker)``; docs/grade.md describes what it is given and
    what it hands back.

    Args:
        path: a file of Python that uses JAX or PyTorch.
        seconds: on the clock, for all runs of the program.
        memory_gb: in GB of 2**30 bytes.
    Raises:
        InputError: the file cannot be read or run, does not do what is described, or exceeds a
            limit.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path} is not a file; give a training program")
    with tempfile.TemporaryDirectory(prefix="thetahat-grade-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / _WORK).mkdir()
        with _child(str(path), folder, seconds, memory_gb) as process:
            reason = _wait(process, folder, seconds, memory_gb)
        if reason is not None:
            raise InputError(f"{path} {reason}")
        return _verdict(str(path), folder, process.returncode)


@contextlib.contextmanager
def _child(
    path: str, folder: Path, seconds: float, memory_gb: float
) -> Iterator[subprocess.Popen[bytes]]:
    work = str(folder / _WORK)
    job = {
        "path": path,
        "absolute": os.path.abspath(path),
        "seconds": seconds,
        "memory": int(memory_gb * 2**30),
        "verdict": str(folder / _VERDICT),
        "running": str(folder / _RUNNING),
        "work": work,
    }
    places = ("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "MPLCONFIGDIR")
    places += ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")  # PyTorch sets the first for children
    env = {
        **os.environ,
        **dict.fromkeys(places, work),
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "Agg",
    }
    with open(folder / _OUTPUT, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "thetahat.grade._child", json.dumps(job)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=work,
            env=env,
            start_new_session=sys.platform != "win32",
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process, and on POSIX all of its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait(
    process: subprocess.Popen[bytes], folder: Path, seconds: float, memory_gb: float
) -> str | None:
    """Wait for the end; the reason if a limit was exceeded."""
    until = time.monotonic() + seconds + _GRACE_S
    while process.poll() is None:
        if (folder / _OUTPUT).stat().st_size > OUTPUT_BYTES:
            return f"prints more than {OUTPUT_BYTES:,} bytes; print less"
        if time.monotonic() > until:
            line = _running_line(folder)
            where = f"; line {line} was running" if line else ""
            return (
                f"does not end within {seconds:g} s{where}; make it faster, or give more --seconds"
            )
        with contextlib.suppress(psutil.Error):
            if psutil.Process(process.pid).memory_info().rss > memory_gb * 2**30 + 2**30:
                return (
                    f"takes more than {memory_gb:g} GB of memory; use less, or give more --memory"
                )
        time.sleep(_POLL_S)
    return None


def _running_line(folder: Path) -> int:
    """The line of the program that was running when its time ended; 0 if not known."""
    running = folder / _RUNNING
    if not running.exists():
        return 0
    first, *rest = running.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    found = re.findall(rf'File "{re.escape(first)}", line (\d+)', "\n".join(rest))
    return int(found[0]) if found else 0


def _verdict(path: str, folder: Path, code: int) -> Grade:
    verdict = folder / _VERDICT
    if not verdict.exists():
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        raise InputError(f"{path} ends Python {how} before train returns; train must return a dict")
    said = json.loads(verdict.read_text(encoding="utf-8"))
    if "refused" in said:
        raise InputError(said["refused"])
    return grade_of_json(said)
