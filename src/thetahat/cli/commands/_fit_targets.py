"""Several targets of ``thetahat fit``: how well each is fitted, in its own units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thetahat.cli.commands import _fit_table as fits
from thetahat.cli.commands._fit_baselines import least_squares

if TYPE_CHECKING:
    from thetahat.data import Data, Table
    from thetahat.train import Result


def own_columns(result: Result, table: Table, k: int) -> dict[str, Any]:
    """Give the numbers of a result for target ``k``."""
    y_hat = result.predict(table.x)[:, k]
    found: dict[str, Any] = {"params": result.n_params, "epochs": result.epochs}
    for part, rows in fits.rows_of(result, table).items():
        weight = None if table.weight is None else table.weight[rows]
        found |= _goodness(part, y_hat[rows], table.y[rows, k], weight)
    return found


def linear(data: Data, k: int) -> dict[str, Any]:
    """Give the numbers of least squares for target ``k``."""
    weight = data.train.weight
    x, y = _design(data.train.x), np.asarray(data.train.y, np.float64)[:, k]
    beta = least_squares(x, y, np.ones(len(y)) if weight is None else np.asarray(weight))
    found: dict[str, Any] = {"model": "OLS" if weight is None else "WLS", "params": len(beta)}
    scale, level = (np.asarray(v)[k] for v in (data.transform.y_std, data.transform.y_mean))
    for name in fits.PARTS:
        if (part := getattr(data, name)) is not None:
            y_hat, y = _design(part.x) @ beta, np.asarray(part.y, np.float64)[:, k]
            found |= _goodness(name, y_hat * scale + level, y * scale + level, part.weight)
    return found


def _goodness(part: str, y_hat: np.ndarray, y: np.ndarray, weight: Any) -> dict[str, float]:
    mse = float(np.average((y_hat - y) ** 2, weights=weight))
    around = float(np.average((y - np.average(y, weights=weight)) ** 2, weights=weight))
    r2 = 1 - mse / around if np.ptp(y) > 0 and around > 0 else float("nan")
    return {f"{part}_mse": mse, f"{part}_r2": r2}


def _design(x: Any) -> np.ndarray:
    x = np.asarray(x, np.float64)
    return np.column_stack([np.ones(len(x)), x])
