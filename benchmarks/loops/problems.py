"""The problems: data, network and batches, the same arrays for every contestant."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

N_VAL = 200
SIGMA = 0.01


@dataclass(frozen=True)
class Problem:
    """One estimation by SGD: y = x . theta + noise, x in R^2."""

    name: str
    n: int
    width: int | None
    """Units of each of two hidden layers; None is the linear model."""
    batch: int | None
    """Observations a step; None is the full batch."""
    fits: int = 1
    lr: float = 0.01

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return 1 if self.batch is None else -(-self.n // self.batch)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of every layer."""
        return (2, 1) if self.width is None else (2, self.width, self.width, 1)

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """x (N, 2), y (N,) of the training part, then of the validation part; float32."""
        rng = np.random.default_rng(0)
        theta = np.array([0.6, -0.8])
        x = rng.normal(size=(self.n + N_VAL, 2))
        y = x @ theta + SIGMA * rng.normal(size=len(x))
        x, y = x.astype(np.float32), y.astype(np.float32)
        return x[: self.n], y[: self.n], x[self.n :], y[self.n :]

    @property
    def rates(self) -> np.ndarray:
        """Learning rates of the fits, (fits,)."""
        return np.geomspace(self.lr / 3, self.lr, self.fits).astype(np.float32)

    @property
    def said(self) -> str:
        """One line for the table."""
        net = "-".join(map(str, self.sizes)) + (" ReLU" if self.width else "")
        batch = "full batch" if self.batch is None else f"batch {self.batch}"
        many = f", {self.fits} fits" if self.fits > 1 else ""
        return f"{net}, N = {self.n}, {batch}, SGD, {self.steps} steps an epoch{many}"


PROBLEMS = {
    p.name: p
    for p in (
        Problem("P1", n=500, width=128, batch=None),
        Problem("P2", n=1000, width=128, batch=16),
        Problem("P3", n=1000, width=16, batch=16),
        Problem("P4", n=500, width=None, batch=16),
        Problem("P3x64", n=1000, width=16, batch=16, fits=64),
        Problem("P4x64", n=500, width=None, batch=16, fits=64),
    )
}
