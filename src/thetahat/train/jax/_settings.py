"""What a program depends on beside what it computes: settings of JAX, versions, devices."""

from __future__ import annotations

import functools
import operator
import os
import platform
from collections.abc import Callable, Mapping
from typing import Any

import jax

from thetahat.core.provenance import versions
from thetahat.train.jax._jaxpr_key import digest

_IDLE = frozenset(
    {
        *("jax_compilation_cache_dir", "jax_enable_compilation_cache", "jax_log_compiles"),
        *(
            "jax_persistent_cache_min_compile_time_secs",
            "jax_persistent_cache_min_entry_size_bytes",
        ),
    }
)
"""Settings of JAX that change no program."""


def settings() -> str:
    """The key of what a program depends on beside its mathematics: settings of JAX, device,
    versions."""
    values = jax.config.values  # gathered anew each time
    names, read = _reader(tuple(values))
    raw = read(values)
    device = jax.devices()[0]
    place = (device.platform, device.device_kind, jax.device_count())
    known = (names, raw, tuple(map(type, raw)), place, os.environ.get("XLA_FLAGS", ""))
    try:
        return _settings_key(*known)
    except TypeError:  # a value without a hash
        return _settings_key.__wrapped__(*known)


@functools.lru_cache(maxsize=16)
def _reader(names: tuple[str, ...]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """Names of settings, in another order, and what reads them all: each prediction does.

    Most are attributes, which a context may change for a thread.
    """
    held = tuple(name for name in names if hasattr(jax.config, name))
    rest = tuple(name for name in names if name not in held)
    attributes = operator.attrgetter(*held)

    def read(values: Mapping[str, Any]) -> tuple[Any, ...]:
        return (*attributes(jax.config), *[values[name] for name in rest])

    return (*held, *rest), read


@functools.lru_cache(maxsize=16)
def _settings_key(
    names: tuple[str, ...], raw: tuple[Any, ...], _: Any, place: tuple[Any, ...], flags: str
) -> str:
    """The key of settings; types are arguments since True equals 1."""
    ours = sorted(
        (name, str(value)) for name, value in zip(names, raw, strict=True) if name not in _IDLE
    )
    return digest([ours, place, flags, _versions()]).hex()


@functools.cache
def _versions() -> tuple[str, ...]:
    found = versions()
    names = ("jax", "jaxlib", "numpy", "thetahat")
    return (platform.python_version(), *(f"{name} {found.get(name)}" for name in names))


def place_of(leaf: Any) -> Any:
    """The devices that an array was put on; none where it goes where it is needed."""
    if not isinstance(leaf, jax.Array) or not leaf.committed:
        return ()
    return tuple(sorted(device.id for device in leaf.devices()))
