"""Does longer training hurt a net when the data have almost no noise?

The simulation of ``double_descent`` with sigma 0.01 and rate 0.05: what the net interpolates is
then the function itself.
"""

from collections.abc import Mapping
from typing import Any

from thetahat.lab.experiments import double_descent


def measure(
    widths: int = 10,
    simulations: int = 100,
    epochs: int = 50,
    sigma: float = 0.01,
    lr: float = 0.05,
) -> dict[str, Any]:
    """Test loss and error in f by width and epoch, means over simulations."""
    return double_descent.measure(widths, simulations, epochs, sigma, lr)


def answer(found: Mapping[str, Any]) -> str:
    """State where the test loss is lowest."""
    best, last = found["best_epoch"], int(found["epoch"][-1])
    falls = int((best == last).sum())
    return (
        f"At sigma {found['sigma']:g} the test loss is lowest at the last epoch at {falls} of"
        f" {len(best)} widths; the widest net ends at {found['test_loss'][-1, -1]:.3f}, where it is"
        f" {found['test_loss'][0, -1]:.3f} at width 1."
    )


draw = double_descent.draw
