"""Train the nets of an estimator: rows in one order, one bag, one program."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thetahat import data as th_data, models, optim, risk
from thetahat.core import Notice, Seed, Status, Task
from thetahat.core.table_net import net_sizes
from thetahat.data import Data, Observations, Shuffle, held_out
from thetahat.sklearn._nets import Nets
from thetahat.train import Patience, Result, fit_many, rotated

CROSS_ENTROPY, SHARES = "cross_entropy", "fractional_logit"

SHARED = ((32, 32), (64, 32), (128, 32), (384, 128))
"""Rows (train, val) of the programs that tables of fewer rows share."""
ROOM = 2_000_000
"""Rows that are added times parameters, up to which they share one: less than a second of a fit
with the defaults, where another program takes several to compile."""


@dataclass(frozen=True)
class NetSetting:
    """How to fit.

    Args:    loss: "squared", "absolute", "huber", "quantile", "logistic", "fractional_logit" or
             "cross_entropy".
             level: of "quantile" and "huber".   outputs: of the net.   robust: how x is scaled.
             val: the share of rows that each net holds out.
    """

    loss: str
    level: float
    outputs: int
    members: int
    width: int
    depth: int
    activation: str
    robust: bool
    lr: float
    weight_decay: float
    epochs: int | None
    batch_size: int | None
    patience: int | None
    val: float
    seed: int
    dtype: str

    @property
    def scores(self) -> bool:
        """Whether the outputs are scores of probabilities, and the target has no unit."""
        return self.loss in ("logistic", SHARES, CROSS_ENTROPY)


@dataclass(frozen=True, eq=False)
class TrainedNets:
    """Nets with how their training went.

    Args:    nets: those of finite risk; None where there are none.
             held: which rows each of them held out, (K, n), in the order that was given; none holds
             out a row whose weight is zero.   lost: why nets of the bag are left out.
    """

    nets: Nets | None
    held: np.ndarray
    results: Sequence[Result]
    lost: Sequence[str]


def merged(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sort the rows and merge equal ones: their weights add up, and rows of weight 0 go.

    A weight of 2 is then exactly two rows, and the order of rows changes nothing.

    Returns: x, y and weights of mean 1 (also where all are alike: one program for both); and of
             each given row its place among these, -1 for a weight of 0.
    """
    at, place = np.arange(len(x)), np.full(len(x), -1)
    if weight is not None:
        at = np.flatnonzero(weight > 0)
        x, y, weight = x[at], y[at], weight[at]
    whole = np.column_stack([x, y]) + 0.0  # no -0
    _, first, inverse = np.unique(whole, axis=0, return_index=True, return_inverse=True)
    place[at] = inverse = inverse.reshape(-1)
    total = np.bincount(inverse, weight)
    return x[first], y[first], total / total.mean(), place


def train(
    x: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray | None,
    setting: NetSetting,
    before: Nets | None = None,
) -> TrainedNets:
    """Train a bag of nets.

    Args:    x: (n, d).   y: (n,) or (n, k); classes are 0..k-1.   weight: (n,) or None.
             before: nets to start from.
    """
    x, y, weight, place = merged(x, y, weight)
    if setting.loss == CROSS_ENTROPY:
        y = y.astype(np.int32)
    data = th_data.split(
        Observations(x, y, weight),
        train=1 - setting.val,
        val=setting.val,
        test=0,
        seed=setting.seed,
        standardize=True,
        target_scale=not setting.scores,
    )
    data = th_data.robust(data) if setting.robust else data
    if before is not None:
        data = _in_units_of(data, before)
    experiment, shared = _experiment(data, setting, before)
    with warnings.catch_warnings():
        # Of a class that a net's training rows lack: the other nets of the bag have it.
        warnings.simplefilter("ignore", Notice)
        configs = [{"member": k, **shared} for k in range(setting.members)]
        results = fit_many(experiment, configs, mode="vmap")
    if any(result.status is Status.INTERRUPTED for result in results):
        raise KeyboardInterrupt
    good = [k for k, one in enumerate(results) if np.isfinite(one.risk.get("train", np.nan))]
    rows = np.concatenate([data.rows[name] for name in ("train", "val") if name in data.rows])
    held = np.zeros((setting.members, len(x) + 1), bool)
    held[:, rows] = held_out(data, setting.members)
    return TrainedNets(
        nets=_nets([results[k] for k in good], data, setting) if good else None,
        held=held[:, place][good],
        results=results,
        lost=[results[k].reason for k in range(setting.members) if k not in good],
    )


def _in_units_of(data: Data, before: Nets) -> Data:
    """Scale data as those that nets were fitted to."""
    names = ("x_mean", "x_std", "y_mean", "y_std")
    fitted = replace(data.transform, **{name: getattr(before, name) for name in names})
    return th_data.in_units_of(data, fitted)


