"""A cluster of Ray of the tests' own: a head without cores and two nodes, in a network of their own.

python ray_cluster.py NODES    prints the address; each line on its input kills a node
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from own_network import DIES, OwnNetwork, lacking_network


def lacking_ray() -> str | None:
    """What a test of Ray lacks here, with the command that installs it; None if nothing."""
    if importlib.util.find_spec("ray") is None:
        return "Ray is not installed; pip install 'thetahat[ray]'"
    return lacking_network()


class RayCluster:
    """A head, and nodes of two cores each."""

    def __init__(self, nodes: int = 2) -> None:
        # Ray's sockets have paths of at most 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        self.network = OwnNetwork()
        words = [sys.executable, __file__, str(nodes)]
        (self.folder / "ray").mkdir()
        with (self.folder / "servers.log").open("wb") as log:
            self._server = subprocess.Popen(
                [*DIES, *self.network.within(words)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self.environment},
                text=True,
            )
        self.address, self.nodes = self._answer()

    @property
    def environment(self) -> dict[str, str]:
        """What programs of Ray need: it reports nothing to its makers, and writes in one folder."""
        return {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(self.folder)}

    def kill_node(self, node: str) -> None:
        """Kill a node of Ray and all its workers, at once."""
        self._ask(node)

    def close(self) -> None:
        """End the cluster, and remove its files."""
        self._server.communicate("\n", timeout=240)
        self.network.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ask(self, line: str) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(line + "\n")
        self._server.stdin.flush()
        assert self._answer() == "killed"

    def _answer(self):
        assert self._server.stdout is not None
        for line in self._server.stdout:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))
        raise RuntimeError((self.folder / "servers.log").read_text()[-3000:])


def serve(nodes: int) -> None:
    """Start the cluster, and kill the nodes that are named."""
    from ray.cluster_utils import Cluster

    how = {"include_dashboard": False, "object_store_memory": 80 << 20}
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, **how},
    )
    made = {}
    for _ in range(nodes):
        node = cluster.add_node(num_cpus=2, **how)
        made[node.node_id] = node
    _say([cluster.address, list(made)])
    for line in sys.stdin:
        if not line.strip():
            break
        cluster.remove_node(made.pop(line.strip()), allow_graceful=False)
        _say("killed")
    cluster.shutdown()


def _say(answer: object) -> None:
    sys.stdout.write(f"answer {json.dumps(answer)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
