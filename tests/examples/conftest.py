"""Examples as modules: each is imported from its file, as a reader would run it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    """The module of an example."""
    known = f"thetahat_example_{name}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[known] = module
        spec.loader.exec_module(module)
    return sys.modules[known]


@pytest.fixture
def example() -> Callable[[str], ModuleType]:
    """Loads an example by name."""
    return load


def descended(
    x: np.ndarray, y: np.ndarray, start: np.ndarray, lr: float, steps: float
) -> np.ndarray:
    """Where gradient descent on the mean squared error is after ``steps``, by matrix powers."""
    curvature, basis = np.linalg.eigh(2 * x.T @ x / len(x))
    ols = np.linalg.lstsq(x, y)[0]
    return ols + basis @ ((1 - lr * curvature) ** steps * (basis.T @ (start - ols)))


@pytest.fixture
def path() -> Callable[..., np.ndarray]:
    """The closed form of gradient descent."""
    return descended
