"""The summary of a run, as ``wandb.Api`` gives it: under the names that were logged."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thetahat.core.json import from_json, to_json
from thetahat.store import RunRow, Store
from thetahat.wandb._conditions import KeptValues
from thetahat.wandb._define import SUMMARIES
from thetahat.wandb._run import NESTED, OWN_STEP
from thetahat.wandb._values import leaves, nested, plain

_READ = "SELECT metrics, detail, labels FROM runs WHERE id = :run"
_WRITE = "UPDATE runs SET metrics = :metrics, detail = :detail, labels = :labels WHERE id = :run"


class ApiSummary(Mapping[str, Any]):
    """The summary of a run; ``update`` writes to the store.

    A value is under the name that it was logged by: ``log({"val.rmse": 1})`` makes
    ``summary["val.rmse"]``, and ``log({"val": {"rmse": 1}})`` makes ``summary["val"]["rmse"]``.
    Each can be read by the other's name too.

    Args:    hidden: the run's hidden labels, which say what was logged as a mapping.
    """

    def __init__(
        self, store: Store, run: RunRow, flat: Mapping[str, Any], hidden: Mapping[str, Any]
    ) -> None:
        self._store, self._row, self._flat = store, run, dict(flat)
        self._mappings = set(hidden.get(NESTED, ()))
        self._kept = tuple(hidden.get(SUMMARIES, ()))
        self._items = _as_logged(self._flat, self._mappings, self._kept)

    def update(self, values: Mapping[str, Any] | None = None) -> None:
        """Take values, and write all that has changed."""
        self._items |= {str(k): plain(v) for k, v in (values or {}).items()}
        before = _as_logged(self._flat, self._mappings, self._kept)
        changed = {k: v for k, v in self._items.items() if not _is_equal(before, k, v)}
        gone = _names_of(self._flat, before, {*changed, *(k for k in before if k not in self)})
        mappings = {k for k, v in changed.items() if isinstance(v, Mapping)}
        flat = dict(leaves(changed))
        self._flat = {k: v for k, v in self._flat.items() if k not in gone} | flat
        self._mappings |= mappings
        if flat or gone:
            self._write(flat, gone)

    def _write(self, flat: Mapping[str, Any], gone: set[str]) -> None:
        out = {form for name in (*gone, *flat) for form in (name, _stored(name))}
        with self._store.batch() as writer:
            run = {"run": self._row.id}
            metrics, detail, labels = map(from_json, writer.execute(_READ, run).fetchone())
            metrics = {k: v for k, v in metrics.items() if k not in out}
            words = {k: v for k, v in detail.get("logged", {}).items() if k not in out}
            for name, value in flat.items():
                into = metrics if type(value) in (int, float) else words
                into[_stored(name) if into is metrics else name] = value
            if self._mappings:
                labels[NESTED] = sorted({*labels.get(NESTED, ()), *self._mappings})
            given = {
                "metrics": to_json(metrics, numbers=True),
                "detail": to_json({**detail, "logged": words}),
                "labels": to_json(labels),
            }
            writer.execute(_WRITE, {**run, **given})

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __delitem__(self, name: str) -> None:
        """Take a value out; ``update`` writes that, as in W&B."""
        del self._items[name]

    @property
    def _json_dict(self) -> dict[str, Any]:
        return dict(self._items)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self:
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Any:
        if name in self._items:
            return self._items[name]
        # By the other form of its name.
        for at in [k for k, letter in enumerate(name) if letter == "."]:
            inner = self._items.get(name[:at])
            if isinstance(inner, Mapping) and (found := _at(inner, name[at + 1 :])) is not None:
                return found
        if found := nested(self._items, f"{name}."):
            return found
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)


def _as_logged(flat: Mapping[str, Any], mappings: set[str], kept: Sequence[str]) -> dict[str, Any]:
    """Return the values as they were logged.

    Args:    mappings: names of what was logged as a mapping.
             kept: what ``define_metric`` asked for, such as ``loss.min`` or ``val/*.max``.
    """
    whole: dict[str, Any] = {}
    for name, value in flat.items():
        base, _, kind = name.rpartition(".")
        if base and _is_kept(base, kind, kept):
            before = whole.get(base)
            whole[base] = KeptValues(
                {**(before if isinstance(before, KeptValues) else {}), kind: value}
            )
        elif not isinstance(whole.get(name), KeptValues):
            whole[name] = value
    found: dict[str, Any] = {}
    for name, value in whole.items():
        top = max((m for m in mappings if name.startswith(f"{m}.")), key=len, default=None)
        if top is None:
            found[name] = value
            continue
        at = found[top] if isinstance(found.get(top), dict) else found.setdefault(top, {})
        if not isinstance(at, dict):  # a number under this name too: it was logged first
            found[name] = value
            continue
        *path, last = name[len(top) + 1 :].split(".")
        for word in path:
            inner = at.setdefault(word, {})
            at = inner if isinstance(inner, dict) else at
        at[last] = value
    return found


def _is_kept(base: str, kind: str, kept: Sequence[str]) -> bool:
    parts = (one.rpartition(".") for one in kept)
    return any(k == kind and (p == base or fnmatch.fnmatch(base, p)) for p, _, k in parts)


def _at(values: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path through mappings; None if there is none."""
    if path in values:
        return values[path]
    first, _, rest = path.partition(".")
    inner = values.get(first)
    return _at(inner, rest) if rest and isinstance(inner, Mapping) else None


def _is_equal(before: Mapping[str, Any], name: str, value: Any) -> bool:
    known = before.get(name)
    return name in before and type(known) is type(value) and known == value


def _names_of(flat: Mapping[str, Any], before: Mapping[str, Any], tops: set[str]) -> set[str]:
    """Return the flat names of values, by the names that they were logged by."""
    found = {name for name in flat if name in tops}
    inside = tuple(f"{top}." for top in tops if isinstance(before.get(top), Mapping))
    return found | {name for name in flat if inside and name.startswith(inside)}


def _stored(name: str) -> str:
    return OWN_STEP if name == "step" else name
