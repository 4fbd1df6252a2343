"""Workers use the GPUs that JAX would use, and divide the memory of one that they share."""

import pytest

from thetahat.sweep import Work, read_sweep

# Private: the GPUs of a machine that has none are stated by files of ours.
from thetahat.sweep.workers import _early_start
from thetahat.sweep.workers._devices import gpus, memory_fraction
from thetahat.sweep.workers._early_start import MEM_FRACTION


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


@pytest.mark.parametrize(
    ("work", "size", "given", "expected"),
    [
        (Work(devices=("0", "1")), 2, {}, [("0", None), ("1", None)]),
        (Work(devices=("0", "1")), 3, {}, [("0", "0.375"), ("1", "0.375"), ("0", "0.375")]),
        (Work(devices=("0",)), 2, {MEM_FRACTION: "0.2"}, [("0", None)] * 2),
        (Work(devices=("0", "1"), spread="cohorts"), 1, {}, [("0,1", None)]),
    ],
)
def test_workers_are_told_their_devices_and_their_memory(
    monkeypatch, tmp_path, work, size, given, expected
):
    """What a user sets stays: the worker inherits it."""
    file = tmp_path / "train.py"
    file.write_text("")
    (tmp_path / "sweep.yaml").write_text(
        "program: train.py\nmethod: grid\nparameters: {x: {value: 1}}"
    )
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(_early_start, "WorkerProcess", lambda *words: words[3])
    spec = read_sweep(str(tmp_path / "sweep.yaml")).require()
    start = _early_start.starter(spec, tmp_path, tmp_path, "log", size, work)
    told = [start(k) for k in range(size)]
    assert [(one["CUDA_VISIBLE_DEVICES"], one.get(MEM_FRACTION)) for one in told] == expected
