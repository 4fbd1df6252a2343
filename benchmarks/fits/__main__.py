"""What does a fit cost beside its training, once its program is compiled?

    a warm fit     th.fit(task) of one epoch: reusing the process's program, and with
                   THETAHAT_CACHE=off, which builds it anew (compiled code comes from the disk)
    many fits      th.fit(task) on other data each, 60 epochs, beside the same fits by one
                   hand-written scan over epochs and batches, compiled once
    a process      from its start to its first result: cold, and a second one (see cold.py)
    wide cohorts   members with data or an order of their own, and memory (see wide.py)
    a long fit     P1, 20,000 epochs, compiled before, beside the whole fit as one scan by hand
    other sizes    60 fits of different (N, d), as scikit-learn's check_estimator makes them (N is 2
                   to 300, d is 1 to 20, two losses): how many programs are compiled

CPU time of all threads on one pinned core, medians of interleaved rounds. The losses of both stand
beside the times: both train. Problems P3 and P4 are those of benchmarks.loops.

    python -m benchmarks.fits [--smoke] [--write]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

from benchmarks import machine
from benchmarks.fits import cold, wide

ROUNDS, FITS, EPOCHS, SIZES, LONG = 15, 100, 60, 60, 20_000
PACKAGES = ("thetahat", "jax", "jaxlib", "optax", "numpy")


def task(problem: Any, data: Any, epochs: int) -> Any:
    """A problem's Task on these data."""
    import optax

    import thetahat as th

    x, y, x_val, y_val = data
    width = problem.width
    model = th.models.Linear(2) if width is None else th.models.MLP(2, width=width, depth=2)
    parts = th.Data(train=(x, y), val=(x_val, y_val))
    return th.Task(model, parts, optimizer=optax.sgd(problem.lr), epochs=epochs,
                   batch_size=problem.batch)  # fmt: skip


def warm(problem: Any) -> tuple[float, float]:
    """CPU seconds of a fit of one epoch: until training starts, and in all."""
    import thetahat as th

    began, starts = time.process_time(), list[float]()
    th.fit(task(problem, problem.data, 1), on=lambda _: starts.append(time.process_time()))
    return starts[0] - began, time.process_time() - began


def anew(problem: Any) -> tuple[float, float]:
    """``warm``, without reuse."""
    kept = os.environ.pop("THETAHAT_CACHE")
    os.environ["THETAHAT_CACHE"] = "off"
    try:
        return warm(problem)
    finally:
        os.environ["THETAHAT_CACHE"] = kept


def samples(problem: Any, n: int) -> list[Any]:
    """So many samples of a problem, drawn anew."""
    import numpy as np

    found = []
    for seed in range(n):
        rng, size = np.random.default_rng(seed), problem.n
        x = rng.normal(size=(size + 200, 2))
        y = x @ np.array([0.6, -0.8]) + 0.01 * rng.normal(size=len(x))
        x, y = x.astype(np.float32), y.astype(np.float32)
        found.append((x[:size], y[:size], x[size:], y[size:]))
    return found


def scan(problem: Any, epochs: int) -> Callable[[int, Any], float]:
    """One fit by a scan over epochs, by hand: (seed, data) -> the last validation risk."""
    import jax
    import numpy as np

    from benchmarks.loops.peers import by_hand

    @jax.jit
    def fit(params: Any, key: Any, data: Any) -> Any:
        def one(params: Any, i: Any) -> Any:
            order = jax.random.permutation(jax.random.fold_in(key, i), problem.n)
            params, train, val = by_hand.epoch(problem, params, data, order, problem.lr)
            return params, (train, val)

        return jax.lax.scan(one, params, jax.numpy.arange(epochs))

    start = jax.jit(lambda key: by_hand.init(problem, key))

    def run(seed: int, data: Any) -> float:
        params, (_, val) = fit(start(jax.random.key(seed)), jax.random.key(seed + 1), data)
        jax.block_until_ready(params)
        return float(np.asarray(val)[-1])

    return run


def loops(problem: Any, fits: int, epochs: int, rounds: int) -> dict[str, Any]:
    """CPU seconds of all fits, ours and by hand, in interleaved rounds."""
    import thetahat as th

    drawn, by_scan = samples(problem, fits), scan(problem, epochs)
    ways: dict[str, Callable[[int, Any], float]] = {
        "thetahat": lambda _, data: th.fit(task(problem, data, epochs)).risk["val"],
        "a scan by hand": by_scan,
    }
    found: dict[str, Any] = {name: {"cpu_s": []} for name in ways}
    for way in ways.values():
        way(0, drawn[0])
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.process_time()
            risks = [way(seed, data) for seed, data in enumerate(drawn)]
            found[name]["cpu_s"].append(time.process_time() - began)
            found[name]["val_risk"] = statistics.median(risks)
    return found


def long(problem: Any, epochs: int) -> dict[str, Any]:
    """CPU seconds of a long fit, from the first epochs on, ours and by hand, in turn."""
    from benchmarks.loops.peers import ours, scan_fit
    from benchmarks.loops.rounds import Stopwatch

    ways = {"thetahat": ours.prepare(problem), "by hand": scan_fit.prepare(problem)}
    found: dict[str, Any] = {"epochs": epochs}
    for name, loop in ways.items():
        loop(2, Stopwatch())
        watch = Stopwatch()
        _, val = loop(epochs, watch)
        done, cpu, _ = watch.measured
        found[name] = {"cpu_s": cpu * epochs / done, "val_risk": float(val[-1])}
    return found


