"""What do 1,000 fits of the lectures' double descent cost, beside their own loop?

    the lectures' loop    joblib over simulations, a net and an Adam of PyTorch for each, in this
                          process (n_jobs=1: their 20 processes would also import PyTorch 20 times)
    thetahat, cold        the first th.fit_many of a process with an empty cache
    thetahat, compiled    the calls after it
    the lab's experiment  `thetahat lab run double_descent`, compiled: each simulation has data of
                          its own, and 100 new points

Ten widths, 100 simulations, 50 epochs; test loss and error in f after every epoch. The lectures
take the error in f at the training points; here both loops take it at the 20 test points. CPU time
of all threads on one pinned core; rounds are interleaved. The mean test losses of both loops stand
beside the times.

    python -m benchmarks.lab [--smoke] [--write]
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

WIDTHS, SIMULATIONS, EPOCHS, ROUNDS = 10, 100, 50, 3
SIGMA, LR = 1.5, 0.1
PACKAGES = ("thetahat", "jax", "jaxlib", "optax", "numpy", "torch", "joblib")
GOAL = {"thetahat, compiled": 80, "thetahat, cold": 10}
"""How many times less CPU than the lectures' loop."""


def data() -> tuple[Any, ...]:
    """The lectures' sample: 20 observations of exp(x_0 - x_1), and 20 to test."""
    import numpy as np

    rng = np.random.default_rng(1234)
    x, fresh = rng.uniform(size=(2, 20, 5)).astype(np.float32)
    noise = SIGMA * rng.normal(size=(2, 20)).astype(np.float32)
    f, f_fresh = (np.exp(one[:, 0] - one[:, 1]) for one in (x, fresh))
    return x, f + noise[0], fresh, f_fresh + noise[1], f_fresh


def lectures(sample: tuple[Any, ...], simulations: int) -> float:
    """The loop of the lectures; the mean test loss of the last epoch."""
    import joblib
    import numpy as np
    import torch
    from torch import nn

    x, y, fresh, y_fresh, f_fresh = (torch.as_tensor(part) for part in sample)
    y, y_fresh, f_fresh = y[:, None], y_fresh[:, None], f_fresh[:, None]
    loss_fn = nn.MSELoss()

    def one(width: int) -> tuple[Any, Any]:
        net = nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, 1))
        optimizer = torch.optim.Adam(net.parameters(), lr=LR)
        losses, errors = np.zeros(EPOCHS), np.zeros(EPOCHS)
        for epoch in range(EPOCHS):
            loss = loss_fn(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[epoch] = loss_fn(net(fresh), y_fresh).item()
            errors[epoch] = loss_fn(net(fresh), f_fresh).item()
            net.zero_grad()
        return losses, errors

    torch.set_num_threads(1)
    ends = []
    for width in range(1, WIDTHS + 1):
        pairs = joblib.Parallel(n_jobs=1)(joblib.delayed(one)(width) for _ in range(simulations))
        ends += [losses[-1] for losses, _ in pairs]
    return float(np.mean(ends))


def ours(sample: tuple[Any, ...], simulations: int) -> float:
    """The same by one call of th.fit_many; the mean test loss of the last epoch."""
    import numpy as np

    import thetahat as th
    from benchmarks.lab.net import net_of

    widths = [float(width) for width in range(1, WIDTHS + 1)]
    configs = th.lab.grid(width=widths, seed=range(simulations))
    fits = th.fit_many(net_of(sample, WIDTHS, EPOCHS, LR), configs)
    errors = th.lab.columns(fits, "error_f")
    assert errors.shape == (WIDTHS * simulations, EPOCHS)
    return float(np.mean(th.lab.columns(fits, "val_risk")[:, -1]))


def experiment(sample: tuple[Any, ...], simulations: int) -> float:
    """The lab's own experiment."""
    from thetahat.lab.experiments import double_descent

    return float(
        double_descent.measure(WIDTHS, simulations, EPOCHS, SIGMA, LR)["test_loss"][:, -1].mean()
    )


def measure(rounds: int, simulations: int) -> dict[str, Any]:
    """CPU seconds and mean test loss of every way."""
    sample = data()
    ways: dict[str, Callable[[tuple[Any, ...], int], float]] = {
        "the lectures' loop": lectures,
        "thetahat, compiled": ours,
        "the lab's experiment": experiment,
    }

    def timed(way: Callable[[tuple[Any, ...], int], float]) -> tuple[float, float]:
        began = time.process_time()
        loss = way(sample, simulations)
        return time.process_time() - began, loss

    import benchmarks.lab.net  # noqa: F401  (imports are no part of any time)

    lectures(sample, 1)
    taken: dict[str, list[tuple[float, float]]] = {"thetahat, cold": [timed(ours)]}
    experiment(sample, simulations)
    taken |= {name: [] for name in ways}
    for k in range(rounds):
        for name, way in ways.items():
            if way is not lectures or k % 3 == 0:  # it takes half a minute
                taken[name].append(timed(way))
    return {
        "question": __doc__.splitlines()[0],  # pyright: ignore[reportOptionalMemberAccess]
        "fits": WIDTHS * simulations,
        "epochs": EPOCHS,
        "cpu_s": {name: [cpu for cpu, _ in pairs] for name, pairs in taken.items()},
        "test_loss": {name: pairs[-1][1] for name, pairs in taken.items()},
        "facts": machine.facts(PACKAGES),
    }


def markdown(answer: dict[str, Any]) -> str:
    """The whole page."""
    peer = statistics.median(answer["cpu_s"]["the lectures' loop"])
    page = [f"# {answer['question']}", "", *machine.said(answer["facts"]), ""]
    page += [f"{answer['fits']:,} fits of {answer['epochs']} epochs, both errors:", ""]
    page += ["| loop | CPU s | times less | goal | mean test loss |", "|---|---|---|---|---|"]
    for name, taken in answer["cpu_s"].items():
        cpu = statistics.median(taken)
        goal = GOAL.get(name, "")
        loss = answer["test_loss"][name]
        page.append(f"| {name} | {cpu:.2f} | {peer / cpu:.1f} | {goal} | {loss:.3f} |")
    page += [
        "",
        "Medians. The initial parameters are other draws of the same distribution, so that the mean"
        " test losses agree up to their spread; the lab's experiment averages over samples too.",
    ]
    return "\n".join(page) + "\n"


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lab",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--smoke", action="store_true", help="one round of three simulations")
    parser.add_argument("--write", action="store_true", help="benchmarks/results/lab-<date>.*")
    asked = parser.parse_args()
    machine.pin()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["THETAHAT_CACHE"] = folder
        answer = measure(*((1, 3) if asked.smoke else (ROUNDS, SIMULATIONS)))
    page = markdown(answer)
    print(page)
    if asked.write:
        machine.write_results("lab", answer["facts"], page, answer)


if __name__ == "__main__":
    main()
