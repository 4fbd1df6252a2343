"""Provenance of a run: versions, machine, command and git state of this process.

Host names, user names and absolute paths are left out, since results leave secure places. The
training room adds facts of JAX (PRNG mode, precision, device).
"""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import thetahat
from thetahat.core.shell import pasteable

SETTINGS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "XLA_FLAGS",
    "JAX_PLATFORMS",
    "JAX_ENABLE_X64",
    "CUDA_VISIBLE_DEVICES",
)
GIT_TIMEOUT_S = 3.0


def provenance(source: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Collect the facts that explain a run, without imports and without the network.

    Args:    source: the experiment's file; its repository gives the git state.
    """
    return {
        "versions": versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "settings": {name: os.environ[name] for name in SETTINGS if name in os.environ},
        "command": command_line(),
        "source": None if source is None else short_path(source),
        "git": git_state(source),
    }


def command_line() -> str:
    """Return the command of this process, with paths from the current folder."""
    words = list(getattr(sys, "orig_argv", None) or [sys.executable, *sys.argv])
    if len(words) > 1 and Path(words[1]).parent == Path(sys.executable).parent:
        del words[0]  # an installed command, such as thetahat itself
    words[0] = Path(words[0]).name or "python"
    return pasteable([words[0], *(_shorter(word) for word in words[1:])])


def short_path(path: str | os.PathLike[str]) -> str:
    """Shorten a path: from the current folder, or from the home or root that both share."""
    whole, here, home = Path(path).absolute(), Path.cwd(), Path.home()
    try:
        shared = Path(os.path.commonpath([whole, here]))
        if whole.is_relative_to(here) or shared not in (*home.parents, home):
            return Path(os.path.relpath(whole, here)).as_posix()
    except ValueError:  # another drive of Windows
        return whole.as_posix()
    inside = whole.is_relative_to(home)
    return f"~/{whole.relative_to(home).as_posix()}" if inside else whole.as_posix()


def git_state(source: str | os.PathLike[str] | None = None) -> dict[str, Any] | None:
    """Return commit, state and folder of the repository of ``source`` (else of this folder).

    None without a repository, a commit or git. ``dirty`` is also True for a source that was never
    committed: a commit that lacks the experiment proves nothing.
    """
    file = None if source is None else Path(source).absolute()
    folder = file.parent if file is not None else Path.cwd()
    answer = _git(folder, "rev-parse", "--show-toplevel", "HEAD")
    if answer is None or len(answer.splitlines()) != 2:
        return None
    top, commit = answer.splitlines()
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    known = file is None or _git(folder, "ls-files", "--error-unmatch", file.name) is not None
    inside = Path.cwd().resolve()
    return {
        "commit": commit,
        "dirty": None if changed is None else bool(changed.strip()) or not known,
        "folder": inside.relative_to(top).as_posix() if inside.is_relative_to(top) else None,
    }


def _git(folder: Path, *words: str) -> str | None:
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=GIT_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env=quiet,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _shorter(word: str) -> str:
    return short_path(word) if os.path.isabs(word) else word


PACKAGES = (
    *("jax", "jaxlib", "flax", "optax", "numpy", "equinox", "torch"),
    *("pandas", "polars", "pyarrow", "scikit-learn", "scipy"),
)
_MODULE = {"scikit-learn": "sklearn"}


def versions() -> dict[str, str]:
    """Return the versions of thetahat and of the loaded packages."""
    loaded = [name for name in PACKAGES if _MODULE.get(name, name) in sys.modules]
    found = {"thetahat": thetahat.__version__, **{name: _version(name) for name in loaded}}
    return {name: version for name, version in found.items() if version is not None}


@functools.cache
def _version(name: str) -> str | None:
    from importlib import metadata  # takes longer to load than all else here

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
