"""The names of the module ``wandb``: those of most programs here, the others when first used."""

from __future__ import annotations

import importlib

from thetahat.wandb._run import Error, Run, UsageError, current, finish, init as init

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.31.0"
"""The version of wandb whose calls are answered."""

_HOMES = {
    **dict.fromkeys(("sweep", "agent", "controller"), "_sweep"),
    **dict.fromkeys(("Api", "PublicApi"), "_api"),
    **dict.fromkeys(("Artifact", "ArtifactTTL"), "_artifacts"),
    **dict.fromkeys(
        (
            *("Image", "Table", "Histogram", "Html", "Plotly", "Video", "Audio", "Object3D"),
            *("Molecule", "Graph", "Classes", "JoinedTable", "box3d"),
        ),
        "_media",
    ),
    **dict.fromkeys(("plot_table", "visualize"), "_plot"),
    **dict.fromkeys(
        (
            *("login", "setup", "teardown", "require", "Settings", "termlog", "termwarn"),
            *("termerror", "ensure_configured", "restore", "RunDisabled", "generate_id"),
            "CommError",
        ),
        "_old_names",
    ),
}
_MODULES = ("data_types", "plot", "keras", "errors", "util", "sdk", "env", "apis", "integration")
_OF_RUN = frozenset(
    {
        *("log", "save", "watch", "unwatch", "define_metric", "alert", "log_artifact"),
        *("use_artifact", "link_artifact", "log_model", "use_model", "link_model", "log_code"),
        *("mark_preempting", "config", "summary", "upsert_artifact", "finish_artifact"),
    }
)
_FIXED = {"Run": Run, "Error": Error, "UsageError": UsageError, "finish": finish, "join": finish}


def __getattr__(name: str) -> Any:
    if name == "run":
        return current[-1] if current else None
    if name in _OF_RUN:
        if current:
            return getattr(current[-1], name)
        return _Before(name)
    if name in _FIXED:
        return _FIXED[name]
    if name in _MODULES:
        return importlib.import_module(f"wandb.{name}")
    if name in _HOMES:
        home = importlib.import_module(f"thetahat.wandb.{_HOMES[name]}")
        return getattr(home, name)
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(
        f"wandb.{name} is not answered by thetahat; THETAHAT_WANDB=real runs the program with the"
        " installed package"
    )


class _Before:
    """What ``wandb.log``, ``wandb.config`` and the like are before ``wandb.init``."""

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise Error(f"You must call wandb.init() before wandb.{self._name}")

    __call__ = __getitem__ = __setitem__ = __setattr__ = _refuse

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        return self._refuse()

    def __repr__(self) -> str:
        return f"<wandb.{self._name}, before wandb.init()>"
