"""``thetahat doctor`` lists the devices that JAX would use."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import pytest

# Private: the devices of a machine that has none are stated here.
from thetahat.cli.commands._doctor import check_jax

GPU = SimpleNamespace(platform="gpu", device_kind="NVIDIA H200")
CPU = SimpleNamespace(platform="cpu", device_kind="cpu")


@pytest.mark.parametrize(
    ("devices", "detail"),
    [
        (None, "1 device: cpu (cpu); compiles"),
        ([CPU] * 4, "4 devices: cpu (cpu); compiles"),
        ([GPU, GPU], "2 devices: gpu (NVIDIA H200); compiles"),
        ([GPU, CPU], "2 devices: gpu (NVIDIA H200), cpu (cpu); compiles"),
    ],
)
def test_doctor_lists_the_devices(monkeypatch, devices, detail) -> None:
    if devices is not None:
        monkeypatch.setattr(jax, "devices", lambda: devices)
    found = check_jax()[0]
    assert (found.name, found.state, found.detail) == ("jax", "ok", detail)
