"""What a sweep must know of its experiment: said by whoever has loaded it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thetahat.core.signature import read_signature
from thetahat.sweep._against import check_against
from thetahat.sweep._goal import check_metric
from thetahat.sweep._messages import Examined
from thetahat.sweep._spec import SweepSpec


def examine(spec: SweepSpec, experiment: Callable[..., Any]) -> Examined:
    """A sweep's parameters and metric against an experiment's, and what the experiment is.

    Raises:  ConfigError: parameters that no flag can name.
    """
    signature = read_signature(experiment)
    seeds = [p.name for p in signature.parameters.values() if p.is_seed]
    named = "seed" if "seed" in signature.parameters else None
    seed = next(iter(seeds), named)
    first = signature.parameters[seed].default if seed is not None else 0
    wrong = check_against(spec, signature)
    # A Task is made only of parameters that the experiment takes.
    wrong = wrong or check_metric(spec, signature, experiment)
    return Examined(
        tuple(wrong),
        signature.name,
        seed,
        first if isinstance(first, int) else 0,
        tuple(signature.traced),
        tuple(seeds),
    )
