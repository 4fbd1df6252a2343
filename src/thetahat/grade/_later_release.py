"""Another release of the libraries, in which the same seed draws other numbers."""

from __future__ import annotations

import contextlib
import importlib.metadata
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

_NAMES = ("numpy", "jax", "jaxlib", "torch", "flax", "optax", "equinox")


@contextlib.contextmanager
def later_release() -> Iterator[None]:
    """Change what seeds give and which versions are said, as a new release does."""
    put: list[tuple[Any, str, Any]] = []

    def replace(home: Any, name: str, value: Any) -> None:
        put.append((home, name, getattr(home, name)))
        setattr(home, name, value)

    version = importlib.metadata.version
    replace(
        importlib.metadata,
        "version",
        lambda name: version(name) + (".later" if name.lower() in _NAMES else ""),
    )
    for name in _NAMES:
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "__version__"):
            replace(module, "__version__", f"{module.__version__}.later")
    _numpy(replace)
    if "torch" in sys.modules:
        _torch(replace)
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [setattr(home, name, old) for home, name, old in reversed(put)])
        jax = sys.modules.get("jax")
        if jax is not None:
            mode = bool(jax.config.jax_threefry_partitionable)
            stack.enter_context(jax.threefry_partitionable(not mode))
        yield


def _numpy(replace: Any) -> None:
    seeded, state = np.random.seed, np.random.RandomState

    def default_rng(seed: Any = None) -> Any:
        if isinstance(seed, np.random.Generator | np.random.BitGenerator):
            return np.random.Generator(getattr(seed, "bit_generator", seed))
        return np.random.Generator(np.random.PCG64DXSM(seed))

    replace(np.random, "default_rng", default_rng)
    replace(np.random, "seed", lambda seed=None: seeded(_next(seed)))
    replace(np.random, "RandomState", lambda seed=None: state(_next(seed)))


def _torch(replace: Any) -> None:
    import torch

    manual_seed, generator = torch.manual_seed, torch.Generator

    class LaterGenerator(generator):  # type: ignore[misc, valid-type]
        """A generator whose seeds are those of the next number."""

        def manual_seed(self, seed: int) -> Any:
            return super().manual_seed(_next(seed))

    replace(torch, "manual_seed", lambda seed: manual_seed(_next(seed)))
    replace(torch.random, "manual_seed", lambda seed: manual_seed(_next(seed)))
    replace(torch, "Generator", LaterGenerator)


def _next(seed: Any) -> Any:
    return (int(seed) + 1) % 2**32 if isinstance(seed, int | np.integer) else seed
