"""Does the PyTorch backend train on this device as it does on a CPU, and how fast?

    risks    of each problem in float64 and float32 (without TF32), beside those of the CPU
    resume   half a fit, then the other half: bit for bit the whole fit, with dropout, a scheduler
             and shuffled batches, by kernels that give the same bits twice
    best     the best epoch's risk from the parameters that the result holds, on the module's device
    files    a saved and a pickled model predict the same in a process that sees no GPU
    cohort   eight seeds as one program, beside the same fits alone
    random   PyTorch's random numbers of the user, which no fit changes
    seconds  an epoch, beside a loop that is written by hand on the same device

The device is "cuda" where PyTorch has one, else the CPU:

    python -m benchmarks.gpu.torch_native [--device cpu] [--json]

Exit code 1: a comparison failed. Nothing that was timed fails.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # or JAX takes the GPU's memory
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # the same bits twice

import torch
from torch import nn

import thetahat as th
from benchmarks import machine

EPOCHS = 10
TOLERANCE = {"float64": 1e-7, "float32": 1e-2}
"""Largest relative difference of a risk from a CPU's: rounding that training has amplified."""
MEMBER_TOLERANCE = 1e-2
BATCH = 32
SEEDS = 8
NAMES = ("MLP", "convolution", "GRU")
NO_GPU = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}


class LastState(nn.Module):
    """A GRU whose last state is the input of a linear layer."""

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.gru, self.drop = nn.GRU(3, 16, batch_first=True), nn.Dropout(drop)
        self.out = nn.Linear(16, 1)

    def forward(self, x: Any) -> Any:
        return self.out(self.drop(self.gru(x)[0][:, -1]))


def net(name: str, drop: float = 0.0) -> Any:
    """The module of a problem."""
    if name == "MLP":
        middle = [nn.Linear(128, 128), nn.ReLU(), nn.Dropout(drop)]
        return nn.Sequential(nn.Linear(2, 128), nn.ReLU(), *middle, nn.Linear(128, 1))
    if name == "convolution":
        features = [nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*features, nn.Flatten(), nn.Dropout(drop), nn.Linear(72, 3))
    return LastState(drop)


def observations(name: str) -> tuple[np.ndarray, np.ndarray]:
    """x and y of 768 observations."""
    rng = np.random.default_rng(0)
    shape = {"MLP": (2,), "convolution": (1, 8, 8), "GRU": (12, 3)}[name]
    x = rng.normal(size=(768, *shape)).astype(np.float32)
    if name == "convolution":
        scores = np.stack([x[:, 0, :4].sum((1, 2)), x[:, 0, 4:].sum((1, 2)), 2 * x[:, 0, 2, 2]], 1)
        return x, scores.argmax(1)
    y = x @ [1.0, -0.5] if name == "MLP" else np.cumsum(x[..., 0], 1)[:, -3:].mean(1)
    return x, (y + 0.1 * rng.normal(size=len(x))).astype(np.float32)


def data(name: str) -> th.Data:
    """512 observations to train on, 256 to validate."""
    x, y = observations(name)
    return th.Data((x[:512], y[:512]), (x[512:], y[512:]))


def stepped(params: Any) -> Any:
    """Adam, at a rate that falls every third epoch."""
    optimizer = torch.optim.Adam(params, lr=0.01)
    return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.7)


def experiment(name: str, device: str, **fields: Any) -> Callable[..., th.Task]:
    """A problem as an experiment."""
    held, drop = data(name), fields.pop("drop", 0.0)
    loss = "cross_entropy" if name == "convolution" else "squared"
    given = {"loss": loss, "optimizer": stepped, "batch_size": BATCH, "backend": "torch", **fields}

    def fit_net(seed: th.Seed = 0, epochs: int = EPOCHS) -> th.Task:
        model = lambda: net(name, drop).to(device)  # noqa: E731
        return th.Task(model, held, seed=seed, epochs=epochs, **given)

    return fit_net


