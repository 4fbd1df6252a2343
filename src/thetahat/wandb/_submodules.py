"""Submodules of the program's ``wandb``: those that are answered, under their names of wandb.

``from wandb.sdk.lib import runid`` and the like import a module of this room. Another submodule is
named in one message.
"""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_ANSWERS = {
    "util": "_old_names",
    "errors": "_errors",
    "errors.errors": "_errors",
    "keras": "_keras",
    "integration": "_old_names",
    "integration.keras": "_keras",
    "integration.lightning": "_old_names",
    "data_types": "_media",
    "plot": "_plot",
    "sdk": "_old_names",
    "sdk.lib": "_old_names",
    "sdk.lib.runid": "_old_names",
    "sdk.lib.disabled": "_old_names",
    "sdk.wandb_run": "_module",
    "sdk.wandb_config": "_config",
    "sdk.wandb_settings": "_old_names",
    "sdk.data_types": "_media",
    "sdk.artifacts": "_artifacts",
    "sdk.artifacts.artifact": "_artifacts",
    "wandb_run": "_module",
    "apis": "_api",
    "apis.public": "_api",
    "agents": "_sweep",
    "env": "_old_names",
}
"""Modules of this room by the names of wandb."""


class _Finder:
    """Finds ``wandb.NAME`` for Python's import."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if not name.startswith(f"{self.package}."):
            return None
        from importlib.machinery import ModuleSpec

        inner = name[len(self.package) + 1 :]
        if inner not in _ANSWERS:
            return None
        return ModuleSpec(name, self, is_package=True)  # pyright: ignore[reportArgumentType]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        from types import ModuleType

        return ModuleType(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        inner = module.__name__[len(self.package) + 1 :]
        answers = importlib.import_module(f"thetahat.wandb.{_ANSWERS[inner]}")
        given = {k: v for k, v in vars(answers).items() if not k.startswith("__")}
        module.__dict__.update(given)
        found = getattr(answers, "__getattr__", None)
        module.__dict__["__getattr__"] = found or _unknown(module.__name__)


def _unknown(name: str) -> Any:
    def refuse(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise AttributeError(
            f"{name}.{attribute} is not answered by thetahat; THETAHAT_WANDB=real runs the program"
            " with the installed package"
        )

    return refuse


def answer_submodules(package: str) -> None:
    """Let ``import PACKAGE.NAME`` find the modules of this room."""
    sys.meta_path.append(_Finder(package))  # pyright: ignore[reportArgumentType]
