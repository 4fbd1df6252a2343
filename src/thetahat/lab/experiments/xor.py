"""Can a hidden layer solve exclusive or, which no linear function can?

The four corners of the square: the best linear function is 1/2 everywhere. Nets 2-4-1 with tanh
are trained from twenty starts, as one program.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

import thetahat as th
from thetahat.figures import Heat, Line, Panel, draw_panels
from thetahat.lab import columns, grid

SOLVED = 1e-3


def corners(
    hidden: bool = True, lr: float = 0.03, epochs: int = 1000, seed: th.Seed = 0
) -> th.Task:
    """Fit the four corners, linearly or with four hidden units."""
    return th.Task(
        th.models.MLP(2, width=4, depth=1, activation="tanh") if hidden else th.models.Linear(2),
        th.Data(th.dgp.xor().obs),
        optimizer=th.optim.named("adam", lr) if hidden else th.optim.newton(),
        epochs=epochs,
        seed=seed,
        dtype="float32" if hidden else "float64",
    )


def measure(starts: int = 20, epochs: int = 1000) -> dict[str, Any]:
    """The linear risk, and the paths of the nets."""
    line = th.fit(corners, hidden=False, epochs=1)
    fits = th.fit_many(corners, grid(epochs=epochs, seed=range(starts)))
    risk = columns(fits, "train_risk")
    ends = np.array([fit.risk["train"] for fit in fits])
    axis = np.linspace(-0.5, 1.5, 61)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return {
        "linear": line.risk["train"],
        "risk": risk,
        "solved": int((ends < SOLVED).sum()),
        "axis": axis,
        "surface": fits[int(ends.argmin())].predict(points).reshape(61, 61),
    }


def answer(found: Mapping[str, Any]) -> str:
    """Count the solved ones."""
    return (
        f"The best linear function has a risk of {found['linear']:.2f}; {found['solved']} of"
        f" {len(found['risk'])} nets with four hidden units fall below {SOLVED:g}."
    )


def draw(found: Mapping[str, Any]) -> Any:
    """The paths of all starts, and the function of the best."""
    epochs = np.arange(1, found["risk"].shape[1] + 1)
    names = ["nets 2-4-1"] + [""] * (len(found["risk"]) - 1)
    risks = np.maximum(found["risk"], 1e-12)  # in single precision some are zero
    lines = [
        Line(name, epochs, risk, look="faint", colour=0)
        for name, risk in zip(names, risks, strict=True)
    ]
    line = [found["linear"]] * 2
    lines.append(Line("best linear function", epochs[[0, -1]], line, look="dashed"))
    return draw_panels(
        [
            Panel("Training risk, by start", lines, x="epoch",
                  y="training risk", log_y=True, limits=(1e-10, 3.0)),
            Heat("The best net: h(x)", found["surface"], found["axis"], found["axis"], "x 1", "x 2",
                 log=False),
        ]
    )  # fmt: skip
