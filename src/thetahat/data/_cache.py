"""Persistent compilation cache: a second process with the same experiment compiles nothing.

The threshold is zero, since the start of a fit compiles many small programs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import jax

from thetahat.core.data_files import ignore


def cache_folder() -> Path:
    """Return the folder of compiled programs: THETAHAT_CACHE, else the user's cache folder."""
    given = os.environ.get("THETAHAT_CACHE")
    if given:
        return Path(given)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "thetahat" / "jax"


def use_cache() -> None:
    """Switch the cache on, unless JAX's own is set or THETAHAT_CACHE is "off"."""
    own = jax_setting("jax_compilation_cache_dir")
    if own:
        ignore(own)
    if os.environ.get("THETAHAT_CACHE") == "off" or own:
        return
    folder = cache_folder()
    ignore(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # a read-only home folder: programs are compiled again
    if not os.access(folder, os.W_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def jax_setting(name: str) -> Any:
    """Return one of JAX's settings: ``jax.config.values`` reads all 133 for one of them."""
    return getattr(jax.config, name)
