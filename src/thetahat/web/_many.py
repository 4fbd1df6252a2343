"""Sweeps of very many runs: a sample for the charts, pages of the table."""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thetahat.analysis import flat_config
from thetahat.core.errors import ConfigError
from thetahat.store import (
    Store,
    SweepRow,
    places,
    run_columns,
    run_values,
    runs_stand,
)
from thetahat.web._over_all import over_all
from thetahat.web._settings import settings

_LOOKED_AT = 200
_MOST_CACHED = 16
_TOKEN = re.compile(
    r'([^\s"<>=!~]+)\s*(<=|>=|!=|==|=|<|>|~)\s*("[^"]*"|[^\s"]*)'
    r'|([^\s"<>=!~]+)\s+in\s*[(\[{]([^)\]}]*)[)\]}]|"[^"]*"|\S+',
    re.IGNORECASE,
)
_OWN = (
    *("name", "status", "reason", "epochs", "seconds", "n_params", "agent", "attempt", "number"),
    *("contaminated", "created", "point", "replicate", "best_val_risk", "best_epoch"),
)
Test = Callable[[Any], bool]


def sampled(
    store: Store, sweep: SweepRow, metric: str, goal: str, most: int, stand: Any = None
) -> tuple[dict[str, Any], str]:
    """Return numbers over all runs of a sweep, and a sample of its runs as columns of JSON.

    The sample is drawn by lot, always the same, and holds every run that was the best so far.

    Args:    stand: how the runs stand, if it has just been read.
    """
    known = {**over_all(store, sweep, metric, goal, stand)}
    chosen = {*known.pop("lot")[:most], *known.pop("needed")}
    return {**known, "drawn": len(chosen)}, run_columns(store, sweep_id=sweep.id, ids=chosen)


def settings_of_some(found: Mapping[str, Any], ids: Sequence[str]) -> dict[str, Any]:
    """Return a ranking of settings with those of some runs only: all would be megabytes."""
    places = {run: found["place"][run] for run in ids if run in found["place"]}
    kept = {place: k for k, place in enumerate(sorted(set(places.values())))}
    listed = [{**found["settings"][place], "rank": place} for place in kept]
    return {**found, "settings": listed, "place": {run: kept[p] for run, p in places.items()}}


@dataclass(frozen=True)
class Query:
    """What the table of a sweep shows, and in which order."""

    where: str = ""
    brush: str = ""
    """JSON: objects with a ``column`` and either ``spans`` of numbers or ``words``."""
    sort: str = ""
    metric: str = ""
    goal: str = "minimize"


def read_query(asked: Mapping[str, Any]) -> Query:
    """Read a query from a request, where every part is text."""
    names = ("where", "brush", "sort", "metric", "goal")
    given = {name: asked[name] for name in names if isinstance(asked.get(name), str)}
    return Query(**given)


