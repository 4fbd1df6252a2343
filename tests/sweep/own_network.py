"""A network of its own for servers of tests: they bind every address, and only the tests reach them."""

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
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", *words]

    def close(self) -> None:
        """End the network; what runs in it keeps it."""
        self._holder.kill()
        self._holder.communicate()


DIES = ("setpriv", "--pdeathsig", "KILL")
"""Before a command: it is killed when this process is gone."""
