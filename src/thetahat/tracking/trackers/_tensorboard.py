"""``th.trackers.tensorboard``: scalars and hyperparameters for TensorBoard, by tensorboardX."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from thetahat.core.errors import ConfigError
from thetahat.core.files import given_path
from thetahat.core.run import Ended, Started
from thetahat.tracking.trackers._tracker import (
    EpochColumns,
    RunTracker,
    check_installed,
    config_of,
    flat,
)

RESULT = "result/"
"""Before the names of a run's final numbers: a column of each epoch may have the same name."""


def tensorboard(
    folder: str | os.PathLike[str] = "tensorboard", *, name: str | None = None
) -> RunTracker:
    """Keep each run in a folder of its own for TensorBoard: a scalar for each column and epoch; at
    the end its parameters (HParams) and its numbers, as ``result/val_risk``.

    Args:    folder: for all runs: ``tensorboard --logdir FOLDER``.
             name: of a run's folder; if it exists, ``name-1``, ``name-2``, ....
             By default the run's name in a sweep, else "run".
    Returns: a function of events, for ``th.fit(..., on=[...])``.
    Raises:  MissingExtra: tensorboardX is not installed.
    """
    check_installed("tensorboardX", "th.trackers.tensorboard()", "tensorboard")
    where = given_path("folder", folder, "tensorboard")
    if name is not None and (not isinstance(name, str) or not name or Path(name).name != name):
        raise ConfigError(f"name={name!r} is not the name of a folder; give one, such as 'wage'")

    def begin(event: Started, number: int) -> _Scalars:
        if name is None and event.name:  # of its own
            number = 0
        return _Scalars(_new_folder(where, name or event.name or "run", number), event)

    return RunTracker("th.trackers.tensorboard", begin, {"folder": str(where), "name": name})


def _new_folder(where: Path, name: str, number: int) -> Path:
    """Make the folder of a run; an earlier run keeps its own."""
    while True:
        path = where / (f"{name}-{number}" if number else name)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            if not path.is_dir():
                raise
            number += 1
        else:
            return path


class _Scalars:
    """The event file of one run."""

    def __init__(self, path: Path, event: Started) -> None:
        from tensorboardX import SummaryWriter

        self._config = flat(config_of(event))
        self._writer = SummaryWriter(str(path))

    def log(self, columns: EpochColumns) -> None:
        epochs, *_ = columns.values()
        for name, values in list(columns.items())[1:]:
            for epoch, value in zip(epochs, values, strict=True):
                self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def end(self, event: Ended) -> None:
        from tensorboardX.summary import hparams

        known: dict[str, Any] = {k: v for k, v in event.metrics.items() if v is not None}
        for name, value in known.items():
            self._writer.add_scalar(RESULT + name, value, event.epochs)
        config = {
            k: v if isinstance(v, (bool, int, float, str)) else str(v)
            for k, v in {**self._config, "status": str(event.status)}.items()
        }
        file = self._writer.file_writer
        assert file is not None, "begin() opened it"
        for summary in hparams(config, dict.fromkeys(RESULT + name for name in known)):
            file.add_summary(summary)
        self._writer.close()
