"""The ``parameters`` section: every parameter's keys, bounds and values."""

from __future__ import annotations

import re

from thetahat.core.errors import did_you_mean
from thetahat.core.yaml_tree import At
from thetahat.search import EXPONENTS
from thetahat.sweep.spec._bounds import check_bounds, check_shape
from thetahat.sweep.spec._diagnostics import Findings
from thetahat.sweep.spec._keys import (
    BOUNDS,
    DISTRIBUTIONS,
    GRIDDED,
    PARAMETER,
    came,
    is_number,
    listed,
    number_needed,
    short,
    written,
)
from thetahat.sweep.spec._notes import note_duplicates, note_exponents, note_inference

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]*$")


def check_parameters(at: At, method: str | None, findings: Findings, *, top: bool = True) -> None:
    """Check a ``parameters`` section, and those inside it."""
    if at.kind != "mapping" or not at.inside:
        findings.both(
            at,
            f"parameters is {came(at)}; name at least one, such as lr: {{min: 0.001, max: 0.1}}",
        )
        return
    for name, child in at.inside.items():
        _check_name(name, child, findings)
        _check_parameter(name, child, method, findings, top)


def _check_name(name: str, at: At, findings: Findings) -> None:
    named = _NAME.search(name) is not None
    if at.name_kind != "text" and named:
        findings.note(
            at,
            f"W&B's reader takes the name {name} for {_misread(at.name_kind, name)}; put it in"
            f" quotes: '{name}'",
        )
    if named:
        return
    fixed = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    fixed = fixed if _NAME.search(fixed) else f"p{fixed}"
    message = (
        f"{name!r} is no name for a parameter: letters, digits, _ . and - only, the first a letter"
        f" or _; such as {fixed}"
    )
    (findings.both if at.name_kind == "text" else findings.ours)(at, message)


def _misread(kind: str, name: str) -> str:
    if kind == "bool":
        return "true" if name.lower() in ("yes", "on", "true") else "false"
    return "null" if kind == "null" else f"a {kind}"


def _check_parameter(name: str, at: At, method: str | None, findings: Findings, top: bool) -> None:
    if at.kind != "mapping" or not at.inside:
        findings.both(at, f"{name} is {came(at)}{_as_mapping(name, at)}")
        return
    if "parameters" in at.inside:
        _check_nested(name, at, method, findings)
        return
    kind = _distribution(name, at, findings)
    if kind is None:
        return
    needed, optional = DISTRIBUTIONS[kind]
    allowed = (*needed, *optional, "distribution")
    for key in needed:
        if key not in at.inside:
            such = f"{key}: {_SUCH[key]}" if key not in BOUNDS else key
            findings.both(at, f"{kind} needs {key}; add {such}")
    for key, child in at.inside.items():
        if key not in allowed:
            findings.both(child, _extra(kind, key, allowed))
    whole = set(needed) <= set(at.inside) <= set(allowed)
    sound = whole and _check_values(at, kind, findings, top)
    numbers = [key for key in (*needed, *optional) if key in at.inside and key in _NUMBERS]
    for key in numbers:
        sound &= number_needed(at.inside[key], findings, _SUCH[key])
    if sound and kind not in ("constant", "categorical", "categorical_w_probabilities"):
        sound = all([check_bounds(at, kind, findings, top), check_shape(at, kind, findings)])
    if method == "grid" and kind not in GRIDDED:
        findings.ours(at, _no_grid(kind))
    if kind in EXPONENTS and (sound or findings.strict):
        note_exponents(at, kind, findings, top, sound)
    if sound:
        note_inference(at, kind, findings)
        if method == "grid":
            note_duplicates(at, findings)


_NUMBERS = ("min", "max", "q", "mu", "sigma", "a", "b")
_SUCH = {
    "value": "0.01",
    "values": "[16, 32, 64]",
    "probabilities": "[0.5, 0.25, 0.25]",
    "min": "0.001",
    "max": "0.1",
    "q": "1",
    "mu": "0",
    "sigma": "1",
    "a": "1",
    "b": "1",
}


def _as_mapping(name: str, at: At) -> str:
    if at.kind == "list" and at.inside:
        return f", and must be a mapping; write {name}: {{values: {short(at.value)}}}"
    if at.kind in ("null", "mapping", "list"):
        return "; give it a value, values, or min and max"
    return (
        f", and must be a mapping; for a fixed value write {name}: {{value: {written(at.value)}}}"
    )


def _check_nested(name: str, at: At, method: str | None, findings: Findings) -> None:
    for key, child in at.inside.items():
        if key != "parameters":
            findings.both(
                child,
                f"{name} holds parameters of its own, and can have no {key} beside them; remove it",
            )
    check_parameters(at.inside["parameters"], method, findings, top=False)


