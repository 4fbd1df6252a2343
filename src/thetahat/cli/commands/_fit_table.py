"""Fitting a table: the experiment behind ``thetahat fit``, and its result in units of y."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
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


def fit_table(
    table: str,
    target: str,
    features: list[str] | None = None,
    weights: str | None = None,
    categorical: list[str] | None = None,
    missing: str = "refuse",
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
    seed: Seed = 0,
    dtype: str = "float32",
    members: int = 1,
    member: Seed = 0,
) -> Task:
    """Fit a table's target from its features; of a bag, one member."""
    data = read_data(
        table, target, features, weights, categorical, missing, train, val, test, split_seed
    )
    _check_model(model, data, loss, target)
    data = th.data.robust(data) if model == "net" else data
    n, d = data.train.x.shape
    out = len(data.classes or ()) if loss == "cross_entropy" else "scalar"
    layers = {"width": width, "depth": depth, "activation": activation, "out": out}
    hypothesis = {
        "net": lambda: th.models.TabularMLP(d, **layers),
        "mlp": lambda: th.models.MLP(d, **layers),
        "linear": lambda: th.models.Linear(d, out=out),
        "polynomial": lambda: th.models.Polynomial(degree, basis),
    }[model]()
    method, penalty = _optimizer(optimizer, lr, weight_decay, epochs * -(-n // (batch_size or n)))
    task = Task(
        model=hypothesis,
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


def _check_model(model: str, data: Data, loss: str, target: str) -> None:
    """Check that a polynomial has one feature and one output."""
    names = data.transform.encoder.names
    if model == "polynomial" and len(names) != 1:
        raise ConfigError(
            f"--model polynomial takes one feature; got {len(names)} ({', '.join(names)}); choose"
            " one with --features, or take --model mlp"
        )
    if model == "polynomial" and loss == "cross_entropy":
        raise ConfigError(
            f"--model polynomial has one output, and --target {target} {len(data.classes or ())}"
            " classes; take --model mlp or linear"
        )


def _optimizer(name: str, lr: float, weight_decay: float, steps: int) -> tuple[Any, Any]:
    """Give the optimizer with its own decay, or else a ridge penalty; never both."""
    if name == "tabular":
        return th.optim.tabular(steps, lr, weight_decay), None
    rate = {} if name in NO_RATE else {"lr": lr}
    if th.optim.own_decay(name) is not None:
        return th.optim.named(name, **rate, weight_decay=weight_decay), None
    penalty = th.risk.ridge(weight_decay, skip="bias") if weight_decay else None
    return th.optim.named(name, **rate), penalty


def read_data(
    table: str, target: str, features: Sequence[str] | None, weights: str | None,
    categorical: Sequence[str] | None, missing: str, train: Any, val: Any, test: Any, seed: int,
) -> Data:  # fmt: skip
    """Split a table, standardised by its training part."""
    whole = read(table, target, features, weights, categorical, missing)
    return th.split(whole, train=train, val=val, test=test, seed=seed)


def read(
    table: str, target: str, features: Sequence[str] | None, weights: str | None,
    categorical: Sequence[str] | None, missing: str,
) -> Table:  # fmt: skip
    """Read a table; once, however often the experiment is called."""
    stamp: tuple[Any, ...] = ()
    if Path(table).is_file():
        at = os.stat(table)
        stamp = (os.path.abspath(table), at.st_size, at.st_mtime_ns, at.st_ctime_ns)

    def fixed(names: Sequence[str] | None) -> tuple[str, ...] | None:
        return None if names is None else tuple(names)

    return _read(table, stamp, target, fixed(features), weights, fixed(categorical), missing)


@functools.lru_cache(maxsize=2)
def _read(
    table: str, stamp: tuple[Any, ...], target: str, features: tuple[str, ...] | None,
    weights: str | None, categorical: tuple[str, ...] | None, missing: str,
) -> Table:  # fmt: skip
    del stamp  # a changed file is read again
    return th.read_table(
        table,
        target=target,
        features=None if features is None else list(features),
        weights=weights,
        missing=missing,
        categorical=None if categorical is None else list(categorical),
    )


@dataclass(frozen=True)
class Goodness:
    """One estimate of y over the parts of a table, in units of y."""

    mse: Mapping[str, float]
    r2: Mapping[str, float]
    accuracy: Mapping[str, float] = field(default_factory=dict)
    """Of classes, which have no MSE and no R^2."""


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
        r2[name] = 1 - error / around if around > 0 else float("nan")
    return Goodness(mse, r2)


def net_goodness(result: Result, table: Table, seed: int) -> Goodness:
    """Compute how well a result fits each part, in units of y."""
    if result.task.loss == "squared":
        there = {p: r for p, r in result.risk.items() if getattr(result.data, p) is not None}
        return goodness(there, result.data)
    rows = rows_of(result.data, len(table), seed)
    if result.classes is not None:
        proba = result.predict_proba(table.x)
        right = shares_right({name: proba[at] for name, at in rows.items()}, result.data)
        return Goodness({}, {}, right)
    residual = (result.predict(table.x) - table.y) / float(result.data.transform.y_std)
    errors = {
        name: float(np.average(residual[at] ** 2, weights=outcome(result.data, name)[1]))
        for name, at in rows.items()
    }
    return goodness(errors, result.data)


def probability(score: np.ndarray) -> np.ndarray:
    """Compute ``1 / (1 + exp(-score))`` without overflow."""
    return np.exp(-np.logaddexp(0, -score))


def rows_of(data: Data, n: int, seed: int) -> dict[str, np.ndarray]:
    """Find the rows of a table of ``n`` that each part took."""
    from thetahat.data import keys, n_observations, permutation

    there = {name: getattr(data, name) for name in PARTS if getattr(data, name) is not None}
    order = np.asarray(permutation(keys.role_key(seed, keys.SPLIT), n))
    rows, start = {}, 0
    for name, part in there.items():
        size = n_observations(part)
        rows[name] = order[start : start + size]
        start += size
    return rows


def outcome(data: Data, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Give y and the weights of a part; weights of one by default."""
    part = getattr(data, name)
    y = np.asarray(part.y, np.float64)
    return y, np.ones_like(y) if part.weight is None else np.asarray(part.weight, np.float64)
