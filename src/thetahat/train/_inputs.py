"""Inputs of a prediction as the model takes them: a part's are encoded already, others not yet."""

from __future__ import annotations

from typing import Any

import numpy as np

from thetahat.data import Data, named_row


def inputs_of_part(data: Data, x: Any) -> Any:
    """Return the inputs of a part, if x is one, its name, or (rows of) its inputs; else None."""
    found = {name: getattr(data, name) for name in ("train", "val", "test")}
    parts = {name: part for name, part in found.items() if hasattr(part, "x")}
    if isinstance(x, str) and x in parts:
        return parts[x].x
    for part in parts.values():
        if x is part:
            return part.x
        both = isinstance(x, np.ndarray) and isinstance(part.x, np.ndarray)
        if x is part.x or (both and np.shares_memory(x, part.x)):
            return x
    return None


def encoded(data: Data, x: Any) -> np.ndarray:
    """Return inputs as the model takes them, by the transform of a table if the data have one.

    A backend decodes its predictions in turn: ``data.transform.decode(y_hat)``.

    Args:    x: one input or many; of a table also a file, a frame or a mapping of columns.
    """
    own = inputs_of_part(data, x)
    if own is not None or data.transform is None:
        return np.asarray(x if own is None else own)
    if (named := named_row(x)) is not None:
        return data.transform.encode(named)[0]
    if np.ndim(x) == 1 and not hasattr(x, "columns"):
        return data.transform.encode(np.asarray(x)[None])[0]
    return data.transform.encode(x)