def _distribution(name: str, at: At, findings: Findings) -> str | None:
    """The distribution that is said, or follows from the keys."""
    said = at.inside.get("distribution")
    if said is not None:
        if said.kind == "text" and said.value in DISTRIBUTIONS:
            return said.value
        hint = did_you_mean(said.value, DISTRIBUTIONS) if said.kind == "text" else ""
        hint = hint or f"; known: {', '.join(DISTRIBUTIONS)}"
        findings.both(said, f"there is no distribution {written(said.value)}{hint}")
        return None
    if "value" in at.inside:
        return "constant"
    if "values" in at.inside:
        given = "probabilities" in at.inside
        return "categorical_w_probabilities" if given else "categorical"
    if any(key in at.inside for key in BOUNDS):
        bounds = [at.inside[key] for key in BOUNDS if key in at.inside]
        return "int_uniform" if all(b.kind == "int" for b in bounds) else "uniform"
    _say_no_distribution(name, at, findings)
    return None


def _say_no_distribution(name: str, at: At, findings: Findings) -> None:
    for key, child in at.inside.items():
        if key not in PARAMETER:
            findings.both(child, f"a parameter has no key {key!r}{did_you_mean(key, PARAMETER)}")
    keys = [key for key in at.inside if key in PARAMETER]
    if not keys:
        return
    fitting = tuple(d for d, (_, may) in DISTRIBUTIONS.items() if may and set(keys) <= set(may))
    if fitting:
        fix = f"say which distribution: {listed(fitting)}"
    elif keys == ["probabilities"]:
        fix = "add their values: [...]"
    else:
        fix = "add a value, values, or min and max"
    findings.both(at, f"{name} has only {', '.join(keys)}; {fix}")


def _extra(kind: str, key: str, allowed: tuple[str, ...]) -> str:
    if key not in PARAMETER:
        near = did_you_mean(key, allowed)
        near = near if near.startswith("; did") else did_you_mean(key, PARAMETER)
        return f"{kind} has no key {key!r}{near}"
    owner = next(
        (
            d
            for d in (f"q_{kind.removeprefix('int_')}", kind)
            if d in DISTRIBUTIONS and key in sum(DISTRIBUTIONS[d], ())
        ),
        "",
    )
    fix = f"for that, write distribution: {owner}" if owner else "remove it"
    has = " and ".join(word for word in allowed if word != "distribution")
    return f"{kind} takes no {key}, only {has}; {fix}"


def _no_grid(kind: str) -> str:
    if kind == "categorical_w_probabilities":
        return "a grid runs every value once, so probabilities mean nothing; remove them"
    return (
        f"a grid cannot run all values of {kind}; give values: [...], whole numbers as min and"
        " max, or distribution: q_uniform with a step q; or write method: random"
    )


def _check_values(at: At, kind: str, findings: Findings, top: bool) -> bool:
    """``values`` and ``probabilities``; True for the other kinds."""
    if not kind.startswith("categorical"):
        return True
    values = at.inside["values"]
    if values.kind != "list" or not values.inside:
        wrapped = "" if values.kind in ("list", "null") else f", such as [{written(values.value)}]"
        findings.both(values, f"values is {came(values)}; give a list of at least one{wrapped}")
        return False
    if kind == "categorical":
        return True
    return _check_probabilities(values, at.inside["probabilities"], findings, top)


def _check_probabilities(values: At, at: At, findings: Findings, top: bool) -> bool:
    if at.kind != "list" or not at.inside:
        findings.both(at, f"probabilities is {came(at)}; give a list of numbers that sum to 1")
        return False
    sound = True
    for chance in at.inside.values():
        if not is_number(chance):
            findings.both(chance, f"a probability is {came(chance)}; give a number from 0 to 1")
            sound = False
        elif chance.value < 0:
            findings.both(chance, f"a probability is {chance.value}; give one from 0 to 1")
            sound = False
    # W&B compares these only at the top, not inside nested parameters.
    say = findings.both if top else findings.ours
    n, m = len(values.inside), len(at.inside)
    if n != m:
        say(at, f"{m} probabilities for {n} values; give one for each value")
        return False
    total = sum(at.value) if sound else 1.0
    if not abs(total - 1.0) <= 1e-8 + 1e-5:
        by = "" if not 0 < total < float("inf") else f"; divide each by {total:.6g}"
        say(at, f"the probabilities sum to {total:.6g}, and must sum to 1{by}")
        return False
    return sound
