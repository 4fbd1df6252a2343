"""Who takes part in what; a peer that is not installed is left out and named."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from types import ModuleType

from benchmarks.loops.problems import Problem

OURS, FLOOR = "ours", "scan_epoch"
OURS_MANY, FLOOR_MANY = "ours_many", "scan_many"

SINGLE = {
    "ours": ("jax", "flax", "optax"),
    "scan_epoch": ("jax",),
    "scan_fit": ("jax",),
    "jax_step": ("jax",),
    "lectures_nnx": ("jax", "flax", "optax"),
    "torch_indexed": ("torch",),
    "torch_loader": ("torch",),
    "ours_converted": ("jax", "optax", "torch"),
    "ours_torch": ("jax", "optax", "torch"),
    "skorch_net": ("torch", "skorch"),
    "lightning_bare": ("torch", "lightning"),
    "lightning_default": ("torch", "lightning"),
    "keras_default": ("jax", "keras"),
    "keras_steps": ("jax", "keras"),
}
"""File of each contestant with one fit, and what it needs."""

MANY = {
    "ours_many": ("jax", "flax", "optax"),
    "scan_many": ("jax",),
    "ours_torch_many": ("jax", "torch"),
}
"""The same, with many fits."""


def missing(name: str) -> list[str]:
    """What a contestant needs and is not installed."""
    return [need for need in {**SINGLE, **MANY}[name] if importlib.util.find_spec(need) is None]


def invited(problem: Problem, only: list[str] | None) -> Iterator[str]:
    """Names of the contestants of a problem; ours and the floor always take part."""
    for name in SINGLE if problem.fits == 1 else MANY:
        if only is None or name in only or name in (OURS, FLOOR, OURS_MANY, FLOOR_MANY):
            yield name


def load(name: str) -> ModuleType:
    """The contestant's file."""
    return importlib.import_module(f"benchmarks.loops.peers.{name}")
