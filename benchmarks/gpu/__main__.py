"""Does thetahat train on this device as it does on a CPU, and how fast?

    problems   P1 to P4 of benchmarks.loops: seconds an epoch, beside a scan over one epoch that
               is written by hand; the risks beside those of a CPU process, and what TF32 would
               make of them where it is asked for (thetahat switches it off otherwise)
    cohorts    1 to 4,096 seeds of P3 as one program: seconds an epoch and memory; the first member
               beside the same fit alone
    resume     half a fit, then the other half, and a cohort likewise: bit for bit the whole fit
    PyTorch    the same questions of its own backend, where it is installed: see ``_torch``

On a machine without a GPU it runs on the CPU, or on several devices that XLA makes of it:

    XLA_FLAGS=--xla_force_host_platform_device_count=4 python -m benchmarks.gpu --smoke
    python -m benchmarks.gpu [--smoke] [--write]

Exit code 1: a comparison failed. Nothing that was timed fails.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import machine

PACKAGES = ("thetahat", "jax", "jaxlib", "flax", "optax", "numpy")
TF32 = "tensorfloat32"
NAMES = ("P1", "P2", "P3", "P4")
EPOCHS = 50
"""Epochs whose risks are compared."""
TOLERANCE = 1e-3
"""Largest relative difference of a risk from a CPU's: rounding that training has amplified."""
MEMBER_TOLERANCE = 1e-3


def risks(precision: str | None, epochs: int) -> dict[str, list[float]]:
    """The validation risks of each problem's epochs on this process's device.

    Args:    precision: of matrix products, as JAX names it; None is what thetahat chooses.
    """
    import jax

    import thetahat as th
    from benchmarks.loops.peers.ours import experiment
    from benchmarks.loops.problems import PROBLEMS

    found = {}
    with jax.default_matmul_precision(precision):
        for name in NAMES:
            history = th.fit(experiment(PROBLEMS[name]), epochs=epochs).history
            found[name] = [float(risk) for risk in history["val_risk"]]
    return found


def risks_of_a_cpu(epochs: int) -> dict[str, list[float]]:
    """``risks`` by another process, which sees the CPU alone."""
    code = (
        "import json; from benchmarks.gpu.__main__ import risks;"
        f" print(json.dumps(risks(None, {epochs})))"
    )
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": machine.PINNED["XLA_FLAGS"]}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=env, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def problems(epochs: int, rounds: int) -> dict[str, Any]:
    """Seconds and differences of each problem."""
    import numpy as np

    from benchmarks.loops.contestants import load
    from benchmarks.loops.problems import PROBLEMS
    from benchmarks.loops.rounds import Stopwatch

    here = {"own": risks(None, epochs), "tf32": risks(TF32, epochs)}
    there = risks_of_a_cpu(epochs)
    found: dict[str, Any] = {}
    for name in NAMES:
        loops = {way: load(way).prepare(PROBLEMS[name]) for way in ("ours", "scan_epoch")}
        took: dict[str, list[float]] = {way: [] for way in loops}
        for k in range(rounds + 1):
            for way, loop in loops.items():
                watch = Stopwatch()
                loop(epochs, watch)
                done, _, wall = watch.measured
                if k:  # the first compiles
                    took[way].append(wall / done)
        cpu = np.array(there[name])
        apart = {
            precision: float(np.max(np.abs(np.array(curves[name]) - cpu) / cpu))
            for precision, curves in here.items()
        }
        found[name] = {
            "said": PROBLEMS[name].said,
            **{f"{way}_s": statistics.median(times) for way, times in took.items()},
            "apart": apart,
            "last_risk": here["own"][name][-1],
        }
    return found


def cohorts(sizes: tuple[int, ...], epochs: int) -> list[dict[str, Any]]:
    """Seeds of P3 as one program."""
    import jax
    import numpy as np

    import thetahat as th
    from benchmarks.loops.peers.ours import experiment
    from benchmarks.loops.problems import PROBLEMS
    from benchmarks.loops.rounds import Stopwatch

    fit_net = experiment(PROBLEMS["P3"])
    alone = th.fit(fit_net, seed=0, epochs=epochs).history["val_risk"]

    def train(configs: list[dict[str, Any]]) -> tuple[Any, float]:
        watch = Stopwatch()
        many = th.fit_many(fit_net, configs, mode="vmap", progress=lambda p: watch(p.epoch))
        done, _, wall = watch.measured
        return many, wall / done

    rows = []
    for size in sizes:
        configs = [{"seed": seed, "epochs": epochs} for seed in range(size)]
        train(configs)  # compiles
        many, epoch_s = train(configs)
        stats = jax.local_devices()[0].memory_stats() or {}
        first = np.asarray(many[0].history["val_risk"])
        rows.append(
            {
                "members": size,
                "epoch_s": epoch_s,
                "member_us": 1e6 * epoch_s / size,
                "peak_mb": stats.get("peak_bytes_in_use", 0) / 1e6,
                "apart": float(np.max(np.abs(first - alone) / np.abs(alone))),
                "traces": many[0].traces,
            }
        )
    return rows


