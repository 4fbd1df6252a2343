"""Read what a Task starts from, when its fit begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from thetahat.core import ConfigError
from thetahat.core.start import Start
from thetahat.data import from_stored
from thetahat.train._columns_json import read_columns
from thetahat.train._tensor_file import explained, read_tensors

_PARAMETERS = ("params/", "frozen/")


def read_start(given: Start | Path | None) -> Start | None:
    """The parameters that a fit starts from; None where it draws them.

    Raises:  ConfigError: they are not finite.   InputError: the file is not that of one model.
    """
    if given is None:
        return None
    start = _of_file(given) if isinstance(given, Path) else given
    for path, leaf in start.leaves.items():
        if not np.isfinite(np.asarray(leaf)).all():
            raise ConfigError(
                f"start: the parameter {path} is not finite in {start.origin};"
                " start from a fit that ended well"
            )
    return start


def _of_file(path: Path) -> Start:
    """The parameters in a saved model: the class of the user's own model is not needed."""
    document, arrays = read_tensors(path)
    with explained(path):
        members = document["members"]
        if len(members) != 1:
            raise ConfigError(
                f"start={path}: the file holds {len(members)} models; give one of them:"
                f" start=th.load({str(path)!r})[0]"
            )
        leaves = {
            _unescaped(name.removeprefix(f"0/{kind}")): array
            for kind in _PARAMETERS
            for name, array in arrays.items()
            if name.startswith(f"0/{kind}") and array.dtype.kind == "f"
        }
        transform, classes = (
            from_stored(members[0].get(key), arrays) for key in ("transform", "classes")
        )
        model, columns = members[0]["model"], read_columns(members[0])
        return Start(leaves, transform, classes, model, str(path), columns)


def _unescaped(name: str) -> str:
    return name.replace("~1", "/").replace("~0", "~")
