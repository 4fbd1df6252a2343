"""What runs of ``wandb`` can do beside logging: files, watching, alerts, artifacts."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Sequence
from typing import Any

from thetahat.wandb._define import define
from thetahat.wandb._run import Run, warn


def method_of(run: Run, name: str) -> Any:
    """Return a method or attribute of a run that few programs use.

    Raises:  AttributeError: it is not answered.
    """
    if name in _METHODS:
        return functools.partial(_METHODS[name], run)
    if name in _FILES:
        from thetahat.wandb import _files

        return _files.attribute(run, name)
    if name in _ARTIFACTS:
        from thetahat.wandb import _artifact_calls

        return functools.partial(getattr(_artifact_calls, name), run)
    if name == "config_static":
        return run.config
    if name == "history":
        return run
    if name.startswith("_"):
        raise AttributeError(name)
    raise AttributeError(
        f"run.{name} is not answered by thetahat; THETAHAT_WANDB=real runs the program with the"
        " installed package"
    )


def watch(
    run: Run,
    models: Any = None,
    criterion: Any = None,
    log: str | None = "gradients",
    log_freq: int = 1000,
    idx: int | None = None,
    log_graph: bool = False,
) -> list[Any]:
    """Watch a model: its gradients and parameters are not kept, which is said once."""
    if "watch" not in run._warned and log is not None:
        run._warned.add("watch")
        warn(
            f"watch(log={log!r}): thetahat keeps no histograms of gradients and parameters; log"
            " their norms by run.log"
        )
    return []


def alert(
    run: Run, title: str, text: str = "", level: Any = None, wait_duration: Any = None
) -> None:
    """Tell the user: a line on standard error, and a note of the run."""
    line = f"{title}: {text}" if text else title
    warn(f"alert: {line}")
    alerts = [*run._labels.get("alerts", ()), line]
    run._label(alerts=alerts)


def to_html(run: Run, height: int = 420, hidden: bool = False) -> str:
    """Return a line about the run, for a notebook."""
    return f"<p>wandb run {html.escape(run.name)}, kept by thetahat</p>"


def display(run: Run, height: int = 420, hidden: bool = False) -> bool:
    """Show the run in a notebook: there is no page of a server."""
    return False


def plot_table(run: Run, vega_spec_name: str, data_table: Any, fields: Any = None, **_: Any) -> Any:
    """Return a custom chart, which keeps its table."""
    from thetahat.wandb._plot import plot_table as made

    return made(vega_spec_name, data_table, fields or {})


def _nothing(run: Run, *_: Any, **__: Any) -> None:
    """Do nothing: a server would."""


def status(run: Run) -> Any:
    """Return what waits to be sent: nothing."""
    return None


def pin_config_keys(run: Run, keys: Sequence[str] = ()) -> None:
    """Nothing: the page chooses its columns."""


_METHODS: dict[str, Callable[..., Any]] = {
    "define_metric": define,
    "_define_metric": define,
    "watch": watch,
    "unwatch": _nothing,
    "alert": alert,
    "to_html": to_html,
    "display": display,
    "plot_table": plot_table,
    "mark_preempting": _nothing,
    "log_code": _nothing,
    "write_logs": _nothing,
    "status": status,
    "pin_config_keys": pin_config_keys,
    "get_sweep_url": _nothing,
    "_repr_mimebundle_": _nothing,
}
_FILES = ("dir", "save", "restore")
_ARTIFACTS = (
    *("log_artifact", "use_artifact", "link_artifact", "upsert_artifact", "finish_artifact"),
    *("log_model", "use_model", "link_model"),
)
