"""How noisy is the gradient of a batch, and what does the noise do to stochastic gradient descent?

Least squares on 512 observations. The variance of the gradient estimate is measured over the
engine's own batches at the starting point, and compared with sigma^2 / B, which draws without
replacement multiply by (N - B) / (N - 1). Then SGD runs from the same point with each batch size.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels
from thetahat.lab import mean_se

N, D = 512, 4
SCHEMES = ("replacement", "shuffle")
PATHS = (("replacement", 1), ("shuffle", 1), ("sequential", 1), ("shuffle", 16))


def regression(
    batch_size: int = 16, sampling: str = "replacement", lr: float = 0.02, epochs: int = 40
) -> th.Task:
    """Linear least squares by SGD. The rows are sorted by the outcome, as files often are."""
    draw = th.dgp.linear(N, D, 1.0, seed=7)
    rows = jnp.argsort(draw.y)
    x, y = draw.x[rows], draw.y[rows]
    theta = jnp.linalg.solve(x.T @ x, x.T @ y)
    return th.Task(
        th.models.Linear(D, bias=False, start="zeros"),
        th.Data((x, y)),
        metrics={"excess": lambda h: jnp.mean((x @ (h.params["kernel"] - theta)) ** 2)},
        optimizer=th.optim.named("sgd", lr),
        epochs=epochs,
        batch_size=batch_size,
        sampling=sampling,
    )


def variance(x: np.ndarray, y: np.ndarray, size: int, sampling: str, draws: int) -> Any:
    """Trace of the covariance of the batch gradient at theta = 0, and its standard error."""
    gradients = -2 * x * y[:, None]  # of each observation's squared residual at theta = 0
    # The first batch of an epoch each: independent draws.
    loaders = (th.Batches(np.arange(N), size, sampling, seed) for seed in range(draws))
    batches = [next(iter(loader)) for loader in loaders]
    means = gradients[np.stack(batches)].mean(1)
    return mean_se(((means - gradients.mean(0)) ** 2).sum(1))


def measure(draws: int = 300, epochs: int = 40, lr: float = 0.02) -> dict[str, Any]:
    """Variances by batch size and scheme, and the excess risk of SGD by passes."""
    sizes = [2**k for k in range(9)]
    one = regression()
    x, y = (np.asarray(part, float) for part in one.data.train)
    slopes = -2 * x * y[:, None]
    total = float(((slopes - slopes.mean(0)) ** 2).sum(1).mean())
    size = np.array(sizes, float)
    found: dict[str, Any] = {"size": size, "replacement_exact": total / size}
    found["shuffle_exact"] = total / size * (N - size) / (N - 1)
    for scheme in SCHEMES:
        pairs = [variance(x, y, B, scheme, draws) for B in sizes]
        found[scheme], found[f"{scheme}_se"] = (np.array(part) for part in zip(*pairs, strict=True))
    for scheme, B in PATHS:
        fit = th.fit(regression, sampling=scheme, batch_size=B, epochs=epochs, lr=lr)
        found[f"{scheme} {B}"] = fit.history["excess"]
        found[f"{scheme} {B} end"] = float(fit.history["excess"][-1])
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Compare measured variances with the formulas, and the ends of the paths."""
    ratio = found["replacement"] / found["replacement_exact"]
    return (
        f"The measured variance is {ratio.min():.2f} to {ratio.max():.2f} of sigma^2 / B. After the"
        f" last pass the excess risk is {found['replacement 1 end']:.3f} with batches of 1,"
        f" {found['shuffle 1 end']:.3f} if they are shuffled, and {found['sequential 1 end']:.3f}"
        " in the order of the file."
    )


def draw(found: Mapping[str, Any]) -> Any:
    """Variance by batch size, and risk by pass."""
    size = found["size"]
    lines = []
    for scheme in SCHEMES:
        value, se = found[scheme], found[f"{scheme}_se"]
        lines.append(Line(scheme, size, value, value - 2 * se, value + 2 * se, look="points"))
        lines.append(Line("", size, found[f"{scheme}_exact"], look="dashed"))
    passes = []
    for scheme, B in PATHS:
        risk = found[f"{scheme} {B}"]
        passes.append(Line(f"{scheme}, B = {B}", range(1, len(risk) + 1), risk))
    of_batches = Panel("Variance of the gradient (dashed: formula)", lines, x="batch size",
                       y="trace of the covariance", log_x=True, log_y=True)  # fmt: skip
    by_pass = Panel(
        "Stochastic gradient descent", passes, x="pass", y="excess risk", log_x=True, log_y=True
    )
    return draw_panels([of_batches, by_pass])