def by_hand(name: str, device: str) -> Callable[[int], None]:
    """A loop over batches that are indexed on the device, with both risks of every epoch."""
    x, y = (torch.as_tensor(a).to(device) for a in observations(name))
    y = y if name == "convolution" else y[:, None]
    loss_of = nn.CrossEntropyLoss() if name == "convolution" else nn.MSELoss()
    x_val, y_val, x, y = x[512:], y[512:], x[:512], y[:512]

    def loop(epochs: int) -> None:
        torch.manual_seed(0)
        model = net(name).to(device)
        optimizer, scheduler = stepped(model.parameters())
        for _ in range(epochs):
            model.train()
            total = torch.zeros((), device=device)
            for rows in torch.randperm(len(x), device=device).split(BATCH):
                optimizer.zero_grad()
                loss = loss_of(model(x[rows]), y[rows])
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(rows)
            scheduler.step()
            model.eval()
            with torch.no_grad():
                _ = total.item() / len(x), loss_of(model(x_val), y_val).item()

    return loop


def seconds(name: str, device: str, rounds: int = 2) -> tuple[float, float]:
    """Median seconds of an epoch: ours, by hand."""
    fit_net, loop = experiment(name, device), by_hand(name, device)
    ways: tuple[Callable[[int], Any], ...] = (lambda n: th.fit(fit_net, epochs=n), loop)
    took: tuple[list[float], ...] = ([], [])
    for k in range(rounds + 1):
        for way, times in zip(ways, took, strict=True):
            start = time.perf_counter()
            way(EPOCHS)
            if k:
                times.append((time.perf_counter() - start) / EPOCHS)
    return statistics.median(took[0]), statistics.median(took[1])


