"""Neyman-orthogonal scores of three models, and what their sensitivity needs.

Every score is linear, psi(theta) = psi_a theta + psi_b, so that theta = -E[psi_b] / E[psi_a].

Source:  Chernozhukov, Chetverikov, Demirer, Duflo, Hansen, Newey & Robins (2018), sections 4 and 5;
         of the sensitivity, Chernozhukov, Cinelli, Newey, Sharma & Syrgkanis (2022).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

PredictionsByNuisance = Mapping[str, np.ndarray]
"""By nuisance, (n, repetitions)."""


@dataclass(frozen=True, eq=False)
class Sample:
    """What is observed: each (n,); weights add up to 1."""

    y: np.ndarray
    d: np.ndarray
    z: np.ndarray | None
    weights: np.ndarray

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Weighted means of the columns of (n, repetitions)."""
        return self.weights @ values


@dataclass(frozen=True, eq=False)
class Model:
    """One model of double machine learning.

    Args:    title: in words.   nuisances: name to ("y", "d" or "z" predicted; None, or the column
             that is 0 or 1 in the rows it is trained on, and that value).
             chance: the nuisance whose probabilities the score divides by; empty for none.
             elements: (psi_a, psi_b), each (n, repetitions).
             spread: (squared residuals, nu^2's score element), for the sensitivity; None where the
             theory has none.
    """

    title: str
    nuisances: Mapping[str, tuple[str, tuple[str, int] | None]]
    chance: str
    elements: Callable[[Sample, PredictionsByNuisance, str], tuple[np.ndarray, np.ndarray]]
    effects: tuple[str, ...]
    """What it can estimate; the first by default."""


@dataclass(frozen=True, eq=False)
class Estimates:
    """Of each repetition: theta and its influence function, centred: (R,) and (n, R)."""

    theta: np.ndarray
    influence: np.ndarray


def estimates(model: Model, sample: Sample, made: PredictionsByNuisance, effect: str) -> Estimates:
    """Solve the score in every repetition."""
    psi_a, psi_b = model.elements(sample, made, effect)
    slope = sample.mean(psi_a)
    theta = -sample.mean(psi_b) / slope
    return Estimates(theta, -(psi_a * theta + psi_b) / slope)


def standard_errors(
    influence: np.ndarray, weights: np.ndarray, groups: np.ndarray | None = None
) -> np.ndarray:
    """Standard errors from influence functions (n, R): sqrt(sum of squares of w_i psi_i).

    Args:    weights: (n,), which add up to 1.   groups: codes (n,): summed within each first.
    """
    parts = weights[:, None] * influence
    if groups is not None:
        summed = np.zeros((groups.max() + 1, parts.shape[1]))
        np.add.at(summed, groups, parts)
        parts = summed
    return np.sqrt(np.sum(parts**2, axis=0))


def _plr(sample: Sample, made: PredictionsByNuisance, effect: str) -> tuple[np.ndarray, np.ndarray]:
    """psi = (y - l - theta (d - m)) (d - m)."""
    del effect
    v = sample.d[:, None] - made["m"]
    return -v * v, v * (sample.y[:, None] - made["l"])


def _irm(sample: Sample, made: PredictionsByNuisance, effect: str) -> tuple[np.ndarray, np.ndarray]:
    """psi = w (g1 - g0) + w' (d (y - g1) / m - (1 - d) (y - g0) / (1 - m)) - w theta.

    ATE: w = w' = 1. ATTE: w = d / P(d = 1), w' = m / P(d = 1).
    """
    d, m = sample.d[:, None], made["m"]
    w, bar = _shares(sample, m, effect)
    treated = d * (sample.y[:, None] - made["g1"]) / m
    others = (1 - d) * (sample.y[:, None] - made["g0"]) / (1 - m)
    return -w, w * (made["g1"] - made["g0"]) + bar * (treated - others)


def _shares(sample: Sample, m: np.ndarray, effect: str) -> tuple[np.ndarray, np.ndarray]:
    if effect == "ATE":
        return np.ones_like(m), np.ones_like(m)
    p = sample.weights @ sample.d
    return np.repeat(sample.d[:, None] / p, m.shape[1], 1), m / p


def _iivm(
    sample: Sample, made: PredictionsByNuisance, effect: str
) -> tuple[np.ndarray, np.ndarray]:
    """The effects of z on y and on d, each as in the interactive model; theta is their ratio."""
    del effect
    assert sample.z is not None
    z, m = sample.z[:, None], made["m"]

    def effect_of_z(values: np.ndarray, zero: np.ndarray, one: np.ndarray) -> np.ndarray:
        values = values[:, None]
        return one - zero + z * (values - one) / m - (1 - z) * (values - zero) / (1 - m)

    psi_b = effect_of_z(sample.y, made["g0"], made["g1"])
    return -effect_of_z(sample.d, made["r0"], made["r1"]), psi_b


MODELS = {
    "plr": Model(
        "partially linear regression",
        {"l": ("y", None), "m": ("d", None)},
        "",
        _plr,
        ("theta",),
    ),
    "irm": Model(
        "interactive regression",
        {"g0": ("y", ("d", 0)), "g1": ("y", ("d", 1)), "m": ("d", None)},
        "m",
        _irm,
        ("ATE", "ATTE"),
    ),
    "iivm": Model(
        "interactive instrumental variable regression",
        {
            "g0": ("y", ("z", 0)),
            "g1": ("y", ("z", 1)),
            "m": ("z", None),
            "r0": ("d", ("z", 0)),
            "r1": ("d", ("z", 1)),
        },
        "m",
        _iivm,
        ("LATE",),
    ),
}


# -- the bias of an omitted variable --------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Bias:
    """The largest bias at strength 1, sqrt(sigma^2 nu^2), and its influence function.

    Args:    size: (R,).   influence: (n, R).
             plain: whether nu^2 is the mean square of the Riesz representer, since its debiased
             estimate is not positive.
    """

    size: np.ndarray
    influence: np.ndarray
    plain: bool = False


def bias(
    name: str, sample: Sample, made: PredictionsByNuisance, theta: np.ndarray, effect: str
) -> Bias | None:
    """The bias of each repetition; None where the model has no theory of it.

    sigma^2 is the mean squared residual of the outcome, nu^2 that of the Riesz representer.
    """
    y, d, plain = sample.y[:, None], sample.d[:, None], False
    if name == "plr":
        v = d - made["m"]
        squares = (y - made["l"] - theta * v) ** 2
        nu2 = 1 / sample.mean(v**2)
        psi_nu2 = nu2 - v**2 * nu2**2
    elif name == "irm":
        m = made["m"]
        w, bar = _shares(sample, m, effect)
        squares = (y - d * made["g1"] - (1 - d) * made["g0"]) ** 2
        riesz = bar * (d / m - (1 - d) / (1 - m))
        element = 2 * w * bar * (1 / m + 1 / (1 - m)) - riesz**2
        plain = bool((sample.mean(element) <= 0).any())
        element = riesz**2 if plain else element
        nu2 = sample.mean(element)
        psi_nu2 = element - nu2
    else:
        return None
    sigma2 = sample.mean(squares)
    size = np.sqrt(sigma2 * nu2)
    return Bias(size, (sigma2 * psi_nu2 + nu2 * (squares - sigma2)) / (2 * size), plain)
