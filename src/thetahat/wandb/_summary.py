"""``wandb.summary``: the last value of all that a run logged, and what its program puts there."""

from __future__ import annotations

from thetahat.wandb._values import leaves, nested, number_in, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any


class Summary:
    """Values by name, as items and as attributes; nested ones also as ``summary["val"]["rmse"]``.

    Args:    tell: called with each change by the program, the names that it removed, and those
                   of values that are mappings.
    """

    def __init__(self, tell: Callable[[dict[str, Any], list[str], list[str]], None]) -> None:
        object.__setattr__(self, "_items", {})
        object.__setattr__(self, "_tell", tell)

    def logged(self, values: Mapping[str, Any]) -> None:
        """Take values of a row of history."""
        self._items.update(values)

    @property
    def flat(self) -> Mapping[str, Any]:
        """The values by flat names."""
        return self._items

    def drop(self, names: Iterable[str]) -> None:
        """Take values out, which the caller tells of."""
        for name in names:
            self._items.pop(name, None)

    def keys(self) -> list[str]:
        """Return the names."""
        return list(self._items)

    def values(self) -> list[Any]:
        """Return the values."""
        return list(self._items.values())

    def items(self) -> list[tuple[str, Any]]:
        """Return names and values."""
        return list(self._items.items())

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, or ``default``."""
        try:
            return self[key]
        except KeyError:
            return default

    def update(self, d: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Take values."""
        given = {**(d or {}), **more}
        flat = dict(leaves(given))
        plainly = {}
        for name, value in flat.items():
            number = None if isinstance(value, (int, float)) else number_in(value)
            plainly[name] = plain(value) if number is None else number
        self._items.update(plainly)
        self._tell(plainly, [], [str(name) for name in given if name not in flat])

    def _as_dict(self) -> dict[str, Any]:
        return dict(self._items)

    def __getitem__(self, key: str) -> Any:
        if key in self._items:
            return self._items[key]
        inner = nested(self._items, f"{key}.")
        if not inner:
            raise KeyError(key)
        return inner

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __setattr__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        del self._items[key]
        self._tell({}, [key], [])

    def __delattr__(self, key: str) -> None:
        del self[key]

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"wandb.summary has no value {key!r}") from None

    def __contains__(self, key: object) -> bool:
        return key in self._items or any(n.startswith(f"{key}.") for n in self._items)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return str(self._items)
