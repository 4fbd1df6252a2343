"""The net beside other estimators: whose test risk is lowest, and whether that is more than chance.

Differences are paired: they are means over the test observations of the difference of two losses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thetahat.cli.commands import _fit_table as fits
from thetahat.cli.commands._fit_baselines import baselines, loss_of_scores
from thetahat.cli.commands._fit_classes import CLASS_LOSSES, log_losses
from thetahat.cli.commands._fit_peers import LEAST, Peer, peers

if TYPE_CHECKING:
    from thetahat.data import Data, Table
    from thetahat.train import Result


@dataclass(frozen=True)
class Entry:
    """An estimator and how well it fits.

    Args:    columns: its numbers in the table.   losses: at the test observations, or None.
    """

    name: str
    columns: Mapping[str, Any]
    losses: np.ndarray | None


def entries(result: Result, table: Table, label: str, *, all_peers: bool) -> list[Entry]:
    """Judge a result, the linear models, and with ``all_peers`` ridge and trees.

    All are fitted to the training part of the result; of a bag, that is all but the test part.
    """
    data, loss, tau = result.data, str(result.config["loss"]), float(result.config["tau"])
    found = [Entry(label, {}, None)]
    if np.isfinite(result.risk.get("train", math.nan)):
        found = [Entry(label, own_columns(result, table), _own_losses(result, table))]
    for line in baselines(data, loss, tau):
        columns = {"params": line.rank, **fit_columns(line.risk, line.fitted)}
        found.append(Entry(line.name, columns, line.test_losses))
    if all_peers:
        found += [_judged(peer, data, loss, tau) for peer in peers(data, loss, tau)]
    return found


def own_columns(result: Result, table: Table) -> dict[str, Any]:
    """Give the numbers of a result in the table."""
    fitted = fit_columns(result.risk, fits.net_goodness(result, table))
    return {"params": result.n_params, "epochs": result.epochs, **fitted}


def verdict(found: Sequence[Entry], data: Data) -> tuple[list[Entry], str]:
    """Compare test losses in pairs: entries with their difference to the first, and a sentence."""
    if data.test is None or found[0].losses is None:
        return list(found), ""
    weights = fits.outcome(data, "test")[1]
    paired = []
    for entry in found:
        more: dict[str, float] = {}
        if entry is not found[0] and entry.losses is not None:
            gap, error = paired_difference(entry.losses - found[0].losses, weights)
            more = {"gap": gap, "gap_se": error}
        paired.append(Entry(entry.name, {**entry.columns, **more}, entry.losses))
    judged = [e for e in paired if e.losses is not None]
    if len(judged) < 2:
        return paired, ""
    ranked = sorted(judged, key=lambda e: float(np.average(e.losses, weights=weights)))
    first, second = ranked[:2]
    gap, error = paired_difference(second.losses - first.losses, weights)
    n = int((weights > 0).sum())
    return paired, (
        f"lowest test risk: {first.name}; next: {second.name}, higher by {gap:.3g}"
        f" ({_beside(gap, error)}; paired over {n:,} test rows)"
    )


def paired_difference(gaps: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Compute the weighted mean of paired differences, and its standard error.

    se^2 = n / (n - 1) sum w^2 (gap - mean)^2 / (sum w)^2
    """
    mean, n = float(np.average(gaps, weights=weights)), int((weights > 0).sum())
    if n < 2:
        return mean, math.nan
    squares = np.sum((weights * (gaps - mean)) ** 2) / np.sum(weights) ** 2
    return mean, math.sqrt(n / (n - 1) * squares)


def _beside(gap: float, error: float) -> str:
    return f"{gap / error:.1f} standard errors" if error > 0 else "no standard error"


def fit_columns(risk: Mapping[str, float], fitted: fits.Goodness) -> dict[str, float]:
    """Name the numbers of an estimate as columns."""
    return {
        **{f"{part}_risk": value for part, value in risk.items()},
        **{f"{part}_mse": value for part, value in fitted.mse.items()},
        **{f"{part}_r2": value for part, value in fitted.r2.items()},
        **{f"{part}_accuracy": value for part, value in fitted.accuracy.items()},
    }


def _own_losses(result: Result, table: Table) -> np.ndarray | None:
    rows = fits.rows_of(result, table).get("test")
    if rows is None:
        return None
    y, _ = fits.outcome(result.data, "test")
    x, loss = np.asarray(table.x)[rows], str(result.config["loss"])
    if loss in CLASS_LOSSES:
        return _log_loss(result.predict_proba(x), y)
    transform = result.data.transform
    score = (np.asarray(result.predict(x), np.float64) - transform.y_mean) / transform.y_std
    return loss_of_scores(loss, float(result.config["tau"]))(score, y, "")


def _judged(peer: Peer, data: Data, loss: str, tau: float) -> Entry:
    classes = loss in CLASS_LOSSES
    risk, errors, proba, losses = {}, {}, {}, None
    for part in fits.PARTS:
        if getattr(data, part) is None:
            continue
        y, w = fits.outcome(data, part)
        found = peer.predict(np.asarray(getattr(data, part).x, np.float64))
        if classes:
            losses, proba[part] = _log_loss(found, y), found
        else:
            losses = loss_of_scores(loss, tau)(found, y, peer.name)
            errors[part] = float(np.average((found - y) ** 2, weights=w))
        assert losses is not None
        risk[part] = float(np.average(losses, weights=w))
    right = fits.Goodness({}, {}, fits.shares_right(proba, data)) if classes else None
    columns = fit_columns(risk, right or fits.goodness(errors, data))
    columns |= {} if peer.params is None else {"params": peer.params}
    return Entry(peer.name, columns, losses if data.test is not None else None)


def _log_loss(proba: np.ndarray, y: np.ndarray) -> np.ndarray:
    return log_losses(np.log(np.maximum(proba, LEAST)), y)
