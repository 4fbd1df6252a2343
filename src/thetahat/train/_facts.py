"""Provenance of a fit: what a number depends on beside its config."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import jax
import numpy as np

from thetahat.data import Shuffle, content_hash


def jax_facts(dtype: str) -> dict[str, Any]:
    """PRNG mode, precision and device: a seed alone is no provenance."""
    device = jax.devices()[0]
    return {
        "prng_impl": str(jax.config.values["jax_default_prng_impl"]),
        "threefry_partitionable": bool(jax.config.values["jax_threefry_partitionable"]),
        "dtype": dtype,
        "device": f"{device.platform}: {device.device_kind}",
        "n_devices": jax.device_count(),
    }


def hashes(data: Any, params: Any) -> dict[str, str]:
    """Hashes of the data and of the initial parameters."""
    parts = {"train": data.train, "val": data.val, "test": data.test}
    found = {f"data_{name}": content_hash(part) for name, part in parts.items() if part is not None}
    return {**found, "init": content_hash(jax.tree.map(np.asarray, params))}


def batch_order(staged: Any, seeds: Collection[str], traced: Collection[str]) -> dict[str, str]:
    """Whether runs that differ in their seed differ in the order of their batches: "own", "shared".

    Nothing where the order is not drawn, where the experiment has no seed, or where it cannot be
    known: an order of its own from a seed that is not traced may be any function of it.

    Args:    seeds: the experiment's seeds.   traced: its traced parameters.
    """
    plan = staged.plan
    if not seeds or not plan.random:
        return {}
    if not plan.shared_order:
        return {"batch_order": "own"}
    if isinstance(staged.task.sampling, Shuffle) and not set(seeds) <= set(traced):
        return {}
    return {"batch_order": "shared"}
