"""The devices of this machine, found without loading JAX, and what workers that share one take."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

MEMORY = 0.75
"""Share of a GPU's memory that JAX takes when it starts, by default."""
_FORCED = r"--xla_force_host_platform_device_count=(\d+)"
_CPU = "cpu"
_PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin")


def gpus(
    environment: Mapping[str, str] | None = None,
    devices: Path = Path("/dev"),
    *,
    plugin: bool | None = None,
) -> tuple[str, ...]:
    """The GPUs that JAX would use, as CUDA_VISIBLE_DEVICES names them; none without its plugin.

    Args:    environment: by default this process's.   devices: the folder of device files.
             plugin: whether JAX has its plugin; by default, whether it is installed.
    """
    given = os.environ if environment is None else environment
    platforms = given.get("JAX_PLATFORMS", "")
    if platforms and not {"cuda", "gpu"} & set(platforms.split(",")):
        return ()
    if plugin is None:
        plugin = any(importlib.util.find_spec(name) for name in _PLUGINS)
    if not plugin:
        return ()
    named = given.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(name.strip() for name in named.split(",") if name.strip() not in ("", "-1"))
    try:
        found = [path.name for path in devices.iterdir()]
    except OSError:
        return ()
    n = sum(re.fullmatch(r"nvidia\d+", name) is not None for name in found)
    return tuple(str(k) for k in range(n))


def cpus(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The devices into which XLA_FLAGS divides the CPU; none if it does not."""
    given = os.environ if environment is None else environment
    found = re.findall(_FORCED, given.get("XLA_FLAGS", ""))
    n = int(found[-1]) if found else 1
    return tuple(f"{_CPU}{k}" for k in range(n)) if n > 1 else ()


def only(devices: Sequence[str], environment: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """The variables of a process that sees these devices alone.

    >>> only(["cpu2"], {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"})
    {'XLA_FLAGS': '--xla_force_host_platform_device_count=1'}
    """
    given = os.environ if environment is None else environment
    if not devices[0].startswith(_CPU):
        return {"CUDA_VISIBLE_DEVICES": ",".join(devices)}
    as_many = _FORCED.replace(r"(\d+)", str(len(devices)))
    return {"XLA_FLAGS": re.sub(_FORCED, as_many, given["XLA_FLAGS"])}


def memory_fraction(workers: int, devices: int) -> str | None:
    """What each worker tells JAX to take of its GPU; None where none shares one."""
    together = -(-workers // devices) if devices else 1
    return None if together == 1 else f"{MEMORY / together:.3f}"
