"""Agents as an array of Slurm jobs: the script, its submission, and the state of its tasks.

A job runs one agent, never one run: Slurm starts a few jobs a second, and an agent claims a run in
milliseconds. Only the programs of Slurm are used (``sbatch``, ``sinfo``, ``squeue``), with the
rights of the user.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from thetahat.core.errors import ConfigError
from thetahat.core.places import Place, Server, given_place
from thetahat.core.shell import pasteable
from thetahat.sweep.launch._template import TEMPLATE, filled

WARNING_S = 120
"""Seconds before the time limit at which an agent begins to hand its runs back, at most."""
_TIME = re.compile(r"(?:(\d+)-(\d+)(?::(\d+)(?::(\d+))?)?)|(?:(\d+)(?::(\d+)(?::(\d+))?)?)")
_WORD = re.compile(r"[^\s\"'\\#]+")
_LIVE = ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED", "SUSPENDED", "STOPPED")


@dataclass(frozen=True)
class SlurmJobs:
    """What is asked of Slurm: ``agents`` jobs, each with these resources.

    Args:    cpus: cores.   gpus: a number, or a kind and a number, such as a100:2.
             memory: as Slurm takes it, such as 8G.   time: the limit, as Slurm takes it.
             options: further options of sbatch.   workers: of each agent; by default one for each
             core, or each GPU.
    Raises:  ConfigError: a value that Slurm cannot read.
    """

    agents: int = 1
    cpus: int = 1
    gpus: str | None = None
    memory: str | None = None
    time: str | None = None
    partition: str | None = None
    account: str | None = None
    options: Sequence[str] = field(default_factory=tuple)
    workers: int | None = None
    keep_going: bool = False

    def __post_init__(self) -> None:
        for name in ("gpus", "memory", "partition", "account"):
            value = getattr(self, name)
            if value is not None and not _WORD.fullmatch(value):
                raise ConfigError(f"--{name}={value!r}: give one word, as sbatch takes it")
        if self.gpus is not None and not re.fullmatch(r"([\w.-]+:)?[1-9]\d*", self.gpus):
            raise ConfigError(
                f"--gpus={self.gpus}: give the number of GPUs of each agent, such as 1 or a100:1"
            )
        if self.time is not None:
            seconds_of(self.time)
        for option in self.options:
            if not option.strip("- ") or not option.isprintable():
                raise ConfigError(
                    f"--sbatch={option!r}: give one option of sbatch, such as --sbatch qos=long"
                )

    def lines(self, sweep: str, folder: str, logs: str) -> str:
        """Return the lines of #SBATCH.

        Args:    folder: where the jobs start.   logs: the pattern of their output.
        """
        given = {
            "job-name": f"thetahat-{sweep}",
            "array": f"0-{self.agents - 1}",
            "nodes": "1",
            "ntasks": "1",
            "cpus-per-task": str(self.cpus),
            "gres": None if self.gpus is None else f"gpu:{self.gpus}",
            "mem": self.memory,
            "time": self.time,
            "partition": self.partition,
            "account": self.account,
            "signal": f"B:USR1@{self.warning_s}",
            "open-mode": "append",
            "chdir": _quoted(folder),
            "output": _quoted(logs),
        }
        words = [f"--{name}={value}" for name, value in given.items() if value is not None]
        # The user's own come last, and override these.
        words += ["--requeue", *(f"--{option.strip().lstrip('-')}" for option in self.options)]
        return "\n".join(f"#SBATCH {word}" for word in words)

    @property
    def warning_s(self) -> int:
        """How long before the limit an agent is told, in seconds."""
        limit = None if self.time is None else seconds_of(self.time)
        return WARNING_S if not limit else max(10, min(WARNING_S, limit // 5))

    def arguments(self, sweep: str) -> list[str]:
        """Return the words of an agent's command, behind ``thetahat``."""
        words = ["agent", sweep]
        workers = self.workers or (None if self.gpus else self.cpus)
        if workers is not None:
            words.append(f"--workers={workers}")
        return [*words, "--keep-going"] if self.keep_going else words


@dataclass(frozen=True)
class JobTask:
    """One job of an array, as ``squeue`` has it; a job that has ended is not listed."""

    job: str
    """The id of the array."""
    task: str
    state: str
    node: str
    time: str
    reason: str


