"""Examine an experiment for its sweep: what is wrong, which seed to count up, what is traced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from thetahat.core.signature import read_signature
from thetahat.sweep.spec._diagnostics import Problem
from thetahat.sweep.spec._metric_check import check_metric
from thetahat.sweep.spec._signature_check import check_against
from thetahat.sweep.spec._spec import SweepSpec


@dataclass(frozen=True)
class Examined:
    """What a sweep file and its experiment have to do with each other."""

    problems: tuple[Problem, ...]
    experiment: str
    seed: str | None
    """The parameter that replicates count up."""
    first_seed: int
    traced: tuple[str, ...]
    seeds: tuple[str, ...]
    """All parameters that are seeds by their type."""


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
