"""Classes of ``thetahat fit``: whether a target is one, and the numbers of its probabilities."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from thetahat.core.errors import ConfigError

if TYPE_CHECKING:
    from thetahat.data import Data, Table

CLASS_LOSSES = ("logistic", "cross_entropy")
KINDS = ("number", "class")
FEW = 5
"""Different whole numbers up to which a target is taken as classes."""


def settle(args: argparse.Namespace) -> str | None:
    """Choose the loss by the target, and declare a target of classes; return a note on a guess.

    Text, booleans, categories and at most ``FEW`` different whole numbers are classes, unless
    ``--loss`` or ``--target-kind`` say otherwise.

    Raises:  ConfigError: flags that contradict each other, or too many classes.
    """
    kind, note = args.target_kind, None
    if args.loss is not None:
        of_loss = KINDS[args.loss in CLASS_LOSSES]
        if kind not in (None, of_loss):
            raise ConfigError(
                f"--loss {args.loss} is one of a {of_loss}, and --target-kind is {kind}; leave one"
                " of them out"
            )
        kind = of_loss
    found = _target(args) if kind != "number" else None
    if kind is None and found is not None:
        kind, note = _guessed(args, *found)
    if kind == "class":
        given = args.categorical or []
        args.categorical = given if args.target in given else [*given, args.target]
        if args.loss is None:
            k = 2 if found is None else len(found[1])
            args.loss = CLASS_LOSSES[k > 2]
    args.loss = args.loss or "squared"
    return note


def _target(args: argparse.Namespace) -> tuple[Any, list[Any]] | None:
    """Return the target's column and its different values; None if it does not exist."""
    from thetahat.data import table_columns, table_names

    if args.target not in table_names(args.table):
        return None  # an error when the table is read
    column = table_columns(args.table, [args.target], _cells(args))[args.target]
    values = {v for v in column.values.tolist() if v is not None and v == v}
    return column, sorted(values, key=str) if column.kind != "number" else sorted(values)


def _cells(args: argparse.Namespace) -> Any:
    from thetahat.data import cells_of

    return cells_of(args.na_values, args.thousands, args.decimal or ".")


def _guessed(args: argparse.Namespace, column: Any, values: list[Any]) -> tuple[str, str | None]:
    from thetahat.data import odd_cells

    if args.target in (args.categorical or ()):
        return "class", None
    if column.kind == "text" and odd_cells(column, 0, _cells(args)) is not None:
        return "number", None  # refused, with its cells, when the table is read
    if column.kind in ("text", "category"):
        n = len(column.values)
        if 2 * len(values) > n > 2:
            raise ConfigError(
                f"--target {args.target} has {len(values):,} different labels in {n:,} rows, such"
                f" as {values[0]!r}: too many for classes; give another target, or --target-kind"
                " class"
            )
        # Numbers with an odd cell are refused, by name, when the table is read.
        return ("class" if not column.some_numbers() else "number"), None
    if column.kind != "number":
        return "number", None
    whole = all(value == int(value) for value in values if abs(value) < 2**53)
    if column.dtype == "bool" or (whole and 2 <= len(values) <= FEW):
        listed = ", ".join(f"{value:g}" for value in values)
        note = (
            f"{args.target} has the values {listed} and is fitted as classes; --target-kind number"
            " fits a number"
        )
        return "class", None if column.dtype == "bool" else note
    return "number", None


def label_columns(classes: Any) -> list[str]:
    """Name the columns of the probabilities of classes in a file."""
    return [f"prob_{label}" for label in classes]


def shares_right(proba: Mapping[str, np.ndarray], data: Data) -> dict[str, float]:
    """Compute the accuracy of probabilities (N, K), by part, weighted."""
    from thetahat.cli.commands._fit_table import outcome

    found = {}
    for part, p in proba.items():
        y, w = outcome(data, part)
        found[part] = float(np.average(p.argmax(1) == y, weights=w))
    return found


def describe_classes(table: Table) -> str:
    """Name the target and its classes."""
    from thetahat.data import listed

    return f"{table.target} ({listed(table.classes or ())})"


def multinomial_logit(x: np.ndarray, y: np.ndarray, w: np.ndarray, k: int) -> np.ndarray:
    """Find the coefficients (d, k) that minimise the weighted cross-entropy, the first class's 0.

    Source:  McFadden (1974).
    """
    from scipy.optimize import minimize

    onehot, share = (y[:, None] == np.arange(k)) * 1.0, (w / w.sum())[:, None]

    def risk(flat: np.ndarray) -> tuple[float, np.ndarray]:
        log_p = log_softmax(x @ np.column_stack([np.zeros(x.shape[1]), flat.reshape(-1, k - 1)]))
        slope = x.T @ (share * (np.exp(log_p) - onehot))
        return float(-(share * onehot * log_p).sum()), slope[:, 1:].ravel()

    first = np.zeros(x.shape[1] * (k - 1))
    options = {"maxiter": 2000, "maxfun": 4000, "ftol": 1e-14, "gtol": 1e-9}
    found = minimize(risk, first, jac=True, method="L-BFGS-B", options=options).x
    return np.column_stack([np.zeros(x.shape[1]), found.reshape(-1, k - 1)])


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Compute log probabilities (N, K) of scores."""
    away = scores - scores.max(1, keepdims=True)
    return away - np.log(np.exp(away).sum(1, keepdims=True))


def log_losses(log_p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the log loss of each observation, from log probabilities (N, K)."""
    return -log_p[np.arange(len(y)), y.astype(np.int64)]
