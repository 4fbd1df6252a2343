"""Agents on a real cluster of Ray: one is started elsewhere after its node was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from ray_cluster import RayCluster, lacking_ray

from children import COMMAND, HOLD, environment, until

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

GRID = """\
program: train.py
method: grid
metric: {name: loss}
parameters: {x: {values: [1, 2, 3, 4, 5]}}
"""
PROGRAM = f"""\
import json, sys
{HOLD}
x = sys.argv[1].partition("=")[2]
def see(what):
    with open("seen", "a") as seen:
        seen.write(what + "\\n")
see(f"began {{x}}")
hold()
see(f"ended {{x}}")
print(json.dumps({{"loss": (float(x) - 3) ** 2}}))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    why = lacking_ray()
    if why is not None:
        pytest.skip(why)
    made = RayCluster()
    yield made
    made.close()


@pytest.fixture
def launch(at, cluster) -> Iterator[Callable[..., subprocess.Popen]]:
    """``thetahat launch --ray`` in the network of the cluster, while it works."""
    started: list[subprocess.Popen] = []

    def call(*words: str) -> subprocess.Popen:
        command = [sys.executable, "-c", COMMAND, "launch", *words, "--ray", cluster.address]
        env = environment(**cluster.environment)
        how = {"cwd": at.folder, "env": env, "text": True}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(cluster.network.within(command), **how, **pipes))
        return started[-1]

    yield call
    for one in started:
        one.kill()
        one.communicate()


def seen(at, what: str) -> list[str]:
    """The points that programs have noted."""
    file = at.folder / "seen"
    lines = file.read_text().splitlines() if file.exists() else []
    return [line.split()[1] for line in lines if line.startswith(what)]


def wait_until_began(at, n: int, command: subprocess.Popen) -> None:
    """Wait until so many programs have begun, by the agents of a command."""

    def holds() -> bool:
        assert command.poll() is None, command.communicate()
        return len(seen(at, "began")) == n

    until(holds)


def test_ctrl_c_returns_the_runs_of_agents_on_ray(at, thetahat, cluster, launch) -> None:
    thetahat("sweep", at.sweep(GRID, PROGRAM))
    command = launch("last", "--agents", "1")
    wait_until_began(at, 1, command)
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=400)
    assert command.returncode == 130
    assert "note: stopping the agents; their runs go back to the queue" in err
    assert [(str(run.status), run.failures) for run in at.runs()] == [("queued", 0)]


def test_a_sweep_ends_by_itself_after_the_loss_of_a_node(at, thetahat, cluster, launch) -> None:
    thetahat("sweep", at.sweep(GRID, PROGRAM))
    command = launch("last", "--agents", "2")
    wait_until_began(at, 2, command)
    cluster.kill_node(cluster.nodes[0])
    # The other agent is busy: this is a new one, on the other node.
    wait_until_began(at, 3, command)
    at.go()
    out, err = command.communicate(timeout=400)
    assert command.returncode == 0, err
    assert "finished: 5 runs" in out
    assert Counter(seen(at, "ended")) == dict.fromkeys("12345", 1)
    runs = at.runs()
    assert [(run.config["x"], str(run.status)) for run in runs] == [
        (x, "finished") for x in range(1, 6)
    ]
    assert [run.metrics["loss"] for run in runs] == [(x - 3.0) ** 2 for x in range(1, 6)]
    assert sorted(run.attempt for run in runs) == [1, 1, 1, 1, 2]
    assert at.row().state == "finished"
