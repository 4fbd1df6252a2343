"""``wandb.integration.keras`` and ``wandb.keras``: callbacks that log what Keras reports."""

from __future__ import annotations

import functools
import importlib
import os
from typing import Any

from thetahat.wandb._artifact_calls import log_artifact
from thetahat.wandb._artifacts import Artifact
from thetahat.wandb._run import Error, current


class _MetricsLogger:
    """Logs the metrics of each epoch, or of each batch, as ``epoch/loss`` and ``batch/loss``."""

    model: Any

    def __init__(self, log_freq: Any = "epoch", initial_global_step: int = 0, **_: Any) -> None:
        super().__init__()
        if not current:
            raise Error("You must call wandb.init() before WandbMetricsLogger()")
        freq = 1 if log_freq == "batch" else log_freq
        self.freq: int | None = freq if isinstance(freq, int) else None
        self.batches = initial_global_step
        part, step = ("batch", "batch_step") if self.freq else ("epoch", "epoch")
        current[-1].define_metric(f"{part}/{step}")
        current[-1].define_metric(f"{part}/*", step_metric=f"{part}/{step}")

    def _rate(self) -> dict[str, float]:
        rate = getattr(getattr(self.model, "optimizer", None), "learning_rate", None)
        try:
            return {} if rate is None else {"learning_rate": float(rate)}
        except (TypeError, ValueError):  # a schedule
            return {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log an epoch."""
        row = {"epoch": epoch, **(logs or {}), **self._rate()}
        current[-1].log({f"epoch/{name}": value for name, value in row.items()})

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Log a batch, if it is asked for."""
        if self.freq and self.batches % self.freq == 0:
            row = {"batch_step": self.batches, **(logs or {}), **self._rate()}
            current[-1].log({f"batch/{name}": value for name, value in row.items()})
        self.batches += 1


class _ModelCheckpoint:
    """Saves models as Keras does, and logs each file as an artifact."""

    filepath: Any

    def _save_model(self, *args: Any, **kwargs: Any) -> Any:
        done = super()._save_model(*args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        path = str(self.filepath)
        if current and os.path.exists(path):
            made = Artifact(f"run_{current[-1].id}_model", "model")
            made.add_dir(path) if os.path.isdir(path) else made.add_file(path)
            log_artifact(current[-1], made)
        return done


class _Callback:
    """The old callback: logs the metrics of each epoch under their own names."""

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", **_: Any) -> None:
        super().__init__()
        if not current:
            raise Error("You must call wandb.init() before WandbCallback()")
        self.monitor = monitor
        word = "max" if "acc" in monitor or monitor.startswith("fmeasure") else "min"
        self.better = max if (mode if mode != "auto" else word) == "max" else min
        self.best: float | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log an epoch, and keep the best in the summary."""
        row = dict(logs or {})
        current[-1].log({"epoch": epoch, **row})
        value = row.get(self.monitor)
        if value is None:
            return
        if self.best is None or self.better(value, self.best) != self.best:
            self.best = float(value)
            current[-1].summary.update({f"best_{self.monitor}": self.best, "best_epoch": epoch})


class _EvalCallback:
    """Not answered: its tables of predictions are the program's own work."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise Error(
            "WandbEvalCallback is not answered by thetahat; log a wandb.Table in a callback of your"
            " own. THETAHAT_WANDB=real runs the program with the installed package"
        )


_BASES = {
    "WandbMetricsLogger": (_MetricsLogger, "Callback"),
    "WandbModelCheckpoint": (_ModelCheckpoint, "ModelCheckpoint"),
    "WandbCallback": (_Callback, "Callback"),
    "WandbEvalCallback": (_EvalCallback, "Callback"),
}


@functools.cache
def __getattr__(name: str) -> Any:
    """Make a callback: Keras is loaded when a program asks for one."""
    if name not in _BASES:
        raise AttributeError(name)
    callbacks = importlib.import_module("keras.callbacks")
    own, base = _BASES[name]
    return type(name, (own, getattr(callbacks, base)), {"__doc__": own.__doc__})
