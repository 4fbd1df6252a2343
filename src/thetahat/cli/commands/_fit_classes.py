"""Classes of ``thetahat fit``: whether a target is one, and the numbers of its probabilities."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from thetahat import risk
from thetahat.core.errors import ConfigError

if TYPE_CHECKING:
    from thetahat.data import Table

CLASS_LOSSES = tuple(
    name for name in risk.LOSSES if risk.resolve_loss(name).needs in (risk.BINARY, risk.CLASSES)
)
_PROBABLE = ("logistic", "cross_entropy")
"""Losses whose scores are probabilities, which the report and the files of predictions need."""
KINDS = ("number", "class")
LARGEST_OF_CLASSES = 200_000
"""Training rows times classes up to which other estimators are fitted beside a model."""
FEW = 5
"""Different whole numbers up to which a target is taken as classes."""


def settle(args: argparse.Namespace) -> tuple[str | None, bool]:
    """Choose the loss by the target, and declare a target of classes.

    Text, booleans, categories and at most ``FEW`` different whole numbers are classes, unless
    ``--loss`` or ``--target-kind`` say otherwise.

    Returns: a note on a guess, or None; and whether the kind of the target is a guess.
    Raises:  ConfigError: flags that contradict each other.
    """
    kind, note = args.target_kind, None
    if args.loss is not None:
        if args.loss in CLASS_LOSSES and args.loss not in _PROBABLE:
            raise ConfigError(
                f"--loss {args.loss} has no probabilities of classes, which thetahat fit reports;"
                f" give {' or '.join(_PROBABLE)}, or fit a th.Task from Python"
            )
        of_loss = KINDS[args.loss in CLASS_LOSSES]
        if kind not in (None, of_loss):
            raise ConfigError(
                f"--loss {args.loss} is one of a {of_loss}, and --target-kind is {kind}; leave one"
                " of them out"
            )
        kind = of_loss
    found = _target(args) if kind != "number" else None
    guess = kind is None and found is not None
    if kind is None and found is not None:
        kind, note = _guessed(args, *found)
    if kind == "class":
        given = args.categorical or []
        # Text needs no declaration, and undeclared it is checked for odd cells among numbers.
        text = guess and found is not None and found[0].kind == "text"
        declared = args.target in given or text
        args.categorical = args.categorical if declared else [*given, args.target]
        if args.loss is None:
            k = 2 if found is None else len(found[1])
            args.loss = _PROBABLE[k > 2]
    args.loss = args.loss or "squared"
    return note, guess


def refuse_many(table: Table) -> None:
    """Check that a target that is taken as classes has labels, and not a name for each row.

    Raises:  ConfigError: more than one label for two rows.
    """
    n, labels = len(table), list(table.classes or ())
    if 2 * len(labels) > n > 2 * FEW:
        raise ConfigError(
            f"--target {table.target} has {len(labels):,} different labels in {n:,} rows, such as"
            f" {labels[0]!r}: too many for classes; give another target, or --target-kind class"
        )


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

    return cells_of(args.na_values, args.thousands, args.decimal or ".", args.not_missing)


def _guessed(args: argparse.Namespace, column: Any, values: list[Any]) -> tuple[str, str | None]:
    if args.target in (args.categorical or ()):
        return "class", None
    if column.kind in ("text", "category"):
        return "class", None
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
