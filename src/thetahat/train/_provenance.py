"""Provenance of a fit: what a number depends on beside its config."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import jax
import numpy as np

from thetahat.data import Shuffle, content_hash
from thetahat.train.jax import CohortProgram, check_made


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


def provenance_of(program: CohortProgram, state: Any) -> list[dict[str, Any]]:
    """The provenance of every member, at the state before the first epoch."""
    facts, known = jax_facts(program.dtype), {}
    found, drawn = [], {}
    for k in range(program.size):
        params, _, data = program.member_arrays(state, k)
        drawn[k] = data
        found.append({**facts, **hashes(data, params, known)})
    check_made(program.staged, drawn)
    return found


def hashes(data: Any, params: Any, known: dict[Any, str] | None = None) -> dict[str, str]:
    """Hashes of the data and of the initial parameters.

    Args:    known: hashes of parts whose arrays are the same objects: members share them.
    """
    parts = {"train": data.train, "val": data.val, "test": data.test}
    known = {} if known is None else known
    found = {}
    for name, part in parts.items():
        if part is None:
            continue
        place: Sequence[int] = tuple(map(id, jax.tree.leaves(part)))
        if place not in known:
            known[place] = content_hash(part)
        found[f"data_{name}"] = known[place]
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
