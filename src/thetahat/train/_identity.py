"""The identity of a fit: the facts that a checkpoint keeps, and how two fits differ.

config        every parameter of every member, in their order
code          of the experiment and of what it calls; of residual, loss, penalty, metrics
task          model, loss, optimizer, batch size, sampling, seed, dtype, ... and their contents
mathematics   the jaxprs of the first state, the loss and the step, constants included
arrays        of every member: the data with their weights, and the initial parameters

Epochs and stopping rules may change, and so may a parameter or code that changes nothing else. If
Python or a library has another version, the parts that depend on it are not compared, with a note.
"""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thetahat.core import Task
from thetahat.core.content import content_key
from thetahat.core.provenance import versions
from thetahat.train._options import Cohort
from thetahat.train._program import Program

_FREE = ("data", "epochs", "start", "stopping")
"""Fields of a Task that are compared otherwise, or not at all."""
_MATHEMATICS = ("jax", "flax", "optax", "equinox", "thetahat")
"""Libraries whose versions may change a jaxpr of the same task."""
_MOST = 12
_LONGEST = 60
_DEEPEST = 8

Identity = Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """How a fit differs from the one that a checkpoint is of.

    Args:    refused: differences that are not allowed.   notes: those that are, in words.
             new_rules: whether the stopping rules differ.
    """

    refused: tuple[str, ...]
    notes: tuple[str, ...]
    new_rules: bool


def identity_of(cohort: Cohort) -> dict[str, Any]:
    """Everything but the arrays, in JSON's types."""
    configs = [{name: _short(v) for name, v in config.items()} for config in cohort.configs]
    return {**cohort.facts(), "configs": configs}


def program_facts(experiment: Callable[..., Any] | None, program: Program) -> dict[str, Any]:
    """The facts that are the same for any values of the traced parameters."""
    task: Task = program.task
    fields = [f.name for f in dataclasses.fields(task) if f.name not in _FREE]
    start = task.start
    begun = _fact(None) if start is None else {"key": start.key, "shown": str(start)}
    return {
        "versions": {"python": platform.python_version(), **versions()},
        "experiment": None if experiment is None else _fact(experiment, "code"),
        "traced": sorted(program.hyper.names),
        "task": {**{name: _part(getattr(task, name)) for name in fields}, "start": begun},
        "mathematics": dict(program.mathematics()),
        "recorded": list(program.columns),
        "epochs": int(task.epochs),
        "stopping": [_fact(rule) for rule in task.stopping],
    }


def member_identity(identity: Identity, place: int) -> dict[str, Any]:
    """The identity of one member of a cohort, as of a fit alone."""
    return {**identity, "configs": [identity["configs"][place]]}


def compare(
    before: Identity,
    now: Identity,
    idle: frozenset[int] = frozenset(),
    uses: Callable[[], frozenset[str]] = frozenset,
) -> Comparison:
    """How two identities differ.

    Args:    idle: positions of members that are not compared.
             uses: gives the traced parameters that matter beyond the stopping rules.
    """
    moved = _moved(before["versions"], now["versions"])
    same_code = "python" not in moved
    parts = list(_parts(before["task"], now["task"], same_code))
    if not parts and not any(name in moved for name in _MATHEMATICS):
        parts = list(_mathematics(before["mathematics"], now["mathematics"]))
    longer = before["epochs"] != now["epochs"]
    new_rules = same_code and _keys(before["stopping"]) != _keys(now["stopping"])
    config = list(_configs(before["configs"], now["configs"], idle))
    free = {"epochs"} if longer and "epochs" not in now["traced"] else set()
    if not parts:
        free |= _free({name for name, _ in config}, before, now, longer or new_rules, uses)
    refused = [text for name, text in config if name not in free]
    refused += parts
    may = longer or new_rules or bool(free)
    if same_code and _code(before) != _code(now) and (refused or not may):
        refused.append("the experiment's code differs")
    notes = [f"epochs {before['epochs']} -> {now['epochs']}"] if longer else []
    if new_rules:
        texts = [", ".join(r["shown"] for r in each["stopping"]) for each in (before, now)]
        notes.append("stopping changed: " + " -> ".join(text or "none" for text in texts))
    notes += [text for name, text in config if name in free and name != "epochs"]
    notes += [f"{name} was {a}, is {b}" for name, (a, b) in moved.items()]
    new_rules |= bool(free & {*now["traced"]})
    return Comparison(tuple(dict.fromkeys(refused)), tuple(notes), new_rules)