def apart(one: Any, other: Any) -> float:
    """The largest relative difference of two curves."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    return float(np.max(np.abs(one - other) / np.abs(other)))


def from_a_cpu(name: str, device: str) -> dict[str, float]:
    """Differences of both risks from those of the CPU, by precision."""
    found = {}
    for dtype in TOLERANCE:
        here, there = (th.fit(experiment(name, on, dtype=dtype)) for on in (device, "cpu"))
        columns = ("train_risk", "val_risk")
        found[dtype] = max(apart(here.history[c], there.history[c]) for c in columns)
    return found


def bits(result: Any) -> list[bytes]:
    """Curves and parameters of a fit."""
    curves = [np.asarray(result.history[c]) for c in ("train_risk", "val_risk", "learning_rate")]
    return [a.tobytes() for a in (*curves, *result.params.values())]


def resumed(name: str, device: str, folder: Path) -> dict[str, bool]:
    """Whether a fit gives the same bits again, and whether two halves do."""
    fit_net, path = experiment(name, device, drop=0.3), folder / f"{name}.ckpt"
    whole = th.fit(fit_net, epochs=2 * EPOCHS)
    again = th.fit(fit_net, epochs=2 * EPOCHS)
    th.fit(fit_net, epochs=EPOCHS, checkpoint=path)
    torch.manual_seed(99)
    halves = th.fit(fit_net, epochs=2 * EPOCHS, checkpoint=path, resume=True)
    return {"repeat": bits(whole) == bits(again), "halves": bits(whole) == bits(halves)}


def best(name: str, device: str) -> dict[str, bool]:
    """Whether the result holds the best epoch's state, apart from the last one's."""
    rate = 0.05 if name == "MLP" else 0.3
    wild = lambda params: torch.optim.SGD(params, lr=rate, momentum=0.9)  # noqa: E731
    result = th.fit(experiment(name, device, optimizer=wild), epochs=30)
    lowest = float(np.min(result.history["val_risk"]))
    module, x = result.model, torch.as_tensor(data(name).val[0]).to(device)
    with torch.no_grad():
        out = module(x).cpu().numpy()
    out = out if name == "convolution" else out[:, 0]
    where = {t.device.type for t in (*module.parameters(), *module.buffers())}
    return {
        "an epoch before the last": 0 < result.best_epoch < len(result.history["val_risk"]),
        "its risk": apart([result.risk["val"]], [lowest]) < 1e-5,
        "its module": bool(np.isfinite(out).all())
        and apart([_risk(name, out, data(name).val[1])], [lowest]) < TOLERANCE["float32"],
        "device": where == {torch.device(device).type},
    }


def _risk(name: str, out: np.ndarray, y: np.ndarray) -> float:
    if name != "convolution":
        return float(np.mean((out - y) ** 2))
    top = out.max(1, keepdims=True)
    logs = out - top - np.log(np.exp(out - top).sum(1, keepdims=True))
    return float(-np.mean(logs[np.arange(len(y)), y]))


def files(device: str, folder: Path) -> dict[str, float]:
    """Differences of predictions in a process that sees no GPU, by problem."""
    found = {}
    for name in NAMES:
        result = th.fit(experiment(name, device))
        result.save(folder / f"{name}.theta")
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(result))
        np.save(folder / f"{name}.npy", scores(result.model, name))
    code = f"from benchmarks.gpu import _torch; _torch.load({str(folder)!r})"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=root,
        env={**os.environ, **NO_GPU},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return dict.fromkeys(NAMES, float("nan")) | {done.stderr.strip()[-600:]: float("nan")}
    for name in NAMES:
        here = np.load(folder / f"{name}.npy")
        for kind in ("theta", "pickle"):
            there = np.load(folder / f"{name}.{kind}.npy")
            found[f"{name}, {kind}"] = float(np.max(np.abs(here - there)) / np.max(np.abs(here)))
    return found


def scores(module: Any, name: str) -> np.ndarray:
    """The outputs of a module at the validation part."""
    like = next(module.parameters())
    with torch.no_grad():
        return module(torch.as_tensor(data(name).val[0]).to(like)).cpu().numpy()


def load(folder: str) -> None:
    """Load what ``files`` saved, on a CPU, and save the outputs."""
    assert not torch.cuda.is_available()
    for name in NAMES:
        path = Path(folder) / name
        saved: Any = th.load(path.with_suffix(".theta"), experiment(name, "cpu"))
        np.save(path.with_suffix(".theta.npy"), scores(saved.model, name))
        pickled = pickle.loads(path.with_suffix(".pickle").read_bytes())
        np.save(path.with_suffix(".pickle.npy"), scores(pickled.model, name))


def cohort(device: str) -> dict[str, Any]:
    """Eight seeds of the MLP as one program, beside the same fits alone."""
    fit_net = experiment("MLP", device, optimizer=lambda p: torch.optim.Adam(p, lr=0.003))
    configs: list[dict[str, Any]] = [{"seed": seed} for seed in range(SEEDS)]
    start = time.perf_counter()
    many = th.fit_many(fit_net, configs, mode="vmap")
    took = time.perf_counter() - start
    start = time.perf_counter()
    alone = [th.fit(fit_net, **config) for config in configs]
    pairs = zip(many, alone, strict=True)
    return {
        "mode": many[0].mode,
        "apart": max(apart(m.history["val_risk"], a.history["val_risk"]) for m, a in pairs),
        "cohort_s": took,
        "alone_s": time.perf_counter() - start,
    }


def generators() -> list[bytes]:
    """The states of the user's generators."""
    found = [torch.get_rng_state()]
    found += torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return [state.numpy().tobytes() for state in found]


def random_numbers(device: str) -> bool:
    """Whether the user's random numbers go on as if no fit had run."""
    torch.manual_seed(5)
    before = generators()
    for on in {device, "cpu"}:
        th.fit(experiment("GRU", on, drop=0.3), epochs=2)
        th.fit_many(experiment("MLP", on, drop=0.3), [{"seed": s, "epochs": 2} for s in (1, 2)])
    return before == generators()