def sizes(fits: int) -> dict[str, Any]:
    """Fits of tables of other sizes: programs that were compiled, and CPU seconds."""
    import numpy as np
    import optax

    import thetahat as th

    rng, taken, traces, risks = np.random.default_rng(1), list[float](), 0, list[float]()
    known = [(n, d) for n in (2, 5, 10, 20, 30, 50, 100, 150, 200, 300) for d in (1, 3, 4, 10, 20)]
    for k, at in enumerate(rng.permutation(len(known) * 2)[:fits]):
        (n, d), logistic = known[at % len(known)], bool(k % 2)
        x = rng.normal(size=(n + k % 2, d))
        y = x[:, 0] + 0.1 * rng.normal(size=len(x))
        y = (y > 0).astype(float) if logistic else y
        loss = "logistic" if logistic else "squared"
        model = th.models.MLP(d, width=32, depth=2)
        given = th.Task(model, th.Data((x, y)), optimizer=optax.adam(1e-2), loss=loss, epochs=50,
                        batch_size=32)  # fmt: skip
        began = time.process_time()
        result = th.fit(given)
        taken.append(time.process_time() - began)
        traces += result.traces
        risks.append(result.risk["train"])
    return {
        "fits": fits,
        "programs": traces,
        "cpu_s": sum(taken),
        "median_ms": 1e3 * statistics.median(taken),
        "train_risk": statistics.median(risks),
    }


def measure(rounds: int, fits: int, epochs: int, others: int, long_epochs: int) -> dict[str, Any]:
    """All numbers."""
    from benchmarks.loops.problems import PROBLEMS

    warm_fits: dict[str, Any] = {}
    for name in ("P3", "P4"):
        problem = PROBLEMS[name]
        ways = {"reused": warm, "built anew": anew}
        taken: dict[str, Any] = {way: [] for way in ways}
        for way in (*ways.values(), *ways.values()):
            way(problem)
        for _ in range(rounds):
            for way, run in ways.items():
                taken[way].append(run(problem))
        warm_fits[name] = {
            way: [statistics.median(1e3 * pair[k] for pair in pairs) for k in (0, 1)]
            for way, pairs in taken.items()
        }
    return {
        "sizes": sizes(others),
        "long": long(PROBLEMS["P1"], long_epochs),
        "question": __doc__.splitlines()[0],  # pyright: ignore[reportOptionalMemberAccess]
        "rounds": rounds,
        "warm_ms": warm_fits,
        "many": {
            "fits": fits,
            "epochs": epochs,
            **loops(PROBLEMS["P3"], fits, epochs, max(1, rounds // 5)),
        },
        "cold": cold.measure(max(1, rounds // 3), epochs),
        "wide": wide.costs(max(1, rounds // 5), min(512, 5 * fits), 8 * max(2, epochs // 10)),
        "wide_members": min(512, 5 * fits),
        "memory": [40 * fits + 96, wide.peak_mb(40 * fits + 96, 5)],
        "facts": machine.facts(PACKAGES),
    }


def markdown(answer: dict[str, Any]) -> str:
    """The whole page."""
    many = answer["many"]
    page = [f"# {answer['question']}", "", *machine.said(answer["facts"]), ""]
    page += ["| a fit of one epoch | until it trains, ms | in all, ms |", "|---|---|---|"]
    for name, ways in answer["warm_ms"].items():
        for way, (before, whole) in ways.items():
            page.append(f"| {name}, the program {way} | {before:.1f} | {whole:.1f} |")
    page += ["", f"{many['fits']} fits of P3 on other data each, {many['epochs']} epochs:", ""]
    page += ["| loop | CPU s | over the scan | median validation risk |", "|---|---|---|---|"]
    peer = statistics.median(many["a scan by hand"]["cpu_s"])
    for name in ("thetahat", "a scan by hand"):
        took = statistics.median(many[name]["cpu_s"])
        page.append(f"| {name} | {took:.2f} | {took / peer:.2f} | {many[name]['val_risk']:.3g} |")
    page += cold.lines(answer["cold"], many["epochs"])
    page += wide.lines(answer["wide_members"], answer["wide"], tuple(answer["memory"]))
    long, by = (answer["long"][way] for way in ("thetahat", "by hand"))
    page += [
        "",
        f"P1, {answer['long']['epochs']:,} epochs: {long['cpu_s']:.1f} CPU s; a whole fit by hand"
        f" {by['cpu_s']:.1f}, or {by['cpu_s'] / long['cpu_s']:.2f} of it (validation risk"
        f" {long['val_risk']:.3g} and {by['val_risk']:.3g}).",
    ]
    other = answer["sizes"]
    page += [
        "",
        f"{other['fits']} fits of other sizes compiled {other['programs']} programs, and took"
        f" {other['cpu_s']:.1f} CPU s, half of them less than {other['median_ms']:.0f} ms each"
        f" (median training risk {other['train_risk']:.3g}).",
    ]
    return "\n".join(page) + "\n"


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--smoke", action="store_true", help="one round of three fits")
    parser.add_argument("--write", action="store_true", help="benchmarks/results/fits-<date>.*")
    asked = parser.parse_args()
    machine.pin()
    if not asked.smoke:
        machine.as_installed()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["THETAHAT_CACHE"] = folder
        answer = measure(
            *((1, 3, 2, 4, 40) if asked.smoke else (ROUNDS, FITS, EPOCHS, SIZES, LONG))
        )
    page = markdown(answer)
    print(page)
    if asked.write:
        machine.write_results("fits", answer["facts"], page, answer)


if __name__ == "__main__":
    main()
