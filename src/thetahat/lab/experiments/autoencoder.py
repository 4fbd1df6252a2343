"""Does an autoencoder compress data near a curved manifold better than principal components?

Two coordinates are bent into ten dimensions, with a little noise. Both compress to k numbers and
are judged on new observations. Codes of two numbers then serve a regression with few labels.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import thetahat as th
from thetahat.data.keys import DATA, role_key
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import Composed, columns, grid, mean_line

D, N, N_TEST, NOISE = 10, 400, 400, 0.03
CODES = (1, 2, 3, 5)


def bent(n: int, seed: Any) -> tuple[Any, Any]:
    """Draw coordinates (n, 2), and the points (n, 10) on the manifold, with noise."""
    first, second = jax.random.split(role_key(seed, DATA))
    z = jax.random.uniform(first, (n, 2), minval=-1.0, maxval=1.0)
    turns = jax.random.normal(jax.random.key(5), (2, D)) * 2
    shifts = jnp.linspace(0, jnp.pi, D)
    return z, jnp.sin(z @ turns + shifts) + NOISE * jax.random.normal(second, (n, D))


def coder(code: int) -> Composed:
    """Encoder and decoder, each with one hidden layer."""
    return Composed(
        th.models.MLP(D, width=32, depth=1, activation="tanh", out=code),
        th.models.MLP(code, width=32, depth=1, activation="tanh", out=D),
    )


def autoencoder(code: int = 2, lr: float = 0.01, epochs: int = 1500, seed: th.Seed = 0) -> th.Task:
    """Reconstruct x from ``code`` numbers."""
    (_, x), (_, new) = bent(N, seed), bent(N_TEST, seed + 1_000_000)
    adam = optax.adam(optax.cosine_decay_schedule(lr, epochs))
    data = th.Data((x, x), (new, new))
    return th.Task(coder(code), data, optimizer=adam, epochs=epochs, seed=seed)


def principal(x: np.ndarray, new: np.ndarray, code: int) -> tuple[np.ndarray, float]:
    """Scores of new points on the first components of x, and the error of reconstruction."""
    axes = np.linalg.svd(x - x.mean(0), full_matrices=False)[2][:code]
    scores = (new - x.mean(0)) @ axes.T
    return scores, float(np.mean((scores @ axes + x.mean(0) - new) ** 2))


def labelled(scores: np.ndarray, z: np.ndarray, labels: int = 60) -> float:
    """R2 of a quadratic regression on two scores that is fitted to few labels."""
    y, (a, b) = z[:, 0] * z[:, 1], (scores / scores.std(0)).T
    basis = np.stack([np.ones_like(a), a, b, a * a, a * b, b * b], axis=1)
    beta = np.linalg.lstsq(basis[:labels], y[:labels])[0]
    return float(1 - np.mean((basis[labels:] @ beta - y[labels:]) ** 2) / np.var(y[labels:]))


def measure(draws: int = 3, epochs: int = 800) -> dict[str, Any]:
    """Errors at new points by size of the code, draws in columns, and the use of two scores."""
    encode = jax.vmap(coder(2).encode, (None, 0))
    risks, two = [], []
    for code in CODES:
        fits = th.fit_many(autoencoder, grid(code=code, epochs=epochs, seed=range(draws)))
        risks.append(columns(fits, "val_risk")[:, -1])
        if code == 2:
            two = list(fits)
    linear = np.zeros((len(CODES), draws))
    use: dict[str, list[float]] = {"PCA": [], "autoencoder": []}
    for s, fit in enumerate(two):
        (_, x), (z, new) = bent(N, s), map(np.asarray, bent(N_TEST, s + 1_000_000))
        linear[:, s] = [principal(np.asarray(x), new, code)[1] for code in CODES]
        use["PCA"].append(labelled(principal(np.asarray(x), new, 2)[0], z))
        use["autoencoder"].append(labelled(np.asarray(encode(fit.params, new)), z))
    found = {f"{name} R2": np.array(values) for name, values in use.items()}
    return found | {"PCA": linear, "autoencoder": np.array(risks)}


def answer(found: Mapping[str, Any]) -> str:
    """Compare at two numbers, the dimension of the manifold."""
    mine, theirs = (
        f"{found[name][CODES.index(2)].mean():.4f} (R2 {found[f'{name} R2'].mean():.2f})"
        for name in ("autoencoder", "PCA")
    )
    what = "Error at new points with two numbers, and R2 of a regression on them with 60 labels"
    return f"{what}: autoencoder {mine}, principal components {theirs}."


def draw(found: Mapping[str, Any]) -> Any:
    """Error by size of the code."""
    names = ("PCA", "autoencoder")
    lines = [mean_line(name, CODES, found[name], axis=1) for name in names]
    lines.append(Line("noise", CODES[:1] + CODES[-1:], [NOISE**2] * 2, look="dashed"))
    axes = {"x": "numbers in the code", "y": "mean square", "log_y": True, "whole_x": True}
    return draw_panels([Panel("Error of reconstruction at new points", lines, **axes)])
