"""What a measurement depends on beside the code: machine, versions, threads, commit, command."""

from __future__ import annotations

import compileall
import datetime
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

PINNED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


def pin() -> None:
    """One thread on one core, as far as the system lets us; call it before JAX is imported."""
    for name, value in PINNED.items():
        os.environ.setdefault(name, value)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


INSTALLED = (
    *("chex", "flax", "jax", "jaxlib", "ml_dtypes", "numpy", "opt_einsum", "optax", "optuna"),
    *("pygments", "rich", "sqlalchemy", "starlette", "thetahat", "uvicorn", "yaml"),
)
"""Packages that processes which are timed import."""


def as_installed() -> None:
    """Bytecode of the package and of those below it, as installing writes it: a process must not
    compile their sources anew, which no user's does. Children write what is missing."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    for name in INSTALLED:
        package = importlib.util.find_spec(name)
        folders = None if package is None else package.submodule_search_locations
        for folder in folders or ():
            compileall.compile_dir(folder, quiet=2)


def facts(packages: Iterable[str]) -> dict[str, Any]:
    """Date, machine, versions, threads, commit and command."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpu": cpu_model(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        },
        "threads": {"cores_allowed": affinity, **{name: os.environ.get(name) for name in PINNED}},
        "python": platform.python_version(),
        "versions": versions(packages),
        "commit": commit(),
        "command": " ".join(["python", "-m", _module(), *sys.argv[1:]]),
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of those that are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def cpu_model() -> str:
    """The processor's name, as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def commit() -> str:
    """The commit that was measured, and whether the tree had changes."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + (" with changes" if _git("status", "--porcelain", "src") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def said(facts: Mapping[str, Any]) -> list[str]:
    """The facts as lines of Markdown."""
    machine, threads = facts["machine"], facts["threads"]
    load = machine["load"]
    busy = "" if load is None else f", load {load[0]:.1f} at the end"
    packages = ", ".join(f"{k} {v}" for k, v in facts["versions"].items())
    pinned = f"{threads['cores_allowed']} core, one thread"
    return [
        f"- date: {facts['date']}",
        f"- machine: {machine['cpu']}, {machine['cores']} cores, {machine['system']}{busy}",
        f"- pinned to: {pinned if threads['cores_allowed'] else 'one thread'}",
        f"- versions: Python {facts['python']}, {packages}",
        f"- commit: {facts['commit']}",
        f"- command: `{facts['command']}`",
    ]


def write_results(
    name: str, facts: Mapping[str, Any], page: str, answer: Mapping[str, Any]
) -> None:
    """Write a page and its numbers to ``benchmarks/results``, and print where.

    Args:    name: the files are NAME-DATE.md and NAME-DATE.json.   facts: of ``facts()``, for the
             date.   answer: what JSON can say; NaN and infinities become null.
    """
    text = json.dumps(_finite(answer), indent=1, allow_nan=False)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{facts['date'][:10]}.md"
    path.write_text(page.rstrip("\n") + "\n", encoding="utf-8")
    path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    print(f"written: {path}")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ("git", *arguments),
        cwd=Path(__file__).parent.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def _module() -> str:
    place = Path(sys.argv[0]).relative_to(Path(__file__).parent.parent)
    file = place.parent if place.stem == "__main__" else place.with_suffix("")
    return file.as_posix().replace("/", ".")
