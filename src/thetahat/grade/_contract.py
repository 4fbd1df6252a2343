"""What a graded program is given and what it hands back.

    train(f, config, tracker) -> dict

is called with small problems. ``RunLog`` is the tracker: it evaluates ``predict`` of each record at
once, so that a later change of the model changes nothing that was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thetahat.core.errors import InputError
from thetahat.grade._steps import StepLog, user_lines

PARTS = ("train", "val", "test")
DETAILED = 2
"""Epochs whose gradients are read; of later ones only their number is known."""
SETTINGS: dict[str, Any] = {
    "project": "grade-7301",
    "seed": 1234,
    "lr": 0.0213,
    "gamma": 2.2,
    "width": 6,
    "depth": 2,
    "epochs": 9,
    "patience": 2,
    "batch_size": 16,
    "n_train": 36,
    "n_val": 51,
    "n_test": 70,
    "noise": 0.5,
}
"""The first config. 36 rows are batches of 16, 16 and 4; the rate grows, so that the best epoch is
not the last; val and test have other numbers of batches than train."""


@dataclass(frozen=True)
class Record:
    """One call of ``tracker.log``.

    Args:
        numbers: what was logged, but ``predict``.
        predicted: the predictions of each part that is known, shape (n,).
        steps: how many gradients were taken before it.
        lines: of the program, innermost first.
    """

    numbers: Mapping[str, Any]
    predicted: Mapping[str, np.ndarray]
    steps: int
    lines: list[int]


@dataclass
class RunLog:
    """The tracker of one call of ``train``; its methods are those that the docs describe."""

    watch: StepLog
    started: dict[str, Any] | None = None
    started_lines: list[int] = field(default_factory=list)
    parts: dict[str, tuple[Any, np.ndarray]] = field(default_factory=dict)
    raw: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    def init(self, project: Any = None, config: Any = None, **more: Any) -> None:
        """Begin a run: its project, and the config as a mapping."""
        self.started = {"project": project, "config": config, **more}
        self.started_lines = user_lines(self.watch.file)

    def data(self, **parts: Any) -> None:
        """Note the parts of the data: x of shape (n, 2) and y of shape (n,) or (n, 1)."""
        for name, pair in parts.items():
            if name not in PARTS:
                raise InputError(f"tracker.data has no part {name!r}; known: {', '.join(PARTS)}")
            try:
                x, y = pair
                inputs, targets = as_numbers(x), as_numbers(y).ravel()
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"tracker.data: {name} must be a pair of arrays, x and y ({error})"
                ) from error
            if inputs.ndim != 2 or len(inputs) != len(targets):
                raise InputError(
                    f"tracker.data: {name} has x of shape {inputs.shape} and {len(targets)}"
                    " outcomes; give x of shape (n, 2) and y of shape (n,) or (n, 1)"
                )
            self.parts[name] = (x, targets)
            self.raw[name] = (inputs, targets)

    def log(self, record: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Record an epoch: numbers, and ``predict``, a function from x to predictions."""
        lines = user_lines(self.watch.file)
        given = {**(record or {}), **more}
        predict = given.pop("predict", None)
        if not callable(predict):
            raise InputError(
                "tracker.log needs predict, a function from x to predictions; got"
                f" {type(predict).__name__}"
            )
        if not {"train", "val"} <= set(self.parts):
            raise InputError("call tracker.data(train=(x, y), val=(x, y)) before tracker.log")
        steps, was = len(self.watch.steps), self.watch.open
        self.watch.open = False
        predicted = {name: predictions(predict, x, len(y)) for name, (x, y) in self.parts.items()}
        self.watch.open = was
        self.records.append(Record(given, predicted, steps, lines))
        self.watch.detailed = len(self.records) < DETAILED


def predictions(predict: Callable[[Any], Any], x: Any, n: int) -> np.ndarray:
    """The predictions at x, shape (n,)."""
    out = as_numbers(predict(x)).ravel()
    if len(out) != n:
        raise InputError(f"predict gave {len(out)} numbers for {n} rows of x; give one for each")
    return out


def as_numbers(value: Any) -> np.ndarray:
    """An array of NumPy, JAX or PyTorch in float64."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value, dtype=float)


def scalar(value: Any) -> float | None:
    """A number of any library; None if it is not one."""
    try:
        array = as_numbers(value)
    except (TypeError, ValueError):
        return None
    return float(array.reshape(())) if array.size == 1 else None


def truth(x: Any) -> Any:
    """The function that the programs estimate, for points (..., 2) of any library."""
    a, b = x[..., 0], x[..., 1]
    return 0.7 * a - 0.5 * b + 0.6 * a * b + 0.3 * b * b


@dataclass(frozen=True)
class Call:
    """A call of f: the points, shape (n, 2), and the lines of the program, innermost first."""

    points: np.ndarray
    lines: list[int]


class TrueFunction:
    """``truth``, which notes where it is called."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.calls: list[Call] = []

    def __call__(self, x: Any) -> Any:
        value = truth(x)
        lines = user_lines(self._file)
        try:
            points = as_numbers(x)
        except Exception as error:  # noqa: BLE001 - inside a transformation x is not numbers
            if "Tracer" not in type(error).__name__ and "Tracer" not in type(x).__name__:
                raise
            return value
        if points.ndim == 2:
            self.calls.append(Call(points, lines))
        return value
