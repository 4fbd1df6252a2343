"""A PostgreSQL server of the test session's own: made, used and removed by it.

PostgreSQL does not run as root: there it runs as the user ``postgres``, which its package makes. It
ends with the process of the tests, however that ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))  # for benchmarks

from held_ports import HeldPort

if TYPE_CHECKING:
    from own_network import OwnNetwork

_USER = "thetahat"


def binaries() -> Path | None:
    """The folder of the newest server's programs; None if none is installed."""
    found = shutil.which("postgres")
    if found is not None:
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return installed[-1].parent if installed else None


def lacking() -> str | None:
    """What a test of PostgreSQL lacks here, with the command that installs it; None if nothing."""
    if binaries() is None:
        return "no PostgreSQL server is installed; apt-get install postgresql"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "PostgreSQL does not run as root, and setpriv is missing; apt-get install util-linux"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "the driver of PostgreSQL is not installed; pip install 'thetahat[postgres]'"
    return None


class PostgresServer:
    """A server on loopback, without fsync: its data need not outlive a crash of the machine.

    Args:    settings: beside those; fsync is one, for a test that kills the server.
             network: a network of its own where it listens to all, for root alone.
    """

    def __init__(
        self, settings: Mapping[str, str] | None = None, network: OwnNetwork | None = None
    ) -> None:
        self._bin = binaries()
        assert self._bin is not None
        self.folder = Path(tempfile.mkdtemp(prefix="thetahat-postgres-", dir="/tmp"))
        self._held = HeldPort()
        self.port = self._held.number
        self._as: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self._network: list[str] = []
        self._settings = {"fsync": "off", "max_connections": "100", **(settings or {})}
        if network is not None:
            self._network = network.within([])
            self._as = [*self._network, *self._as]
            self._settings["listen_addresses"] = "*"
        how = ["-U", _USER, "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._call("initdb", "-D", str(self.folder / "data"), *how)
        if network is not None:
            with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet trust\n")
        self._server: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "shared_buffers": "32MB",
            **self._settings,
        }
        words = [w for name, value in options.items() for w in ("-c", f"{name}={value}")]
        # The signal that ends it at once when the process of the tests is gone.
        dies = ["--pdeathsig=QUIT"] if self._as else []
        prefix = [*self._as, *dies] if self._as else []
        log = (self.folder / "log").open("ab")
        postgres = [str(self._bin / "postgres"), "-D", str(self.folder / "data"), *words]
        self._server = subprocess.Popen(
            [*prefix, *postgres], stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/"
        )
        log.close()
        give_up = time.monotonic() + 240
        while time.monotonic() < give_up and self._server.poll() is None:
            ready = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run([*self._network, *ready], check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def stop(self, how: str = "fast") -> None:
        """Stop the server: ``fast`` ends sessions, ``immediate`` is a crash."""
        assert self._server is not None
        self._server.send_signal({"fast": 2, "immediate": 3}[how])
        self._server.wait(240)

    def restart(self, how: str = "fast") -> None:
        """Stop the server and start it again."""
        self.stop(how)
        self.start()

    def create(self, name: str) -> str:
        """Make a database; return its address."""
        self._call("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", _USER, name)
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{name}"

    def close(self) -> None:
        """Stop the server and remove what it kept."""
        self.stop("immediate")
        self._held.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _call(self, program: str, *words: str) -> None:
        command = [*self._as, str(self._bin / program), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}")
