"""Write the bytecode of large libraries that children of tests import, once for all of them.

Run as ``PYTHONDONTWRITEBYTECODE= python tools/bytecode.py``. Else, where the environment says that
Python writes no bytecode, each child compiles the sources of all that it imports. A library that is
not installed is left out.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import warnings

LIBRARIES = (
    *("fire", "hydra", "IPython.terminal.interactiveshell", "ipykernel.kernelapp", "jsonargparse"),
    *("keras", "lightning", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"),
    *("matplotlib.pyplot", "nbclient", "skorch", "torch._dynamo", "torch.optim", "uvicorn"),
    "wandb",
)


def main() -> None:
    """Import all of them."""
    os.environ.update(KERAS_BACKEND="jax", WANDB_MODE="offline")
    warnings.simplefilter("ignore")
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


if __name__ == "__main__":
    main()
