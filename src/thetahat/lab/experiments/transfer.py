"""Does a representation learned on other tasks help where there are few observations?

All tasks are linear in the same four hidden features of six inputs. A net with eight heads learns
phi from eight tasks. On a new task phi is frozen and a head is fitted, or both are fine-tuned, or
a net of the same form is trained from scratch. The number of observations is a mask of weights.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import thetahat as th
from thetahat.figures import Panel, draw_panels
from thetahat.lab import Composed, band_line, columns, grid, sample

D, CODE, TASKS, SIGMA, N_TEST = 6, 12, 8, 0.1, 200
SIZES = (5, 10, 20, 40, 80)
PHI = th.models.MLP(D, widths=(64,), activation="tanh", out=CODE, out_activation="tanh")
HOWS = ("from scratch", "frozen", "fine-tuned")


def truth(x: Any) -> Any:
    """The hidden features of x."""
    first, second = jnp.sin(2 * x[0] + x[1]), jnp.tanh(2 * x[4] - x[5])
    return jnp.stack([first, second, x[2] * x[3], jnp.cos(x[1] + x[4])])


def heads(many: int, start: Any = None) -> Composed:
    """Make phi with linear heads."""
    return Composed(PHI, th.models.Linear(CODE, out=many), start=start)


def coefficients(seed: Any, many: int) -> Any:
    """Draw the tasks: coefficients of the four features."""
    return jax.random.normal(jax.random.fold_in(jax.random.key(seed), 77), (4, many))


def source(N: int = 3000, epochs: int = 300, seed: th.Seed = 0) -> th.Task:
    """Learn phi on eight tasks at once."""
    beta = coefficients(seed + 500_000, TASKS)
    data = th.Data(sample(lambda x: truth(x) @ beta, N, d=D, seed=seed + 500_000))
    adam = th.optim.named("adam", 0.003)
    return th.Task(heads(TASKS), data, optimizer=adam, epochs=epochs, batch_size=64, seed=seed)


def measure(tasks: int = 20, epochs: int = 400, source_epochs: int = 60) -> dict[str, Any]:
    """Error at new points by sample size, tasks in columns."""
    learned = th.fit(source, epochs=source_epochs)

    def few(how: str = "frozen", n: float = 10.0, seed: th.Seed = 0) -> th.Task:
        beta = coefficients(seed, 1)[:, 0] / 2
        f = lambda x: truth(x) @ beta  # noqa: E731
        obs = sample(f, SIZES[-1], d=D, sigma=SIGMA, seed=seed)
        weight = (jnp.arange(SIZES[-1]) < n).astype(float)
        model = heads(1, None if how == "from scratch" else learned.params["phi"])
        new = sample(f, N_TEST, d=D, seed=seed + 1_000_000)
        return th.Task(
            th.freeze(model, "phi") if how == "frozen" else model,
            th.Data(
                th.Observations(obs.x, obs.y, weight),
                th.Observations(new.x, new.y, jnp.ones(N_TEST)),
            ),
            optimizer=th.optim.named("adam", 0.003 if how == "fine-tuned" else 0.01),
            penalty=th.ridge(1e-3),
            epochs=epochs,
            seed=seed,
        )

    found: dict[str, Any] = {"n": np.array(SIZES), "source_risk": learned.risk["train"]}
    for how in HOWS:
        fits = th.fit_many(few, grid(how=how, n=map(float, SIZES), seed=range(tasks)))
        found[how] = columns(fits, "val_risk")[:, -1].reshape(len(SIZES), tasks)
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Compare the medians at 20 observations."""
    k = SIZES.index(20)
    said = ", ".join(f"{how} {np.median(found[how][k]):.3f}" for how in HOWS)
    better = (found["frozen"] < found["from scratch"]).mean(1)
    return (
        f"Median error at new points with 20 observations: {said}. The frozen representation is the"
        f" better one in {100 * better.min():.0f} to {100 * better.max():.0f} % of the tasks."
    )


def draw(found: Mapping[str, Any]) -> Any:
    """Few-shot curves: medians and bands over tasks."""
    lines = [band_line(how, found["n"], found[how], axis=1) for how in HOWS]
    title = "Error at new points: median and 80 % band"
    axes = {"x": "observations", "y": "mean square", "log_x": True, "log_y": True}
    return draw_panels([Panel(title, lines, **axes)])