def slurm_script(
    jobs: SlurmJobs,
    sweep: str,
    place: Place,
    *,
    folder: str,
    logs: str,
    template: str = TEMPLATE,
    file: str = "the template",
) -> str:
    """Return the script of the jobs. It has no password.

    Args:    sweep: its id.   folder: where the jobs start.   logs: the pattern of their output.
             file: the name of the template, for messages.
    Raises:  ConfigError: a template that cannot be filled.
    """
    arguments = jobs.arguments(sweep)
    shown = place.split_password()[0] if isinstance(place, Server) else place
    values = {
        "options": jobs.lines(sweep, folder, logs),
        "store": pasteable([given_place(shown)]),
        "agent": pasteable([sys.executable, "-m", "thetahat", *arguments]),
        "arguments": pasteable(arguments),
    }
    return filled(template, values, file)


def submit(script: str, place: Place) -> str:
    """Submit a script; return the id of the array.

    Raises:  ConfigError: there is no Slurm here, or it refuses the jobs.
    """
    password = place.split_password()[1] if isinstance(place, Server) else None
    # In the environment of the jobs: a script can be read by other users.
    own = {} if password is None else {"PGPASSWORD": password}
    said = _call(["sbatch", "--parsable"], script, own)
    job = said.strip().partition(";")[0]
    if not job.isdigit():
        raise ConfigError(f"sbatch answered {said.strip()!r:.200}, which is not the id of a job")
    return job


def hosts_of(partition: str | None) -> set[str]:
    """Return the machines on which jobs may run: of these partitions, by default the default one.

    Raises:  ConfigError: there is no Slurm here, or it does not answer.
    """
    said = _call(["sinfo", "--noheader", "--Node", "--format=%P %n"])
    rows = [words for line in said.splitlines() if len(words := line.split()) == 2]
    if partition is not None:
        wanted = set(partition.split(","))
        rows = [row for row in rows if row[0].rstrip("*") in wanted]
    elif any(row[0].endswith("*") for row in rows):
        rows = [row for row in rows if row[0].endswith("*")]
    return {host for _, host in rows}


def list_tasks(jobs: Sequence[str]) -> list[JobTask]:
    """Return the tasks of these arrays that wait or run.

    Raises:  ConfigError: there is no Slurm here, or it does not answer.
    """
    form = "%F|%K|%T|%N|%M|%r"
    said = _call(["squeue", "--noheader", "--me", "--array", f"--format={form}"])
    rows = [line.split("|", 5) for line in said.splitlines() if line.count("|") >= 5]
    found = [JobTask(*(cell.strip() for cell in row)) for row in rows]
    return [task for task in found if task.job in jobs and task.state in _LIVE]


def seconds_of(time: str) -> int:
    """Return a time limit as Slurm writes it, in seconds; 0 for no limit.

    Raises:  ConfigError: another text.

    >>> seconds_of("90"), seconds_of("1:30:00"), seconds_of("2-12")
    (5400, 5400, 216000)
    """
    if time.upper() in ("UNLIMITED", "INFINITE"):
        return 0
    match = _TIME.fullmatch(time)
    if match is None:
        raise ConfigError(
            f"--time={time}: give a limit as Slurm takes it: minutes, H:MM:SS or D-HH, such as 90,"
            " 4:00:00 or 2-00"
        )
    days, hours, minutes, seconds, a, b, c = (int(part or 0) for part in match.groups())
    if match[1] is not None:
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if match[7] is not None:
        return (a * 60 + b) * 60 + c
    return a * 60 + b


def _quoted(path: str) -> str:
    """Write a path for a line of #SBATCH.

    Raises:  ConfigError: a path that such a line cannot hold.
    """
    if '"' in path or "\\" in path or not path.isprintable():
        raise ConfigError(f"Slurm cannot use the path {path!r}; give one without such characters")
    return f'"{path}"' if re.search(r"[\s'#]", path) else path


def _call(words: Sequence[str], text: str | None = None, own: Mapping[str, str] = {}) -> str:
    """Run a program of Slurm; return what it prints.

    Raises:  ConfigError: it is not here, or it fails.
    """
    program = words[0]
    if shutil.which(program) is None:
        raise ConfigError(
            f"{program} is not on this machine: run thetahat launch where Slurm's commands are, as"
            " on a login node; --print writes the script to submit it there"
        )
    done = subprocess.run(
        list(words),
        input=text,
        capture_output=True,
        text=True,
        env={**os.environ, **own},
        check=False,
    )
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise ConfigError(f"{program}: {said or f'exit code {done.returncode}'}")
    return done.stdout