def _moved(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Versions that differ, of what both have; of Python, those with other bytecode."""
    found = {n: (v, now[n]) for n, v in before.items() if now.get(n, v) != v}
    if "python" in found and _minor(before["python"]) == _minor(now["python"]):
        del found["python"]
    return found


def _free(
    names: set[str],
    before: Identity,
    now: Identity,
    changed: bool,
    uses: Callable[[], frozenset[str]],
) -> set[str]:
    """Of parameters that differ: those that nothing but epochs and stopping rules depends on.

    Args:    changed: whether epochs or stopping rules differ, and no other part does.
    """
    traced = {*before["traced"], *now["traced"]}
    found = names - traced - {""} if changed else set()
    if names & traced and now["stopping"] and not _own_metrics(now):
        found |= names & traced - uses()
    return found


def _keys(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    return [rule["key"] for rule in rules]


def _code(identity: Identity) -> Any:
    return identity["experiment"] and identity["experiment"]["key"]


def compare_arrays(
    before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]], idle: frozenset[int]
) -> list[str]:
    """How the data and initial parameters of members differ, by their provenance."""
    found = []
    for k, (one, other) in enumerate(zip(before, now, strict=True)):
        if k in idle:
            continue
        for name in dict.fromkeys([*one, *other]):
            if not (name == "init" or name.startswith("data_")) or one.get(name) == other.get(name):
                continue
            part = name.removeprefix("data_")
            what = "initial parameters" if name == "init" else f"{_PARTS.get(part, part)} data"
            found.append(f"the {what} differ")
    if any("data" in text for text in found):  # the first parameters may depend on them
        found = [text for text in found if "data" in text]
    return list(dict.fromkeys(found))


def refusal(path: Any, differences: Sequence[str]) -> str:
    """The message about a checkpoint that belongs to another fit."""
    shown = list(differences[:_MOST])
    if len(differences) > _MOST:
        shown.append(f"and {len(differences) - _MOST} more")
    return (
        f"the checkpoint {path} belongs to another fit: {'; '.join(shown)}. Only epochs and"
        " stopping rules may change: go on with what it was made with, or give another checkpoint"
    )


_PARTS = {"train": "training", "val": "validation"}


# -- differences ----------------------------------------------------------------------------------


def _parts(before: Identity, now: Identity, same_code: bool) -> Iterator[str]:
    for name in dict.fromkeys([*before, *now]):
        one, other = before.get(name), now.get(name)
        if one is None or other is None:
            continue  # of a version of thetahat that had no such field
        if isinstance(one, Mapping) and "key" not in one:
            yield from _named(name, one, other, same_code)
        else:
            yield from _differ(name, one, other, same_code)


def _named(what: str, before: Identity, now: Identity, same_code: bool) -> Iterator[str]:
    """Of what has a name each, such as metrics."""
    for name in dict.fromkeys([*before, *now]):
        if name not in before or name not in now:
            yield f"{what}: {name!r} is {'new' if name in now else 'gone'}"
        else:
            yield from _differ(f"{what} {name!r}", before[name], now[name], same_code)


def _differ(what: str, one: Any, other: Any, same_code: bool) -> Iterator[str]:
    one, other = _whole(one), _whole(other)
    if one["key"] == other["key"]:
        return
    coded = "code" in one and "code" in other
    if one.get("kind") != other.get("kind") or not (coded or "held" in one or "held" in other):
        same = one["shown"] == other["shown"]
        yield f"the {what} differs" if same else f"{what} was {one['shown']}, is {other['shown']}"
        return
    if coded and not same_code:
        return  # bytecode of another Python
    if coded and one["code"] != other["code"]:
        yield f"the {what}'s code differs"
        return
    held, others = one.get("held", {}), other.get("held", {})
    changed = [
        f"{name} was {held.get(name, 'not there')}, is {others.get(name, 'not there')}"
        for name in dict.fromkeys([*held, *others])
        if held.get(name) != others.get(name)
    ]
    if changed:
        yield f"the {what} differs: {', '.join(changed[:_MOST])}"
    else:
        yield f"the {what} differs" + (" in what its code holds or calls" if coded else "")


def _mathematics(before: Identity, now: Identity) -> Iterator[str]:
    changed = [n for n in dict.fromkeys([*before, *now]) if before.get(n) != now.get(n)]
    if len(changed) > 1 and "step" in changed and changed != ["first state", "step"]:
        changed.remove("step")  # it contains them
    for name in changed:
        yield f"the mathematics of the {name} differs"


def _configs(
    before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]], idle: frozenset[int]
) -> Iterator[tuple[str, str]]:
    """(parameter, message) of every parameter that differs; of the members: no parameter."""
    pairs = [(k, a, b) for k, (a, b) in enumerate(zip(before, now, strict=True)) if k not in idle]
    one, other = sorted(repr(a) for _, a, _ in pairs), sorted(repr(b) for _, _, b in pairs)
    if one == other and any(a != b for _, a, b in pairs):
        yield "", "the members are in another order"
        return
    found: dict[tuple[str, str], list[int]] = {}
    for k, a, b in pairs:
        for name in dict.fromkeys([*a, *b]):
            if name not in a or name not in b:
                text = f"the parameter {name} is {'new' if name in b else 'gone'}"
                found.setdefault((name, text), []).append(k)
            elif a[name] != b[name]:
                was, is_ = _whole(a[name])["shown"], _whole(b[name])["shown"]
                text = f"{name} differs" if was == is_ else f"{name} was {was}, is {is_}"
                found.setdefault((name, text), []).append(k)
    for (name, text), places in found.items():
        every = len(places) == len(pairs)
        yield name, text if every else f"of member {', '.join(map(str, places[:_MOST]))}: {text}"


def _own_metrics(identity: Identity) -> bool:
    """Whether metrics of the user's are recorded: they may depend on any parameter."""
    own = ("train_risk", "val_risk", "learning_rate")
    return any(name not in own for name in identity["recorded"])


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


# -- facts ----------------------------------------------------------------------------------------


def _part(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _fact(one) for name, one in value.items()}
    return _fact(value)


def _short(value: Any) -> Any:
    """A config's value: a number's key says it all."""
    key = content_key(value, reach="fixed", here=False)
    return key if " " in key else _fact(value)


def _whole(fact: Any) -> Mapping[str, Any]:
    return {"key": fact, "shown": fact.partition(" ")[2]} if isinstance(fact, str) else fact


def _fact(value: Any, reach: Any = "fixed") -> dict[str, Any]:
    """What is kept of a value: its key, a few words, its code, and the plain values it holds."""
    fact = {"key": content_key(value, reach=reach, here=False), "shown": _shown(value)}
    if type(value) in _PLAIN:
        return fact
    fact["kind"] = _kind(value)
    if hasattr(value, "__code__"):
        fact["code"] = content_key(value.__code__, here=False)
    held = dict(_held(value, "", set()))
    return {**fact, "held": held} if held else fact


_PLAIN = (type(None), bool, int, float, str)


def _shown(value: Any) -> str:
    if type(value) in _PLAIN:
        return _cut(repr(value))
    if getattr(value, "shape", None) is not None and hasattr(value, "dtype"):
        return f"an array {value.dtype}{list(value.shape)}"
    if isinstance(value, (list, tuple, Mapping)) and not hasattr(value, "_fields"):
        inside = value.items() if isinstance(value, Mapping) else value
        return _cut(f"{type(value).__name__} of {', '.join(map(_shown, inside))}")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.repr]
        plain = [f"{name}={item!r}" for name, item in named if type(item) in _PLAIN]
        return _cut(f"{type(value).__name__}({', '.join(plain)})")
    return _cut(_kind(value))


