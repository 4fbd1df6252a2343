"""Fitting a table: the experiment behind ``thetahat fit``, and its result in units of y."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import thetahat as th
from thetahat.core import ConfigError, Seed, Static, Task

if TYPE_CHECKING:
    from thetahat.data import Data, Table
    from thetahat.train import Result

NO_RATE = ("lbfgs", "gauss_newton", "lm", "levenberg_marquardt")
"""Optimizers that choose their own steps."""
PARTS = ("train", "val", "test")
_READING = (
    "target", "features", "weights", "categorical", "missing", "ignore", "na_values", "thousands",
    "decimal", "not_missing",
)  # fmt: skip
_SPLITTING = (*PARTS, "split_seed", "groups", "order", "stratify")


def fit_table(
    table: str,
    target: str,
    features: list[str] | None = None,
    weights: str | None = None,
    categorical: list[str] | None = None,
    missing: str = "refuse",
    ignore: list[str] | None = None,
    na_values: list[str] | None = None,
    thousands: str | None = None,
    decimal: str = ".",
    not_missing: list[str] | None = None,
    model: str = "mlp",
    width: int = 64,
    depth: int = 2,
    activation: str = "relu",
    degree: int = 3,
    basis: str = "monomial",
    optimizer: str = "adam",
    lr: float = 1e-2,
    weight_decay: Static[float] = 0.0,
    loss: str = "squared",
    tau: Static[float] = 0.5,
    epochs: int = 500,
    batch_size: int | None = None,
    patience: int | None = None,
    train: float | int = 0.7,
    val: float | int = 0.15,
    test: float | int = 0.15,
    split_seed: int = 0,
    groups: str | None = None,
    order: str | None = None,
    stratify: str | None = None,
    seed: Seed = 0,
    dtype: str = "float32",
    members: int = 1,
    member: Seed = 0,
) -> Task:
    """Fit a table's target from its features; of a bag, one member."""
    config = dict(locals())
    data = read_data(config)
    data = th.data.robust(data) if model == "net" else data
    n = len(data.train.x)
    method, penalty = _optimizer(optimizer, lr, weight_decay, epochs * -(-n // (batch_size or n)))
    task = Task(
        model=_model(config, data),
        data=data,
        loss=th.risk.pinball(tau) if loss == "pinball" else loss,
        penalty=penalty,
        optimizer=method,
        epochs=epochs,
        batch_size=batch_size,
        # Every seed has its own order of batches: a spread over seeds is that of separate fits.
        sampling="shuffle" if batch_size is None else th.Shuffle(seed=seed),
        stopping=() if patience is None else (th.Patience(patience),),
        seed=seed,
        dtype=dtype,
    )
    return task if members == 1 else th.train.rotated(task, member, members)


def _model(config: Mapping[str, Any], data: Data) -> Any:
    """Give the model of these flags; a polynomial has one feature and one output."""
    model, loss, target = (config[k] for k in ("model", "loss", "target"))
    needs = th.risk.resolve_loss(loss).needs
    names, targets = data.transform.encoder.names, data.transform.encoder.targets
    out = len(data.classes or ()) if needs is th.risk.CLASSES else len(targets) or "scalar"
    if model == "polynomial" and len(names) != 1:
        raise ConfigError(
            f"--model polynomial takes one feature; got {len(names)} ({', '.join(names)}); choose"
            " one with --features, or take --model mlp"
        )
    if model == "polynomial" and out != "scalar":
        what = "columns" if targets else "classes"
        raise ConfigError(
            f"--model polynomial has one output, and --target {target} {out} {what}; take --model"
            " mlp or linear"
        )
    d = data.train.x.shape[1]
    layers = {k: config[k] for k in ("width", "depth", "activation")}
    return {
        "net": lambda: th.models.TabularMLP(d, **layers, out=out),
        "mlp": lambda: th.models.MLP(d, **layers, out=out),
        "linear": lambda: th.models.Linear(d, out=out),
        "polynomial": lambda: th.models.Polynomial(config["degree"], config["basis"]),
    }[model]()


def _optimizer(name: str, lr: float, weight_decay: float, steps: int) -> tuple[Any, Any]:
    """Give the optimizer with its own decay, or else a ridge penalty; never both."""
    if name == "tabular":
        return th.optim.tabular(steps, lr, weight_decay), None
    rate = {} if name in NO_RATE else {"lr": lr}
    if th.optim.own_decay(name) is not None:
        return th.optim.named(name, **rate, weight_decay=weight_decay), None
    penalty = th.risk.ridge(weight_decay, skip="bias") if weight_decay else None
    return th.optim.named(name, **rate), penalty


def read_data(config: Mapping[str, Any]) -> Data:
    """Split a table, standardised by its training part."""
    return _split(read(config), tuple((name, config[name]) for name in _SPLITTING))


@functools.lru_cache(maxsize=2)
def _split(table: Table, given: tuple[tuple[str, Any], ...]) -> Data:
    options = dict(given)
    return th.split(table, seed=options.pop("split_seed"), **options)


def read(config: Mapping[str, Any]) -> Table:
    """Read the table of a config; once, however often the experiment is called."""
    path, stamp = str(config["table"]), ()
    if Path(path).is_file():
        at = os.stat(path)
        stamp = (os.path.abspath(path), at.st_size, at.st_mtime_ns, at.st_ctime_ns)
    given = {name: config[name] for name in _READING}
    if given["features"] is None:
        names = [n for n in (config["groups"], config["order"]) if n and n != given["target"]]
        rules = [n for n in names if n in th.data.table_names(path)]
        given["ignore"] = [*(given["ignore"] or ()), *rules]
    fixed = ((k, tuple(v) if isinstance(v, list) else v) for k, v in given.items())
    return _read(path, stamp, tuple(fixed))


@functools.lru_cache(maxsize=2)
def _read(path: str, stamp: tuple[Any, ...], given: tuple[tuple[str, Any], ...]) -> Table:
    del stamp  # a changed file is read again
    options: dict[str, Any] = {k: list(v) if isinstance(v, tuple) else v for k, v in given}
    return th.read_table(path, targets_named(path, options.pop("target")), **options)


def targets_named(table: str, target: str) -> str | list[str]:
    """Return the column of that name, or the columns that it lists with commas."""
    if "," not in target or target in th.data.table_names(table):
        return target
    return [name.strip() for name in target.split(",")]


@dataclass(frozen=True)
class Goodness:
    """One estimate of y over the parts of a table, in units of y."""

    mse: Mapping[str, float]
    r2: Mapping[str, float]
    accuracy: Mapping[str, float] = field(default_factory=dict)
    """Of classes, which have no MSE and no R^2."""


def in_units(loss: str) -> bool:
    """Tell whether predictions are in units of y; under a loss of a prediction they may be a log
    of it, say, so that they have no MSE and no R^2."""
    return th.risk.resolve_loss(loss).of == th.risk.RESIDUAL


def goodness(errors: Mapping[str, float], data: Data) -> Goodness:
    """Compute MSE in units of y, and R^2, by part; ``errors`` are MSE of the standardised y.

    R^2 = 1 - MSE / variance of the part's y about its own mean, all weighted.
    """
    scale = float(data.transform.y_std)
    mse, r2 = {}, {}
    for name, error in errors.items():
        y, w = outcome(data, name)
        around = float(np.average((y - np.average(y, weights=w)) ** 2, weights=w))
        mse[name] = error * scale**2
        r2[name] = 1 - error / around if np.ptp(y) > 0 and around > 0 else float("nan")
    return Goodness(mse, r2)


def net_goodness(result: Result, table: Table) -> Goodness:
    """Compute how well a result fits each part, in units of y."""
    if result.task.loss == "squared":
        there = {p: r for p, r in result.risk.items() if getattr(result.data, p) is not None}
        return goodness(there, result.data)
    rows = rows_of(result, table)
    if result.classes is not None:
        proba = result.predict_proba(table.x)
        right = shares_right({name: proba[at] for name, at in rows.items()}, result.data)
        return Goodness({}, {}, right)
    if not in_units(str(result.config["loss"])):
        return Goodness({}, {})
    residual = (result.predict(table.x) - table.y) / float(result.data.transform.y_std)
    errors = {
        name: float(np.average(residual[at] ** 2, weights=outcome(result.data, name)[1]))
        for name, at in rows.items()
    }
    return goodness(errors, result.data)


def shares_right(proba: Mapping[str, np.ndarray], data: Data) -> dict[str, float]:
    """Compute the accuracy of probabilities (N, K), by part, weighted."""
    found = {}
    for part, p in proba.items():
        y, w = outcome(data, part)
        found[part] = float(np.average(p.argmax(1) == y, weights=w))
    return found


def probability(score: np.ndarray) -> np.ndarray:
    """Compute ``1 / (1 + exp(-score))`` without overflow."""
    return np.exp(-np.logaddexp(0, -score))


def rows_of(result: Result, table: Table) -> dict[str, np.ndarray]:
    """Find the rows of a table that each part of a result took; of a bag, train has those of val.

    Returns: positions among the rows that were kept.
    """
    rows = result.data.rows or read_data(result.config).rows
    if result.data.val is None and "val" in rows:
        rows = {**rows, "train": np.concatenate([rows["train"], rows["val"]])}
    there = {name: rows[name] for name in PARTS if getattr(result.data, name) is not None}
    kept = table.rows
    return there if kept is None else {n: np.searchsorted(kept, at) for n, at in there.items()}


def outcome(data: Data, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Give y and the weights of a part; weights of one by default."""
    part = getattr(data, name)
    y = np.asarray(part.y, np.float64)
    return y, np.ones_like(y) if part.weight is None else np.asarray(part.weight, np.float64)
