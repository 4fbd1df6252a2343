"""What a Result keeps of its estimate in another process, whatever backend made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thetahat.core import ConfigError


@dataclass(frozen=True, eq=False)
class WithoutData:
    """A Result's estimate in another process: it predicts, and has neither data nor Task."""

    predictor: Any
    """The backend's: a fitted function."""

    @property
    def params(self) -> Any:
        """All parameters at the best state."""
        return self.predictor.params

    @property
    def model(self) -> Any:
        """The estimated model, of the user's own kind; of a table, in the table's units."""
        return self.predictor.model

    def predict(self, x: Any) -> np.ndarray:
        """h(x) for one input or many, in units of y."""
        return self.predictor.predict(x)

    @property
    def data(self) -> Any:
        """Nothing: data are not copied along."""
        raise _left("data")

    @property
    def task(self) -> Any:
        """Nothing: a Task holds the data."""
        raise _left("task")

    def risk(self, part: str) -> float:
        """Nothing: a risk needs data."""
        raise _left(f"evaluate({part!r})")


def _left(what: str) -> ConfigError:
    return ConfigError(
        f"this Result came from a pickle, which leaves the data and the Task behind: it has no"
        f" {what}; use the Result in the process that fitted it"
    )
