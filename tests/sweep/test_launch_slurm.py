"""Agents on a real Slurm of two nodes: a requeue, a time limit, and a node that is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from slurm_cluster import SlurmCluster, lacking_slurm

from children import COMMAND, HOLD, environment, until

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(600)]

GRID = """\
program: train.py
method: grid
metric: {name: loss}
parameters: {x: {values: [1, 2, 3, 4, 5, 6, 7, 8]}}
"""
PROGRAM = f"""\
import json, os, sys
{HOLD}
x = sys.argv[1].partition("=")[2]
def see(what):
    with open("seen", "a") as seen:
        seen.write(what + "\\n")
see(f"began {{x}} {{os.environ['SLURMD_NODENAME']}}")
hold()
see(f"ended {{x}}")
print(json.dumps({{"loss": (float(x) - 3) ** 2}}))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    why = lacking_slurm()
    if why is not None:
        pytest.skip(why)
    made = SlurmCluster()
    yield made
    made.close()


@pytest.fixture
def launch(at, cluster) -> Callable[..., str]:
    """``thetahat launch`` in the network of the cluster; its output."""

    def call(*words: str) -> str:
        command = cluster.network.within([sys.executable, "-c", COMMAND, "launch", *words])
        env = environment(**cluster.environment)
        done = subprocess.run(command, cwd=at.folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def seen(at, what: str) -> list[list[str]]:
    """What programs have noted."""
    file = at.folder / "seen"
    lines = file.read_text().splitlines() if file.exists() else []
    return [line.split()[1:] for line in lines if line.startswith(what)]


def waits(at) -> int:
    """How many runs are in the queue."""
    return sum(str(run.status) == "queued" for run in at.runs())


def assert_each_point_once(at) -> None:
    """Each point ended by itself once, and each is a finished run."""
    assert Counter(x for (x,) in seen(at, "ended")) == dict.fromkeys("12345678", 1)
    runs = at.runs()
    assert [(run.config["x"], str(run.status)) for run in runs] == [
        (x, "finished") for x in range(1, 9)
    ]
    assert [run.metrics["loss"] for run in runs] == [(x - 3.0) ** 2 for x in range(1, 9)]
    assert [run.failures for run in runs] == [0] * 8
    assert at.row().state == "finished"


def test_an_agent_near_its_time_limit_hands_back_and_goes_on(at, thetahat, cluster, launch) -> None:
    thetahat("sweep", at.sweep(GRID, PROGRAM))
    out = launch("last", "--slurm", "--cpus", "2", "--time", "30", "--format", "json")
    job = json.loads(out)["job"]
    until(lambda: len(seen(at, "began")) == 2)
    # As Slurm does two minutes before the limit.
    cluster.call("scancel", "--batch", "--signal=USR1", f"{job}_0")
    until(lambda: waits(at) == 2)
    cluster.wait_for(lambda: cluster.tasks() == {f"{job}_0": "PENDING"})
    at.go()
    cluster.wait_for_end(job, lambda: len(seen(at, "ended")) == 8)
    assert_each_point_once(at)
    assert [run.attempt for run in at.runs()] == [2, 2, 1, 1, 1, 1, 1, 1]


def test_a_sweep_ends_by_itself_after_a_requeue_and_the_loss_of_a_node(
    at, thetahat, cluster, launch
) -> None:
    thetahat("sweep", at.sweep(GRID, PROGRAM))
    out = launch("last", "--slurm", "--agents", "2", "--cpus", "2", "--format", "json")
    job = json.loads(out)["job"]
    until(lambda: len(seen(at, "began")) == 4)
    (row,) = json.loads(launch("--status", "--format", "json"))
    assert (row["job"], row["agents"], row["running"], row["ended"]) == (job, 2, 2, 0)
    assert (row["nodes"], row["runs_over"], row["state"]) == ("n1, n2", "0 of 8", "running")
    lost = cluster.node_of(f"{job}_1")
    cluster.call("scontrol", "requeue", f"{job}_0")
    until(lambda: waits(at) == 2)
    cluster.kill_node(lost)
    at.go()
    cluster.wait_for_end(job, lambda: len(seen(at, "ended")) == 8)
    assert_each_point_once(at)
    assert sorted(run.attempt for run in at.runs()) == [1, 1, 1, 1, 2, 2, 2, 2]
    assert {node for _, node in seen(at, "began")[4:]} == {"n1", "n2"} - {lost}
    cluster.start_node(lost)
