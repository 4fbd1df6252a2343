"""Provenance of a fit: what a number depends on beside its config."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from thetahat.data import content_hash


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
