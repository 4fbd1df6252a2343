"""Units of a risk: what a risk of 1 is, in units of the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_POWERS = {"squared": 2, "huber": 2, "absolute": 1, "pinball": 1}
"""The power of the target's unit in each loss of a residual."""
_NATS = ("logistic", "cross_entropy", "fractional_logit")


@dataclass(frozen=True)
class RiskUnit:
    """The unit of a risk.

    A table's target is standardised, so that its risks are too: multiply them by ``one``.

    Args:    name: such as "wage²", of the squared loss of the column wage; "nats" of a log loss.
             one: a risk of 1, in this unit.
             why: where ``one`` comes from; empty if it is 1.
    >>> str(RiskUnit("wage²", 9.0, "the variance of wage in the training part"))
    'a risk of 1 is 9 wage², the variance of wage in the training part'
    """

    name: str
    one: float = 1.0
    why: str = ""

    def __str__(self) -> str:
        return f"a risk of 1 is {self.one:.4g} {self.name}{self.why and f', {self.why}'}"

    def facts(self) -> dict[str, Any]:
        """The unit as the store keeps it."""
        return {"unit": self.name, "one": self.one, "why": self.why}


def risk_unit(
    loss: str,
    residual: str,
    transform: Any,
    part: str = "in the training part",
    *,
    begun: bool = False,
) -> RiskUnit | None:
    """Find the unit of a risk.

    Args:    loss: its name.   residual: a name, if it is the user's own; else "".
             transform: of a table, or None.
             part: the rows by which the target was standardised, in words.
             begun: whether they are those of a fit that this one started from, whose target may
                have had another name.
    Returns: None if it is not known: an own loss or residual, or several targets.
    """
    if residual or (loss not in _POWERS and loss not in _NATS):
        return None
    if loss in _NATS:
        return RiskUnit("nats")
    power = _POWERS[loss]
    encoder = getattr(transform, "encoder", None)
    if encoder is not None and encoder.targets:
        return None
    target = "y" if encoder is None else encoder.target
    name = target if power == 1 else f"{target}²" if target.isidentifier() else f"({target})²"
    stds = np.ravel(1.0 if transform is None else transform.y_std)
    if len(stds) > 1:
        return None
    std = float(stds[0])
    if std == 1.0:
        return RiskUnit(name)
    what = "standard deviation" if power == 1 else "variance"
    of = f"the target {part} of the fit that it started from" if begun else f"{target} {part}"
    return RiskUnit(name, std**power, f"the {what} of {of}")
