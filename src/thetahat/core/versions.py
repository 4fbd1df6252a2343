"""Versions of this package and of those beneath it, as far as they are loaded."""

from __future__ import annotations

import functools
import sys
from importlib import metadata

import thetahat

PACKAGES = (
    *("jax", "jaxlib", "flax", "optax", "numpy", "equinox", "torch"),
    *("pandas", "polars", "pyarrow", "scikit-learn", "scipy"),
)
_MODULE = {"scikit-learn": "sklearn"}


def versions() -> dict[str, str]:
    """Versions of thetahat and of the packages that are loaded: what a result depends on."""
    loaded = [name for name in PACKAGES if _MODULE.get(name, name) in sys.modules]
    found = {name: _version(name) for name in ("thetahat", *loaded)}
    return {name: version for name, version in found.items() if version is not None}


@functools.cache
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return thetahat.__version__ if name == "thetahat" else None
