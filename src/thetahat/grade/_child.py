"""The process in which a program is graded; its only argument is the job, as JSON."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from thetahat.core.errors import InputError
from thetahat.grade._guard import Guard, cut_network

_LOADED = {"jax": "jax.numpy", "flax": "flax.nnx", "optax": "optax", "torch": "torch"}
_FILE_BYTES = 100_000_000


def main() -> int:
    """Grade the program of the job, and write the verdict."""
    job = json.loads(sys.argv[1])
    cut_network()
    said = _graded(job)
    with open(job["verdict"] + ".new", "w", encoding="utf-8") as stream:
        json.dump(said, stream)
    os.replace(job["verdict"] + ".new", job["verdict"])
    sys.stdout.flush()
    os._exit(0)  # what the program registered to run at the end does not run


def _graded(job: Mapping[str, Any]) -> dict[str, Any]:
    with open(job["running"], "w", encoding="utf-8") as running:
        running.write(f"{job['path']}\n")
        running.flush()
        faulthandler.dump_traceback_later(job["seconds"], file=running)
        try:
            return _examined(job)
        except InputError as error:
            return {"refused": str(error)}
        except MemoryError:
            return {"refused": f"{job['path']} takes more memory than it may; use less"}
        finally:
            faulthandler.cancel_dump_traceback_later()


def _examined(job: Mapping[str, Any]) -> dict[str, Any]:
    from thetahat.grade._examine import examine_program
    from thetahat.grade._program import read_program_file

    program = read_program_file(job["absolute"], job["path"])
    for name in sorted(program.libraries):
        with contextlib.suppress(ImportError):  # a program that needs it says so by its line
            importlib.import_module(_LOADED.get(name, name))
    sys.path.insert(0, os.path.dirname(job["absolute"]))
    _limit(job["memory"])
    guard = Guard(job["work"])
    try:
        with guard:
            grade = examine_program(program)
    except InputError as error:
        raise InputError(_because(guard, job, error)) from error
    if guard.refused:
        raise InputError(_because(guard, job, None))
    return grade.as_json()


def _because(guard: Guard, job: Mapping[str, Any], error: InputError | None) -> str:
    """What was refused is the reason, if anything was."""
    return f"{job['path']} {guard.refused}" if guard.refused else str(error)


def _limit(memory: int) -> None:
    """Limit memory and files, where the system can."""
    try:
        import resource
    except ImportError:
        return
    import psutil

    now = psutil.Process().memory_info().vms
    limits = {
        resource.RLIMIT_AS: now + memory + 2**30,
        resource.RLIMIT_FSIZE: _FILE_BYTES,
        resource.RLIMIT_CORE: 0,
    }
    for which, most in limits.items():
        with contextlib.suppress(ValueError, OSError):
            hard = resource.getrlimit(which)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(which, (most, hard))


if __name__ == "__main__":
    sys.exit(main())