def resume(epochs: int, folder: Path) -> dict[str, bool]:
    """Whether halves give the bits of the whole, alone and in a cohort."""
    import jax
    import numpy as np

    import thetahat as th
    from benchmarks.loops.peers.ours import experiment
    from benchmarks.loops.problems import PROBLEMS

    def bits(result: Any) -> list[bytes]:
        curves = [np.asarray(result.history[name]) for name in ("train_risk", "val_risk")]
        return [np.asarray(a).tobytes() for a in (*curves, *jax.tree.leaves(result.params))]

    found = {}
    for name in NAMES:
        fit_net, path = experiment(PROBLEMS[name]), folder / f"{name}.ckpt"
        whole = th.fit(fit_net, epochs=2 * epochs)
        th.fit(fit_net, epochs=epochs, checkpoint=path)
        halves = th.fit(fit_net, epochs=2 * epochs, checkpoint=path, resume=True)
        found[name] = bits(whole) == bits(halves)
    fit_net, path = experiment(PROBLEMS["P3"]), folder / "cohort.ckpt"

    def many(epochs: int, **more: Any) -> Any:
        configs = [{"seed": seed, "epochs": epochs} for seed in range(16)]
        return th.fit_many(fit_net, configs, mode="vmap", **more)

    whole = many(2 * epochs)
    many(epochs, checkpoint=path)
    halves = many(2 * epochs, checkpoint=path, resume=True)
    found["16 members of P3"] = [bits(r) for r in whole] == [bits(r) for r in halves]
    return found


def measure(*, smoke: bool) -> dict[str, Any]:
    """All numbers."""
    import jax

    epochs, rounds = (5, 1) if smoke else (EPOCHS, 5)
    sizes = (1, 4, 16) if smoke else (1, 16, 256, 1024, 4096)
    devices = jax.devices()
    with tempfile.TemporaryDirectory() as folder:
        same = resume(epochs, Path(folder))
    return {
        "question": __doc__.splitlines()[0],  # pyright: ignore[reportOptionalMemberAccess]
        "devices": [f"{device.platform}: {device.device_kind}" for device in devices],
        "smoke": smoke,
        "epochs": epochs,
        "problems": problems(epochs, rounds),
        "cohorts": cohorts(sizes, epochs),
        "resume": same,
        "pytorch": pytorch(),
        "facts": machine.facts(PACKAGES),
    }


def pytorch() -> dict[str, Any] | None:
    """What ``_torch`` finds, in a process without JAX's GPU; None where PyTorch is missing."""
    if importlib.util.find_spec("torch") is None:
        return None
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu.torch_native", "--json"],
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"crashed": done.returncode}


def failures(answer: dict[str, Any]) -> list[str]:
    """Every comparison that did not hold."""
    found = [f"resume of {what}: other bits" for what, same in answer["resume"].items() if not same]
    for name, row in answer["problems"].items():
        if not row["apart"]["own"] <= TOLERANCE:
            found.append(f"{name}: {row['apart']['own']:.2g} from a CPU's risks")
    for row in answer["cohorts"]:
        if not row["apart"] <= MEMBER_TOLERANCE or row["traces"] > 1:
            found.append(f"{row['members']} members: {row['apart']:.2g} from the fit alone")
    native = answer["pytorch"]
    if native is not None:
        if "crashed" in native:
            return [*found, f"PyTorch: the process ended with {native['crashed']}"]
        found += [f"PyTorch, {failure}" for failure in native["failures"]]
    return found


def markdown(answer: dict[str, Any]) -> str:
    """The whole page."""
    page = [f"# {answer['question']}", ""]
    page += [line for line in machine.said(answer["facts"]) if not line.startswith("- pinned")]
    page += [f"- devices: {len(answer['devices'])} ({answer['devices'][0]})", ""]
    if answer["smoke"]:
        page += ["**A smoke run: few epochs, and times that mean nothing.**", ""]
    page += ["| problem | ms an epoch | by hand, ms | risks, from a CPU's | with TF32 |"]
    page += ["|---|---|---|---|---|"]
    for name, row in answer["problems"].items():
        times = f"{1e3 * row['ours_s']:.3g} | {1e3 * row['scan_epoch_s']:.3g}"
        apart = " | ".join(f"{row['apart'][which]:.1g}" for which in ("own", "tf32"))
        page.append(f"| {name}: {row['said']} | {times} | {apart} |")
    page += ["", "| members of P3 | ms an epoch | us a member | peak MB | from the fit alone |"]
    page += ["|---|---|---|---|---|"]
    for row in answer["cohorts"]:
        peak = f"{row['peak_mb']:.0f}" if row["peak_mb"] else "-"
        cells = f"{1e3 * row['epoch_s']:.3g} | {row['member_us']:.3g} | {peak}"
        page.append(f"| {row['members']:,} | {cells} | {row['apart']:.1g} |")
    same = all(answer["resume"].values())
    page += [
        "",
        f"Resume, {', '.join(answer['resume'])}: {'the same bits' if same else 'DIFFERS'}.",
    ]
    if answer["pytorch"] is not None and "page" in answer["pytorch"]:
        page += ["", *answer["pytorch"]["page"]]
    page += ["", *(f"FAILED: {failure}" for failure in failures(answer))]
    return "\n".join(page).rstrip() + "\n"


def main() -> int:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--smoke", action="store_true", help="five epochs, cohorts of 1 to 16")
    parser.add_argument("--write", action="store_true", help="benchmarks/results/gpu-<date>.*")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["THETAHAT_CACHE"] = folder
        answer = measure(smoke=asked.smoke)
    page = markdown(answer)
    print(page)
    if asked.write:
        machine.write_results("gpu", answer["facts"], page, answer)
    return 1 if failures(answer) else 0


if __name__ == "__main__":
    sys.exit(main())
