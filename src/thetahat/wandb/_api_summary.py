"""The summary of a run, as ``wandb.Api`` gives it: nested values, and changes to them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from thetahat.store import RunRow, Store
from thetahat.wandb._values import plain

_AGGREGATES = ("min", "max", "mean", "best", "last", "first")


class ApiSummary(Mapping[str, Any]):
    """The summary of a run; ``update`` writes to the store."""

    def __init__(self, store: Store, run: RunRow, flat: Mapping[str, Any]) -> None:
        self._store, self._row, self._items = store, run, _nested(flat)

    def update(self, values: Mapping[str, Any] | None = None) -> None:
        """Write values."""
        given = {k: plain(v) for k, v in (values or {}).items()}
        self._items |= given
        store, row = self._store, self._row
        metrics = {k: v for k, v in given.items() if type(v) in (int, float)}
        words = {k: v for k, v in given.items() if k not in metrics}
        full = store.run(row.id)
        detail = dict(full.detail or {})
        # Of each name the last value counts, whatever its type.
        before = {k: v for k, v in detail.get("logged", {}).items() if k not in metrics}
        metrics = {k: v for k, v in full.metrics.items() if k not in words} | metrics
        detail["logged"] = {**before, **words}
        with store.batch() as writer:
            writer.execute(
                "UPDATE runs SET metrics = :metrics, detail = :detail WHERE id = :run",
                {
                    "run": row.id,
                    "metrics": json.dumps(metrics),
                    "detail": json.dumps(detail),
                },
            )

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    @property
    def _json_dict(self) -> dict[str, Any]:
        return dict(self._items)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._items:
            raise AttributeError(name)
        return self._items[name]

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Nest values at the dots of their names: ``val.rmse`` is ``summary["val"]["rmse"]``."""
    found: dict[str, Any] = {}
    for name, value in sorted(flat.items(), key=lambda item: item[0].count(".")):
        *path, last = name.split(".")
        if path and last in _AGGREGATES and ".".join(path) in flat:
            # A metric that was defined with a summary of its own.
            at = found.get(".".join(path))
            found[".".join(path)] = {**(at if isinstance(at, dict) else {}), last: value}
            continue
        at, ok = found, True
        for word in path:
            inner = at.setdefault(word, {})
            ok = ok and isinstance(inner, dict)
            at = inner if isinstance(inner, dict) else {}
        if ok:
            at[last] = value
        else:
            found[name] = value
    return found
