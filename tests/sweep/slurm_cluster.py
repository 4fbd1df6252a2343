"""A Slurm cluster of the tests' own: two nodes on this machine, in a network of their own.

Nothing outside its folder is touched: munge, the controller and the nodes have their files and keys
there. All of it ends with the process of the tests.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from children import until
from own_network import DIES, OwnNetwork, lacking_network

_SBIN = "/usr/sbin"
_PROGRAMS = {
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
    "munged": "munge",
}
CONF = """\
ClusterName=thetahat
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/run/munge.socket
CredType=cred/munge
SlurmctldPort=16817
SlurmdParameters=config_overrides
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,sched_interval=1,bf_interval=1
MpiDefault=none
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=5
InactiveLimit=0
MinJobAge=300
KillWait=20
Waittime=0
{nodes}
PartitionName=main Nodes=n[1-{n}] Default=YES MaxTime=60 State=UP OverSubscribe=NO
"""


def lacking_slurm() -> str | None:
    """What a test of Slurm lacks here, with the command that installs it; None if nothing."""
    for program, package in _PROGRAMS.items():
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:{_SBIN}") is None:
            return f"no Slurm is installed ({program}); apt-get install {package}"
    return lacking_network()


_QUIET_S = 8


class SlurmCluster:
    """Nodes n1, n2, ... of two cores each."""

    def __init__(self, nodes: int = 2) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="thetahat-slurm-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.network = OwnNetwork()
        self._servers: list[subprocess.Popen[bytes]] = []
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}
        host = socket.gethostname().partition(".")[0]
        names = [f"n{k}" for k in range(1, nodes + 1)]
        lines = [
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={17000 + k} CPUs=2"
            " RealMemory=4000 State=UNKNOWN"
            for k, name in enumerate(names, 1)
        ]
        text = CONF.format(folder=self.folder, host=host, nodes="\n".join(lines), n=nodes)
        self.conf = self.folder / "slurm.conf"
        self.conf.write_text(text)
        for name in ("state", *(f"spool/{name}" for name in names)):
            (self.folder / name).mkdir(parents=True)
        try:
            self._start_munge()
            self._serve("slurmctld", "-D", "-c", "-f", str(self.conf))
            for name in names:
                self.start_node(name)
            self.wait_for(lambda: self._count_idle() == nodes)
        except BaseException:
            self.close()
            raise

    @property
    def environment(self) -> dict[str, str]:
        """What programs of Slurm need to find this cluster."""
        return {"SLURM_CONF": str(self.conf)}

    def call(self, *words: str) -> str:
        """Run a program of Slurm; its output."""
        done = subprocess.run(
            self.network.within(words),
            capture_output=True,
            text=True,
            env={**os.environ, **self.environment},
            check=False,
        )
        return done.stdout

    def tasks(self) -> dict[str, str]:
        """The state of each task of an array that has not ended."""
        rows = self.call("squeue", "-h", "-r", "-o", "%i %T").split("\n")
        return dict(row.split() for row in rows if row.strip())

    def wait_for(self, holds: Callable[[], bool], patience_s: float = 240.0) -> None:
        """Wait until something holds that programs of Slurm are asked for."""
        give_up = time.monotonic() + patience_s
        while not holds():
            if time.monotonic() > give_up:
                said = self.call("scontrol", "show", "job")
                raise AssertionError(f"it never came; the tasks: {self.tasks()}\n{said}")
            time.sleep(0.3)

    def wait_for_end(self, job: str, done: Callable[[], bool]) -> None:
        """Wait until an array has ended; tasks that Slurm queued again start without its delay.

        Args:    done: whether its work is done: a task that starts again is in no list for a moment.
        """
        quiet_since = time.monotonic()

        def over() -> bool:
            nonlocal quiet_since
            tasks = self.tasks()
            # Slurm's delay is for the end of a task's last run, which else is taken for the next's;
            # a busy node tells of it some seconds after it is no longer "completing".
            if "completing" in self.call("sinfo", "-h", "-N", "-o", "%T"):
                quiet_since = time.monotonic()
            queued = [name for name, state in tasks.items() if state == "PENDING"]
            for task in queued if time.monotonic() > quiet_since + _QUIET_S else ():
                self.call("scontrol", "update", f"JobId={task}", "StartTime=now")
            return not any(task.startswith(f"{job}_") for task in tasks) and done()

        self.wait_for(over, 400.0)

    def node_of(self, task: str) -> str:
        """The node on which a task runs."""
        return self.call("squeue", "-h", "-r", "-j", task, "-o", "%N").strip()

    def start_node(self, name: str) -> None:
        """Start a node, perhaps again."""
        self._nodes[name] = self._serve("slurmd", "-D", "-N", name, "-f", str(self.conf))

    def kill_node(self, name: str) -> None:
        """Kill a node and all that runs on it, at once."""
        self._nodes[name].kill()
        self._nodes[name].wait()
        found = [process for process in psutil.process_iter() if self._runs_on(process, name)]
        for process in found:
            with contextlib.suppress(psutil.Error):
                steps = [p for p in process.parents() if p.name().startswith("slurmstepd")]
                for one in (*steps, process):
                    one.kill()

    def close(self) -> None:
        """End all jobs and the cluster, and remove its files."""
        self.call("scancel", "--user", pwd.getpwuid(os.getuid()).pw_name)
        with contextlib.suppress(AssertionError):
            self.wait_for(lambda: not self.tasks(), 30)
        for name in self._nodes:
            self.kill_node(name)
        for server in reversed(self._servers):
            server.kill()
            server.wait()
        self.network.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _count_idle(self) -> int:
        return self.call("sinfo", "-h", "-N", "-t", "idle").count("\n")

    def _runs_on(self, process: psutil.Process, name: str) -> bool:
        try:
            found = process.environ()
        except psutil.Error:
            return False
        return (found.get("SLURMD_NODENAME"), found.get("SLURM_CONF")) == (name, str(self.conf))

    def _start_munge(self) -> None:
        """Start munge, by which Slurm knows users, with a key of its own."""
        folder = self.folder / "munge"
        folder.mkdir(mode=0o755)
        for name, mode in (("etc", 0o700), ("log", 0o700), ("lib", 0o700), ("run", 0o755)):
            (folder / name).mkdir()
            (folder / name).chmod(mode)
        key = folder / "etc" / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        for path in (folder / "etc", folder / "log", folder / "lib", folder / "run", key):
            shutil.chown(path, "munge", "munge")
        # As another user a process would lose the signal that it gets when its parent dies.
        prefix = ["setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", *DIES[1:]]
        words = ["munged", "--foreground", "--force", f"--key-file={key}"]
        words += [f"--socket={folder}/run/munge.socket", f"--pid-file={folder}/run/munged.pid"]
        words += [f"--log-file={folder}/log/munged.log", f"--seed-file={folder}/lib/munge.seed"]
        self._servers.append(self._popen([*prefix, f"{_SBIN}/{words[0]}", *words[1:]]))
        until((folder / "run" / "munge.socket").exists)

    def _serve(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a server of Slurm in the network of the cluster."""
        path = shutil.which(program, path=f"{_SBIN}:/usr/bin")
        assert path is not None
        server = self._popen([*DIES, *self.network.within([path, *words])])
        self._servers.append(server)
        return server

    def _popen(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "servers.log").open("ab") as log:
            env = {**os.environ, **self.environment}
            return subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd="/"
            )
