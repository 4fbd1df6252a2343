"""What the runs, sweeps and artifacts of ``wandb.Api`` ask of the Api that they come from."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from thetahat.store import Store


class AskedApi(Protocol):
    """The Api, as its parts know it."""

    @functools.cached_property
    def store(self) -> Store:
        """The store."""
        ...

    @property
    def viewer(self) -> Any:
        """The user."""
        ...

    @functools.cached_property
    def stored_artifacts(self) -> Any:
        """The artifacts of the store."""
        ...

    def sweep(self, path: str = "") -> Any:
        """Return a sweep by its id."""
        ...

    def artifact(self, name: str, type: str | None = None) -> Any:
        """Return an artifact by its name."""
        ...
