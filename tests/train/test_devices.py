"""A cohort on several devices gives the numbers of one, and is resumed to the bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from children import SOURCE

PROGRAM = Path(__file__).parent / "on_devices.py"


def run(folder, devices, *name):
    """Run on_devices.py."""
    flags = f"--xla_force_host_platform_device_count={devices} {os.environ.get('XLA_FLAGS', '')}"
    env = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": SOURCE}
    env["THETAHAT_CACHE"] = str(folder / "cache")  # programs of several devices are kept, too
    command = [sys.executable, str(PROGRAM), str(folder), *name]
    subprocess.run(command, env=env, check=True, timeout=240)


def arrays_of(folder, name):
    with np.load(folder / f"{name}.npz") as kept:
        return [kept[key] for key in kept]


def fitted(folder, devices):
    """What on_devices.py has fitted, by name, and its facts."""
    run(folder, devices)
    facts = json.loads((folder / "facts.json").read_text())
    assert facts.pop("devices") == devices
    return {name: arrays_of(folder, name) for name in facts}, facts


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return fitted(tmp_path_factory.mktemp("one"), 1)


@pytest.fixture(scope="module")
def folder_of_two(tmp_path_factory):
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def two(folder_of_two):
    return fitted(folder_of_two, 2)


def same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_by_one_no_device_changes_a_bit(one, two):
    same(one[0]["exact"], two[0]["exact"])


def test_members_together_are_as_a_cohort_of_one_device(one, two):
    same(one[0]["three"], two[0]["vmap"][:3])


def test_the_last_device_has_fewer_members(two):
    arrays, facts = two
    assert len(arrays["vmap"]) == 5
    assert facts["vmap"]["width"] == [3] * 5


def test_halves_are_the_whole(two):
    same(two[0]["vmap"], two[0]["resumed"])


def test_another_process_finds_each_devices_program_on_disk(two, folder_of_two):
    run(folder_of_two, 2, "vmap")
    same(two[0]["vmap"], arrays_of(folder_of_two, "vmap"))


def test_one_program_serves_all_devices(two):
    assert two[1]["vmap"]["traces"] == [1] * 5


def test_one_device_is_not_divided(one):
    assert one[1]["exact"]["width"] == [None] * 5
