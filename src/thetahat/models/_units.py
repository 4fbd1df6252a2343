"""A fitted model that maps a table's columns to predictions in the target's units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core.errors import ShapeError
from thetahat.data import Transform, named_row


@dataclass(frozen=True, eq=False)
class InUnits:
    """A fitted model in the units of its table: ``h(x)`` is a prediction.

    One observation x: numbers in the order of the table's columns, shape (d,), or a mapping of
    names to values. x may be traced, for derivatives and ``jax.vmap``.

    Args:    standardized: the module itself, of standardised inputs and target.
             transform: of the table.   dtype: of the fit.
             evaluated: what calls the module in evaluation, where its call alone would train.
    """

    standardized: Any
    transform: Transform
    dtype: str = "float32"
    evaluated: Any = None

    def __call__(self, x: Any) -> Any:
        """Predict at one observation.

        Raises:  ShapeError: not one observation.   DataError: values outside the table's columns.
        """
        names = self.transform.encoder.names
        named = named_row(x)
        if named is not None:
            row = self.transform.encode(named)[0]
        elif isinstance(x, Mapping):
            row = self.transform.encode({name: [value] for name, value in x.items()})[0]
        else:
            x = x if hasattr(x, "shape") else np.asarray(x, np.float64)
            if x.shape != (len(names),):
                raise ShapeError(
                    f"this model takes one observation, shape ({len(names)},)"
                    f" ({', '.join(names)}); got shape {x.shape}. Use result.predict(x) for many"
                )
            row = self.transform.encode_row(x)
        h = self.standardized if self.evaluated is None else self.evaluated
        if not isinstance(row, np.ndarray):
            return self.transform.decode(h(row))
        with jax.enable_x64(self.dtype == "float64"):
            return self.transform.decode(h(jnp.asarray(row, self.dtype)))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"a model in a table's units has no attribute {name!r}; the module of standardised"
            f" inputs is .standardized"
        )

    def __repr__(self) -> str:
        encoder = self.transform.encoder
        return (
            f"InUnits({encoder.target} from {', '.join(encoder.names)}, in the table's units;"
            f" the standardised module is .standardized: {self.standardized!r})"
        )
