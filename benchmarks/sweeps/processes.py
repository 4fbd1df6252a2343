"""A sweep as a reader types it, and the same configs as processes of the lecture's program."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine

EXAMPLES = Path(__file__).parents[2] / "examples"
SHAPES = Path(__file__).parent / "shapes_sweep.yaml"
THETAHAT = "import sys; from thetahat.cli import run; sys.exit(run())"
LECTURE = EXAMPLES / "mlp_regression_logging.py"
LIMIT_S = 1800


def ours(file: str, folder: Path, *words: str) -> dict[str, Any]:
    """``thetahat sweep FILE --run`` with an empty store and an empty cache, to its end."""
    desk = folder / "desk"
    shutil.copytree(EXAMPLES, desk, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SHAPES, desk)
    env = _free() | {"THETAHAT_CACHE": str(folder / "cache"), "THETAHAT_STORE": str(folder / "st")}
    command = [sys.executable, "-c", THETAHAT]
    with Clock() as clock:
        _run([*command, "sweep", file, "--run", "--quiet", *words], desk, env)
    listed = _run([*command, "runs", "--format=json"], desk, env)
    runs = json.loads(listed)
    bad = [run["reason"] for run in runs if run["status"] != "finished"]
    if bad:
        raise RuntimeError(f"{file}: {len(bad)} runs did not finish: {bad[0]}")
    return {
        **clock.seconds(),
        "runs": len(runs),
        "epochs": sorted({run["epochs"] for run in runs}),
        "configs": [run["config"] for run in runs],
        "seconds_of_runs": [run["seconds"] for run in runs],
    }


def peers(configs: Sequence[Mapping[str, Any]], folder: Path, at_a_time: int = 1) -> dict[str, Any]:
    """One process of the lecture's program per config, W&B offline."""
    folder.mkdir(exist_ok=True)
    env = _free() | {"WANDB_MODE": "offline", "WANDB_DIR": str(folder), "WANDB_SILENT": "true"}
    if at_a_time > 1:
        env |= machine.PINNED
    waiting = [_words(config) for config in configs]
    running: list[subprocess.Popen[str]] = []
    losses: list[str] = []
    with Clock() as clock:
        while waiting or running:
            while waiting and len(running) < at_a_time:
                command = [sys.executable, str(LECTURE), *waiting.pop(0)]
                started = subprocess.Popen(
                    command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True
                )
                running.append(started)
            done = next((p for p in running if p.poll() is not None), None)
            if done is None:
                time.sleep(0.01)
                continue
            running.remove(done)
            said = done.communicate()[0]
            if done.returncode:
                raise RuntimeError(f"{done.args}: exit code {done.returncode}")
            losses.append(said.rsplit(maxsplit=1)[-1])
    logs = len(list(folder.glob("wandb/offline-run-*/run-*.wandb")))
    if logs != len(configs):
        raise RuntimeError(f"{len(configs)} runs, but {logs} logs of W&B")
    return {
        **clock.seconds(),
        "runs": len(configs),
        "at_a_time": at_a_time,
        "last_test_loss": losses,
    }


LOGGED = "import thetahat as th\nth.log({'loss': 0.5})\n"
SWEEP = """\
program: logged.py
method: grid
metric: {name: loss}
parameters: {x: {min: 1, max: RUNS}}
"""


def logged(n: int, folder: Path) -> dict[str, Any]:
    """Programs with one ``th.log``: in a sweep, its agent included, and each alone; bare Python."""
    env = _free() | {"THETAHAT_STORE": str(folder / "st")}
    (folder / "logged.py").write_text(LOGGED, encoding="utf-8")
    (folder / "sweep.yaml").write_text(SWEEP.replace("RUNS", str(n)), encoding="utf-8")
    python, found = [sys.executable], {}
    ways = {
        "sweep": [[*python, "-c", THETAHAT, "sweep", "sweep.yaml", "--run", "--quiet"]],
        "alone": [[*python, "logged.py"]] * 10,
        "bare": [[*python, "-c", "pass"]] * 10,
    }
    for name, commands in ways.items():
        with Clock() as clock:
            for command in commands:
                _run(command, folder, env)
        found[name] = clock.cpu_s / (n if name == "sweep" else len(commands))
    return {"runs": n, "cpu_s_of_a_run": found}


def trivial(n: int, together: int, method: str) -> dict[str, Any]:
    """Runs that do nothing, in a process of their own."""
    words = [sys.executable, "-m", "benchmarks.sweeps.trivial", str(n), str(together), method]
    return json.loads(_run(words, EXAMPLES.parent, _free()))


class Clock:
    """Wall seconds, and CPU seconds of all processes that ended meanwhile."""

    def __enter__(self) -> Clock:
        self._cpu, self._wall = self._used(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_s = self._used() - self._cpu
        self.wall_s = time.perf_counter() - self._wall

    def seconds(self) -> dict[str, float]:
        """What was measured."""
        return {"wall_s": self.wall_s, "cpu_s": self.cpu_s, "load": os.getloadavg()[0]}

    @staticmethod
    def _used() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime


def _words(config: Mapping[str, Any]) -> list[str]:
    """A config of ours as flags of the lecture's program."""
    names = {"epochs": "num_epochs"}
    kept = ("N", "M", "sigma", "width", "lr", "epochs", "batch_size", "seed")
    return [f"--{names.get(k, k)}={config[k]}" for k in kept if k in config]


def _free() -> dict[str, str]:
    """The environment without what would pin threads or name a store."""
    dropped = (*machine.PINNED, "THETAHAT_STORE", "THETAHAT_CACHE", "JAX_COMPILATION_CACHE_DIR")
    return {k: v for k, v in os.environ.items() if k not in dropped}


def _run(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    if done.returncode:
        raise RuntimeError(f"{command}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout
