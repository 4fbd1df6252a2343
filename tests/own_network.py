"""Networks of their own for servers of tests: they bind every address, and only the tests reach them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

_HOLD = """\
import fcntl, socket, struct, time
with socket.socket() as any_socket:
    up = struct.pack("16sH14x", b"lo", 1)
    fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS: loopback is up
    # The C library takes a machine that has 127.0.0.1 alone for one without IPv4.
    more = struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton("127.0.0.2"))
    fcntl.ioctl(any_socket, 0x8916, more)  # SIOCSIFADDR
print("up", flush=True)
time.sleep(1e6)
"""


def lacking_network() -> str | None:
    """What a network of its own lacks here; None if nothing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a network of its own needs Linux and root"
    for program in ("unshare", "nsenter", "setpriv"):
        if shutil.which(program) is None:
            return f"{program} is missing; apt-get install util-linux"
    done = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return (
        "this container allows no network of its own (unshare --net)" if done.returncode else None
    )


class OwnNetwork:
    """A network with loopback only, as long as this process lives."""

    def __init__(self) -> None:
        words = ["unshare", "--net", sys.executable, "-c", _HOLD]
        self._holder = subprocess.Popen([*DIES, *words], stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "up\n"

    def within(self, words: Sequence[str]) -> list[str]:
        """The command that runs another one in this network."""
        return ["nsenter", f"--net={self.place}", *words]

    def close(self) -> None:
        """End the network; what runs in it keeps it."""
        self._holder.kill()
        self._holder.communicate()

    @property
    def place(self) -> str:
        """The network as a file, for ``ip``."""
        return f"/proc/{self._holder.pid}/ns/net"


class Cable:
    """A cable between two networks: these have the addresses ``FIRST`` and ``SECOND``.

    Neither end learns that it is cut: what is sent is lost, as between two machines.
    """

    FIRST, SECOND = "10.77.0.1", "10.77.0.2"

    def __init__(self, first: OwnNetwork, second: OwnNetwork) -> None:
        self._second = second
        ends = ["end1", "netns", first.place, "type", "veth", "peer", "name", "end2"]
        _ip("link", "add", *ends, "netns", second.place)
        for network, end, address in ((first, "end1", self.FIRST), (second, "end2", self.SECOND)):
            _ip("address", "add", f"{address}/24", "dev", end, within=network)
            _ip("link", "set", end, "up", within=network)

    def cut(self) -> None:
        """Cut it."""
        _ip("link", "set", "end2", "down", within=self._second)

    def join(self) -> None:
        """Join it again."""
        _ip("link", "set", "end2", "up", within=self._second)


def lacking_cable() -> str | None:
    """What a cable between two networks lacks here; None if nothing."""
    if (why := lacking_network()) is not None:
        return why
    return None if shutil.which("ip") else "ip is missing; apt-get install iproute2"


def _ip(*words: str, within: OwnNetwork | None = None) -> None:
    command = ["ip", *words]
    subprocess.run(command if within is None else within.within(command), check=True)


DIES = ("setpriv", "--pdeathsig", "KILL")
"""Before a command: it is killed when this process is gone."""
