"""Sweeps from Python, in scripts and notebooks: run, look at, retry and extend them."""

from thetahat.notebook._run import run_sweep as run_sweep
from thetahat.notebook._sweep import Sweep as Sweep, open_sweep as open_sweep

__all__ = ["Sweep", "open_sweep", "run_sweep"]