def _experiment(
    data: Data, setting: NetSetting, before: Nets | None
) -> tuple[Callable[..., Task], dict[str, float]]:
    """The experiment whose members are the nets, and the parameters that they share.

    Numbers are traced, so that other rates, levels and lengths train by the same program.
    """
    n, d = data.train.x.shape
    sizes = net_sizes(
        n,
        batch_size=setting.batch_size,
        epochs=setting.epochs,
        patience=setting.patience,
    )
    out: Any = "scalar" if setting.outputs == 1 and data.train.y.ndim == 1 else setting.outputs
    layers = {"width": setting.width, "depth": setting.depth, "activation": setting.activation}
    net = models.TabularMLP(d, **layers, out=out)
    data = _sharing(data, net.n_params)
    stopping = (Patience(sizes.patience),) if data.val is not None else ()

    def experiment(
        member: Seed = 0,
        seed: Seed = 0,
        lr: float = 0.0,
        weight_decay: float = 0.0,
        steps: float = 1.0,
        level: float = 0.5,
    ) -> Task:
        task = Task(
            model=net if before is None else models.begun(net, _params(before), member),
            data=data,
            loss=_loss(setting.loss, level),
            optimizer=optim.tabular(steps, lr, weight_decay),
            epochs=sizes.epochs,
            batch_size=None if sizes.batch_size >= n else sizes.batch_size,  # all rows: any n
            sampling=Shuffle(seed=setting.seed),  # known to Python, so that nets share the order
            stopping=stopping,
            seed=seed,
            dtype=setting.dtype,
        )
        return rotated(task, member, setting.members)

    # What is no data and no traced number: fits of equal text need not be traced to be compared.
    mathematics = (net, setting.loss, sizes.patience, stopping, before is None, setting.members)
    experiment.mathematics = repr((*mathematics, setting.dtype))  # pyright: ignore
    given = {"lr": setting.lr, "weight_decay": setting.weight_decay, "level": setting.level}
    return experiment, {"seed": setting.seed, "steps": float(sizes.steps), **given}


def _sharing(data: Data, n_params: int) -> Data:
    """Let a small table train by the program of larger ones, where that costs little."""
    n, val = len(data.train.x), 0 if data.val is None else len(data.val.x)
    for rows, held in SHARED:
        more = 3 * (rows - n) + held - val
        if n <= rows and val <= held and more * n_params <= ROOM:
            return data.changed(largest={"train": rows, "val": held})
    return data


def task_of(data: Data, setting: NetSetting, seed: Any) -> Task:
    """Describe one net for data that are scaled already."""
    n, d = data.train.x.shape
    sizes = net_sizes(
        n, batch_size=setting.batch_size, epochs=setting.epochs, patience=setting.patience
    )
    return Task(
        models.TabularMLP(
            d, width=setting.width, depth=setting.depth, activation=setting.activation
        ),
        data,
        loss=_loss(setting.loss, setting.level),
        optimizer=optim.tabular(sizes.steps, setting.lr, setting.weight_decay),
        epochs=sizes.epochs,
        batch_size=sizes.batch_size,
        stopping=(Patience(sizes.patience),) if data.val is not None else (),
        seed=seed,
        dtype=setting.dtype,
    )


def _loss(name: str, level: Any) -> Any:
    if name == "quantile":
        return risk.pinball(level)
    if name == SHARES:
        return risk.fractional_logit
    return risk.huber(level) if name == "huber" else name


def _params(nets: Nets) -> dict[str, Any]:
    """The parameters of nets, as ``TabularMLP`` has them, with a leading axis of nets."""
    layers = zip(nets.kernels, nets.biases, strict=True)
    return {"scale": nets.scale, "layers": [{"kernel": k, "bias": b} for k, b in layers]}


def _nets(results: Sequence[Result], data: Data, setting: NetSetting) -> Nets:
    """The nets at their best states, in double precision."""
    each = [result.params for result in results]

    def stacked(of: Callable[[Any], Any]) -> np.ndarray:
        return np.stack([np.asarray(of(params), np.float64) for params in each])

    depth = range(setting.depth + 1)
    transform = data.transform.of_scores() if setting.scores else data.transform
    return Nets(
        scale=stacked(lambda params: params["scale"]),
        kernels=tuple(stacked(lambda p, n=n: p["layers"][n]["kernel"]) for n in depth),
        biases=tuple(stacked(lambda p, n=n: p["layers"][n]["bias"]) for n in depth),
        x_mean=np.asarray(transform.x_mean, np.float64),
        x_std=np.asarray(transform.x_std, np.float64),
        y_mean=np.asarray(transform.y_mean, np.float64),
        y_std=np.asarray(transform.y_std, np.float64),
        clip=models.CLIP,
        activation=setting.activation,
    )
