"""An agent of another machine is cut off for longer than its lease: what it writes late is refused.

The server and an agent are in one network, the other agent is in another one and has another host's
name; the cable between the networks is cut while it works.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from postgres_server import PostgresServer, lacking

from children import COMMAND, HOLD, environment, until
from own_network import Cable, OwnNetwork, lacking_cable

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

FAR = "far-machine"
FILE = """
program: program.py
method: grid
metric: {name: loss, goal: minimize}
parameters:
  x: {values: [1]}
"""
PROGRAM = f"""
import pathlib, socket
import thetahat as th
{HOLD}
late = socket.gethostname() == "{FAR}"
th.log({{"loss": 1.0}})
if late:
    pathlib.Path("began").touch()
    hold()
    th.log({{"loss": -7.0}})
"""
QUICK = """
from functools import partial
from thetahat.sweep.agent import _agent
_agent.BEAT_S, _agent.AgentWatch = 0.3, partial(_agent.AgentWatch, lease_s=2.0)
"""
"""A lease of two seconds in place of sixty."""
HOLDS = """
import pathlib, sys, time
from thetahat.store import _postgres_signs, open_store
_postgres_signs.SILENT_S = 3
with open_store(sys.argv[1]) as store, store.batch() as writer:
    writer.note(sys.argv[2], "late")
    pathlib.Path("began").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
"""
"""A transaction that is open while the cable is cut, and committed late."""
WRITES = """
import sys
from thetahat.store import open_store
with open_store() as store, store.batch() as writer:
    writer.note(sys.argv[1], "near")
"""


@dataclass
class Machines:
    """Two machines, and a store on the first.

    Args:    url: of the store, for both.
    """

    near: OwnNetwork
    far: OwnNetwork
    cable: Cable
    url: str
    folder: Path
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, words: Sequence[str], *, far: bool = False) -> subprocess.Popen[str]:
        """Start a Python on one of the machines."""
        command = [sys.executable, *words]
        if far:
            named = ["unshare", "--uts", "sh", "-c", f'hostname {FAR} && exec "$0" "$@"']
            command = [*named, *command]
        network = self.far if far else self.near
        child = subprocess.Popen(
            network.within(command),
            cwd=self.folder,
            env=environment(THETAHAT_STORE=self.url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(child)
        return child

    def call(self, words: Sequence[str]) -> str:
        """Run a Python on the first machine to its end; return its output."""
        child = self.start(words)
        out, err = child.communicate(timeout=240)
        assert child.returncode == 0, err
        return out

    def wait_for(self, file: str, child: subprocess.Popen[str]) -> None:
        """Wait until a child has made a file."""
        until(lambda: (self.folder / file).exists() or child.poll() is not None)
        assert child.poll() is None, child.communicate()

    def close(self) -> None:
        """End what still runs."""
        for child in self._started:
            child.kill()
            child.communicate()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    if (why := lacking() or lacking_cable()) is not None:
        pytest.skip(why)
    near, far = OwnNetwork(), OwnNetwork()
    cable = Cable(near, far)
    server = PostgresServer(network=near)
    url = server.create("store").replace("127.0.0.1", Cable.FIRST)
    made = Machines(near, far, cable, f"{url}?folder={tmp_path / 'runs'}", tmp_path)
    yield made
    made.close()
    server.close()
    near.close()
    far.close()


def ended(child: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code and the messages of a child that has ended."""
    _, err = child.communicate(timeout=240)
    return child.returncode, err


LOOK = """
import json
from thetahat.store import find_sweep, open_store
with open_store(create=False) as store:
    sweep = find_sweep(store, "last")
    (run,) = store.runs(sweep_id=sweep.id)
    losses = list(store.history(run.id)["loss"])
    print(json.dumps([sweep.state, str(run.status), run.attempt, run.metrics["loss"], losses]))
"""


def test_what_an_agent_writes_late_is_refused(machines: Machines) -> None:
    (machines.folder / "sweep.yaml").write_text(FILE)
    (machines.folder / "program.py").write_text(PROGRAM)
    machines.call(["-c", COMMAND, "sweep", "sweep.yaml"])
    agent = ["-c", QUICK + COMMAND, "agent", "last", "--workers", "1"]
    far = machines.start(agent, far=True)
    machines.wait_for("began", far)
    machines.cable.cut()
    code, said = ended(machines.start(agent))
    assert (code, "went back to the queue" in said) == (0, True), said
    expected = '["finished", "finished", 2, 1.0, [1.0]]\n'
    assert machines.call(["-c", LOOK]) == expected
    # The program over there ends, and its agent is back.
    (machines.folder / "go").touch()
    machines.cable.join()
    code, said = ended(far)
    assert code == 0, said
    assert machines.call(["-c", LOOK]) == expected


def test_a_transaction_of_a_machine_that_is_cut_off_holds_up_nobody(machines: Machines) -> None:
    made = "from thetahat.store import open_store; print(open_store().create_run({'x': 1}).id)"
    run = machines.call(["-c", made]).strip()
    far = machines.start(["-c", HOLDS, machines.url, run], far=True)
    machines.wait_for("began", far)
    machines.cable.cut()
    machines.call(["-c", WRITES, run])
    machines.cable.join()
    (machines.folder / "go").touch()
    code, said = ended(far)
    assert code == 1
    assert "cannot be reached" in said
    read = f"from thetahat.store import open_store; print(open_store().notices({run!r}))"
    assert "near" in (notices := machines.call(["-c", read]))
    assert "late" not in notices