def _kind(value: Any) -> str:
    """The name of a function; of what updates, those that made its parts; else of the type."""
    if hasattr(value, "update") and hasattr(value, "_fields"):  # optax does not keep their names
        makers = (f.__qualname__.partition(".")[0] for f in _functions(value.update, set()))
        return ", ".join(m for m in dict.fromkeys(makers) if m not in _WRAPPERS) or "an optimizer"
    name = getattr(value, "__qualname__", None) or type(value).__qualname__
    return name.replace("<locals>.", "")


_WRAPPERS = ("chain", "with_extra_args_support", "init_empty_state", "identity")


def _functions(value: Any, seen: set[int]) -> Iterator[Any]:
    """Functions that a function's closure holds, all the way down."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if hasattr(value, "__code__"):
        yield value
    for _, item in _members(value):
        yield from _functions(item, seen)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _held(value: Any, name: str, seen: set[int]) -> Iterator[tuple[str, str]]:
    """Plain values inside closures, fields and containers, by name; equal names get a number."""
    counts: dict[str, int] = {}
    for found, item in _inside(value, name, seen, 0):
        counts[found] = counts.get(found, 0) + 1
        yield found if counts[found] == 1 else f"{found} ({counts[found]})", _shown(item)


def _inside(value: Any, name: str, seen: set[int], deep: int) -> Iterator[tuple[str, Any]]:
    if type(value) in _PLAIN:
        if name:
            yield name, value
        return
    if id(value) in seen or deep > _DEEPEST:
        return
    seen.add(id(value))
    for inner, item in _members(value):
        yield from _inside(item, inner or name, seen, deep + 1)


def _members(value: Any) -> list[tuple[str, Any]]:
    """What a function, a container or a dataclass holds, by name where it has one."""
    if isinstance(value, Mapping):
        return [(str(k), v) for k, v in value.items()]
    if isinstance(value, (list, tuple)):
        return [("", v) for v in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f.name, getattr(value, f.name, None)) for f in dataclasses.fields(value)]
    function: Any = getattr(value, "__func__", value)
    closure = getattr(function, "__closure__", None) or ()
    names = function.__code__.co_freevars if closure else ()
    return [
        (name, cell.cell_contents)
        for name, cell in zip(names, closure, strict=True)
        if _filled(cell)
    ]


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - of a variable that is not assigned yet it raises
    except ValueError:
        return False
    return True
