"""A fit that is only described: what can be known of it before anything is compiled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax

from thetahat import data as th_data
from thetahat.core import Metric, Mode, Task
from thetahat.core.metric import PARTS, directions_of, read_metrics
from thetahat.train._memory import check_possible
from thetahat.train._static import CONCRETE
from thetahat.train.jax import Hyper, stage


def try_out(experiment: Callable[..., Any], config: Mapping[str, Any]) -> None:
    """Make an experiment's Task abstractly, and see that this machine can hold it.

    Nothing is compiled. Where Python has to know what is drawn, nothing is seen either.

    Raises:  InputError: there is no such Task, or no memory for it.
    """
    with contextlib.suppress(*CONCRETE):
        check_possible(stage(lambda _: experiment(**config), Hyper({}, {})))


@dataclass(frozen=True)
class Outline:
    """What a Task says of itself: its metrics, what can be watched, and for how long it trains.

    Args:    directions: of every column that a run has, in its records or at its end.
    """

    metrics: Mapping[str, Metric]
    directions: Mapping[str, Mode | None]
    epochs: int


def outline_of(experiment: Callable[..., Any], config: Mapping[str, Any]) -> Outline | None:
    """The outline of an experiment's Task; None where Python has to know what is drawn.

    Nothing is computed or compiled.
    """
    made: list[Task] = []

    def make() -> int:
        task = experiment(**config)
        if isinstance(task, Task):
            made.append(task)
        return 0

    with contextlib.suppress(*CONCRETE):
        jax.eval_shape(make)
    if not made:
        return None
    task = made[0]
    data = task.data if isinstance(task.data, th_data.Data) else th_data.Data(task.data)
    parts = [p for p in PARTS if getattr(data, p) is not None]
    metrics = read_metrics(task.metrics)
    return Outline(metrics, directions_of(metrics, parts), int(task.epochs))