class SortedRuns:
    """The runs that pass a query, in their order; cached until another run begins or ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Any, tuple[Any, tuple[list[str], list[str]]]] = {}

    def get(self, store: Store, sweep: SweepRow, query: Query) -> tuple[list[str], list[str]]:
        """Return ids, and the words that no run's name contains.

        Raises:  ConfigError: a condition that is not understood.
        """
        key, stand = (str(store.path), sweep.id, query), runs_stand(store, sweep.id)
        with self._lock:
            known = self._known.pop(key, None)
            if known is None or known[0] != stand:
                known = (stand, _ordered(store, sweep, query))
            self._known[key] = known
            while len(self._known) > _MOST_CACHED:
                del self._known[next(iter(self._known))]
            return known[1]


def table_page(
    store: Store, sweep: SweepRow, query: Query, orders: SortedRuns, start: int, n: int
) -> str:
    """Return some rows of a sweep's table as JSON.

    Raises:  ConfigError: a condition that is not understood.
    """
    ids, lost = orders.get(store, sweep, query)
    some = ids[start : start + n]
    head: dict[str, Any] = {"n": len(ids), "lost": lost, "ids": some}
    if query.sort.removeprefix("-") == "setting":
        found = settings(store, sweep, query.metric, query.goal)
        head["settings"] = settings_of_some(found, some)
    return f'{json.dumps(head)[:-1]},"runs":{run_columns(store, sweep_id=sweep.id, ids=some)}}}'


def _ordered(store: Store, sweep: SweepRow, query: Query) -> tuple[list[str], list[str]]:
    by = query.sort.removeprefix("-")
    terms, words = read_filter(query.where)
    brushes = _brushes(query.brush)
    seen = _names_of_some(store, sweep) if terms else set()
    meant = {term.column: _meant(term.column, seen) for term in terms}
    names = {name for columns in meant.values() for name in columns}
    names |= {column for column, _ in brushes} | ({"name"} if words else set())
    if by and by != "setting":
        names |= {_known(by)}
    ids, columns = run_values(store, sweep.id, sorted(names))
    keep = list(range(len(ids)))
    for term in terms:
        column = _column(term.column, meant[term.column], columns)
        keep = [i for i in keep if term.test(column[i])]
    for name, test in brushes:
        keep = [i for i in keep if test(columns[name][i])]
    lost = []
    for word in words:
        part = word.lower()
        inside = [part in name.lower() for name in columns["name"]]
        inside = [there or run.startswith(part) for there, run in zip(inside, ids, strict=True)]
        lost += [] if any(inside) else [word]
        keep = [i for i in keep if inside[i]]
    if by == "setting":
        place = settings(store, sweep, query.metric, query.goal)["place"]
        values = [place.get(ids[i]) for i in keep]
    else:
        values = [None if (v := columns[_known(by)][i]) == "" else v for i in keep] if by else []
    order = places(values, descending=query.sort.startswith("-")) if by else range(len(keep))
    return [ids[keep[i]] for i in order], lost


@dataclass(frozen=True)
class Term:
    """A condition of the filter: a column as it was written, and its test."""

    column: str
    test: Test


def read_filter(text: str) -> tuple[list[Term], list[str]]:
    """Read the filter of the table: conditions, and words that names must contain.

    >>> [term.column for term in read_filter("lr>0.01 width in (8, 16) otter")[0]]
    ['lr', 'width']

    Raises:  ConfigError: a condition that is not understood.
    """
    terms, words = [], []
    for match in _TOKEN.finditer(text):
        name, operator, value, listed, values = match.groups()
        bare = match.group().replace('"', "")
        pair = re.fullmatch(r"([^:]+):(.+)", bare)
        if operator:
            terms.append(Term(name, _test(name, operator, value.replace('"', ""))))
        elif listed:
            wanted = [word.strip().strip("'\"") for word in values.split(",")]
            terms.append(Term(listed, _any_of([_test(listed, "=", word) for word in wanted])))
        elif pair:
            terms.append(Term(pair[1], _test(pair[1], "=", pair[2])))
        elif re.fullmatch(r"and|&&?", bare, re.IGNORECASE):
            continue
        elif re.search(r"^(or|\|\|?)$|[<>=!~]", bare, re.IGNORECASE):
            raise ConfigError(
                f"“{bare}” is not understood: all conditions must hold, such as lr>0.01 width in"
                " (8, 16)"
            )
        else:
            words.append(bare)
    return terms, words


def _any_of(tests: Sequence[Test]) -> Test:
    return lambda found: any(test(found) for test in tests)


def _test(name: str, operator: str, word: str) -> Test:
    wanted = _as_number(word)
    if operator in ("=", "==", "!="):
        same = operator != "!="
        return lambda found: _alike(found, word, wanted) == same
    if operator == "~":
        return lambda found: found is not None and word.lower() in _word(found).lower()
    if wanted is None:
        raise ConfigError(
            f"“{name}{operator}{word}” is not understood: after {operator} write a number"
        )
    compare: dict[str, Callable[[float], bool]] = {
        "<": lambda found: found < wanted,
        ">": lambda found: found > wanted,
        "<=": lambda found: found <= wanted,
        ">=": lambda found: found >= wanted,
    }
    return lambda found: type(found) in (int, float) and compare[operator](found)


def _alike(found: Any, word: str, wanted: float | None) -> bool:
    if wanted is not None and type(found) in (int, float):
        return found == wanted
    return _word(found).lower() == word.lower()


def _word(value: Any) -> str:
    """Write a value as the page does."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value if isinstance(value, str) else json.dumps(value)


def _as_number(word: str) -> float | None:
    try:
        found = float(word)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def columns_for(name: str) -> list[str]:
    """Return the columns that a name of the filter may mean, the first first."""
    section, dot, rest = name.partition(".")
    if dot and section in ("config", "c"):
        return [f"c.{rest}"]
    if dot and section in ("metrics", "m"):
        return [f"m.{rest}"]
    return [name] if name in _OWN else [f"m.{name}", f"c.{name}"]


def _names_of_some(store: Store, sweep: SweepRow) -> set[str]:
    """Return the columns of the latest runs, which are those of nearly all."""
    found: set[str] = set()
    for run in store.runs(sweep_id=sweep.id, sort="-number", limit=_LOOKED_AT):
        found |= {f"m.{name}" for name in run.metrics}
        found |= {f"c.{name}" for name in flat_config(run.config)}
    return found


def _meant(name: str, seen: Collection[str]) -> list[str]:
    """Return the columns that a name may mean: those that some runs have, else all."""
    may = columns_for(name)
    return [one for one in may if one in seen] or may


def _column(name: str, meant: Sequence[str], columns: Mapping[str, list[Any]]) -> list[Any]:
    for one in meant:
        if one in _OWN or any(value is not None for value in columns[one]):
            return columns[one]
    if not any(columns.values()):
        return []
    raise ConfigError(f"no run has a column “{name}”")


def _known(name: str) -> str:
    """Refuse a column to sort by that no run can have."""
    if name not in _OWN and name[:2] not in ("c.", "m."):
        raise ConfigError(f"the table has no column “{name[:60]}”")
    return name


def _brushes(text: str) -> list[tuple[str, Test]]:
    try:
        return [(_known(one["column"]), _inside(one)) for one in json.loads(text or "[]")]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ConfigError(
            "brush must be JSON: a list of objects with a column and spans or words"
        ) from error


def _inside(brush: Mapping[str, Any]) -> Test:
    if "words" in brush:
        words = [(str(word), _as_number(str(word))) for word in brush["words"]]
        return lambda found: any(_alike(found, *word) for word in words)
    spans = [(float(low), float(high)) for low, high in brush["spans"]]
    return lambda found: (
        type(found) in (int, float) and any(low <= found <= high for low, high in spans)
    )
