"""``wandb.config``: the config of a run, in which the values of a sweep stand."""

from __future__ import annotations

from thetahat.wandb._values import as_mapping, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any


class Config:
    """Values by name, as items and as attributes.

    Args:    locked: values of the sweep: what the program gives for these names is ignored.
             tell: called with each change.
    """

    def __init__(self, locked: Mapping[str, Any], tell: Callable[[dict[str, Any]], None]) -> None:
        object.__setattr__(self, "_items", dict(locked))
        object.__setattr__(self, "_locked", dict(locked))
        object.__setattr__(self, "_tell", tell)

    def keys(self) -> list[str]:
        """Return the names."""
        return list(self._items)

    def values(self) -> list[Any]:
        """Return the values."""
        return list(self._items.values())

    def items(self) -> list[tuple[str, Any]]:
        """Return names and values."""
        return list(self._items.items())

    def as_dict(self) -> dict[str, Any]:
        """Return a copy."""
        return dict(self._items)

    _as_dict = as_dict

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, or ``default``."""
        return self._items.get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        """Return a value and forget it here; the store keeps it."""
        return self._items.pop(key, *default)

    def update(
        self, d: Any = None, allow_val_change: bool | None = None, **more: Any
    ) -> None:  # the names are those of wandb
        """Take values of a mapping, a namespace, flags, or a file of YAML."""
        self._take({**as_mapping(d), **more})

    def update_locked(self, d: Any, user: str | None = None, **_: Any) -> None:
        """Take values, as ``update`` does."""
        self._take(as_mapping(d))

    def setdefaults(self, d: Any) -> None:
        """Take values whose names are new."""
        self._take({k: v for k, v in as_mapping(d).items() if k not in self._items})

    def persist(self) -> None:
        """Nothing waits to be written."""

    def _take(self, given: Mapping[str, Any]) -> None:
        changed = {}
        for name, value in given.items():
            key, new = name.strip("-"), plain(value)
            if key in self._locked:
                new = _under(new, self._locked[key])
            changed[key] = new
        self._items.update(changed)
        if changed:
            self._tell(changed)

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._take({key: value})

    def __setattr__(self, key: str, value: Any) -> None:
        self._take({key: value})

    def __delitem__(self, key: str) -> None:
        del self._items[key]

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        try:
            return self._items[key]
        except KeyError:
            raise AttributeError(
                f"wandb.config has no value {key!r}; it has {', '.join(self._items) or 'none'}"
            ) from None

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __eq__(self, other: object) -> bool:
        return self._items == (other._items if isinstance(other, Config) else other)

    def __repr__(self) -> str:
        return str(self._items)


def _under(given: Any, locked: Any) -> Any:
    """Return the sweep's value; of two mappings, both, where the sweep's values stand."""
    if isinstance(given, dict) and isinstance(locked, dict):
        return {**given, **{k: _under(given.get(k), v) for k, v in locked.items()}}
    return locked
