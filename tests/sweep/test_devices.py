"""Workers use the GPUs that JAX would use, and divide the memory of one that they share."""

import pytest

# Private: the GPUs of a machine that has none are stated by files of ours.
from thetahat.sweep.workers._devices import gpus, memory_fraction


@pytest.fixture
def devices(tmp_path):
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, ("0", "1")),
        ({"CUDA_VISIBLE_DEVICES": "3, GPU-5a"}, ("3", "GPU-5a")),
        ({"CUDA_VISIBLE_DEVICES": ""}, ()),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, ()),
        ({"JAX_PLATFORMS": "cpu"}, ()),
        ({"JAX_PLATFORMS": "cuda,cpu"}, ("0", "1")),
    ],
)
def test_gpus_are_those_that_jax_would_use(devices, environment, found):
    assert gpus(environment, devices, plugin=True) == found


def test_without_its_plugin_jax_uses_none(devices):
    assert gpus({"CUDA_VISIBLE_DEVICES": "0"}, devices, plugin=False) == ()


def test_a_machine_without_device_files_has_none(tmp_path):
    assert gpus({}, tmp_path / "nowhere", plugin=True) == ()


@pytest.mark.parametrize(
    ("workers", "devices", "fraction"),
    [(1, 0, None), (4, 0, None), (2, 2, None), (4, 2, "0.375"), (5, 2, "0.250"), (1, 1, None)],
)
def test_workers_divide_a_gpus_memory(workers, devices, fraction):
    assert memory_fraction(workers, devices) == fraction
