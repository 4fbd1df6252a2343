"""Read what a Task starts from, when its fit begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from thetahat.core import ConfigError
from thetahat.core.start import Start


def read_start(given: Start | Path | None) -> Start | None:
    """The parameters that a fit starts from; None where it draws them.

    Raises:  ConfigError: they are not finite, or the file is not a saved model.
    """
    if given is None:
        return None
    if isinstance(given, Path):
        raise ConfigError(f"start={given}: models cannot be read from files yet; give a Result")
    for path, leaf in given.leaves.items():
        if not np.isfinite(np.asarray(leaf)).all():
            raise ConfigError(
                f"start: the parameter {path} is not finite in {given.origin};"
                " start from a fit that ended well"
            )
    return given