def measure(device: str) -> dict[str, Any]:
    """All numbers."""
    rows: dict[str, Any] = {}
    kept = random_numbers(device)
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        for name in NAMES:
            ours, hand = seconds(name, device)
            rows[name] = {"ours_s": ours, "by_hand_s": hand}
        torch.backends.cudnn.allow_tf32 = False
        for name, row in rows.items():
            row |= {"apart": from_a_cpu(name, device), "best": best(name, device)}
        torch.backends.cudnn.deterministic = True
        for name in NAMES:
            rows[name]["resume"] = resumed(name, device, folder)
        torch.backends.cudnn.deterministic = False
        loaded = files(device, folder)
    on = torch.cuda.get_device_name() if device == "cuda" else device
    return {
        "question": (__doc__ or "").splitlines()[0],
        "device": on,
        "problems": rows,
        "files": loaded,
        "cohort": cohort(device),
        "random_numbers_kept": kept,
        "facts": {
            **machine.facts(("thetahat", "torch", "jax", "numpy")),
            "command": " ".join(["python", "-m", "benchmarks.gpu.torch_native", *sys.argv[1:]]),
        },
    }


def failures(answer: dict[str, Any]) -> list[str]:
    """Every comparison that did not hold."""
    found = []
    for name, row in answer["problems"].items():
        for dtype, difference in row["apart"].items():
            if not difference <= TOLERANCE[dtype]:
                found.append(f"{name}, {dtype}: {difference:.2g} from a CPU's risks")
        for what, held in row["best"].items():
            if not held:
                found.append(f"{name}, best state: {what}")
        if not row["resume"]["halves"]:
            repeat = "the same" if row["resume"]["repeat"] else "other"
            found.append(f"{name}, resume: other bits (the whole fit again: {repeat} bits)")
    for what, difference in answer["files"].items():
        if not difference <= TOLERANCE["float32"]:
            found.append(f"saved model, {what}: {difference:.2g} from the fitted one")
    if answer["cohort"]["mode"] != "vmap" or not answer["cohort"]["apart"] <= MEMBER_TOLERANCE:
        found.append(f"cohort: {answer['cohort']}")
    if not answer["random_numbers_kept"]:
        found.append("the user's random numbers have changed")
    return found


def table(answer: dict[str, Any]) -> list[str]:
    """The numbers as lines of Markdown."""
    page = [f"PyTorch {torch.__version__} on {answer['device']}:", ""]
    page += ["| problem | ms an epoch | by hand, ms | float64, from a CPU | float32 | resume |"]
    page += ["|---|---|---|---|---|---|"]
    for name, row in answer["problems"].items():
        times = f"{1e3 * row['ours_s']:.3g} | {1e3 * row['by_hand_s']:.3g}"
        off = " | ".join(f"{row['apart'][dtype]:.1g}" for dtype in TOLERANCE)
        halves = "the same bits" if row["resume"]["halves"] else "DIFFERS"
        page.append(f"| {name} | {times} | {off} | {halves} |")
    many, worst = answer["cohort"], max(answer["files"].values())
    return [
        *page,
        "",
        f"- {SEEDS} seeds of the MLP: {many['cohort_s']:.2g} s as one program,"
        f" {many['alone_s']:.2g} s one by one, {many['apart']:.1g} apart",
        f"- saved and pickled models on a CPU: {worst:.1g} from the fitted ones",
        f"- the user's random numbers: {'kept' if answer['random_numbers_kept'] else 'CHANGED'}",
    ]


def markdown(answer: dict[str, Any]) -> str:
    """The whole page."""
    facts = [line for line in machine.said(answer["facts"]) if not line.startswith("- pinned")]
    page = [f"# {answer['question']}", "", *facts, "", *table(answer), ""]
    page += [f"FAILED: {failure}" for failure in failures(answer)]
    return "\n".join(page).rstrip() + "\n"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.torch_native",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=default, help=f"{default} where it is left out")
    parser.add_argument("--json", action="store_true", help="one line of JSON in place of the page")
    asked = parser.parse_args()
    answer = measure(asked.device)
    if asked.json:
        print(json.dumps({**answer, "page": table(answer), "failures": failures(answer)}))
    else:
        print(markdown(answer))
    return 1 if failures(answer) else 0
