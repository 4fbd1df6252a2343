"""The words of the language: its keys, its distributions, and how values are called in messages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from thetahat.core.errors import did_you_mean
from thetahat.core.sweep_file import TEXTS
from thetahat.core.yaml_tree import At, as_written, is_text
from thetahat.core.yaml_words import dotted
from thetahat.search import is_finite as finite
from thetahat.sweep.spec._diagnostics import Findings

METHODS = ("grid", "random", "bayes")
TOP = (
    *("method", "parameters", "metric", "early_terminate", "run_cap", "command", *TEXTS),
    *("metrics", "scheduler", "controller"),
)
METRIC = ("name", "goal", "target", "impute", "impute_while_running")
GOALS = ("minimize", "maximize")
IMPUTES = ("latest", "best", "worst")
HYPERBAND = ("type", "min_iter", "max_iter", "s", "eta", "strict")
FLAGS = {
    **{
        name: f"thetahat sweep FILE --{name}"
        for name in ("seed", "count", "replicates", "enqueue", "shuffle", "sampler", "retries")
    },
    **{name: f"thetahat sweep FILE --{name}" for name in ("timeout", "asha", "cohort", "mode")},
    **{name: f"thetahat agent ID --{name}" for name in ("workers", "devices")},
}
"""What people look for among the keys, and is a flag here."""

BOUNDS = ("min", "max")
DISTRIBUTIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "constant": (("value",), ()),
    "categorical": (("values",), ()),
    "categorical_w_probabilities": (("values", "probabilities"), ()),
    "int_uniform": (BOUNDS, ()),
    "uniform": (BOUNDS, ()),
    "q_uniform": (BOUNDS, ("q",)),
    "log_uniform": (BOUNDS, ()),
    "log_uniform_values": (BOUNDS, ()),
    "q_log_uniform": (BOUNDS, ("q",)),
    "q_log_uniform_values": (BOUNDS, ("q",)),
    "inv_log_uniform": (BOUNDS, ()),
    "inv_log_uniform_values": (BOUNDS, ()),
    "normal": ((), ("mu", "sigma")),
    "q_normal": ((), ("mu", "sigma", "q")),
    "log_normal": ((), ("mu", "sigma")),
    "q_log_normal": ((), ("mu", "sigma", "q")),
    "beta": ((), ("a", "b")),
    "q_beta": ((), ("a", "b", "q")),
}
"""Each distribution's keys: those it needs, and those it may have."""
GRIDDED = ("constant", "categorical", "int_uniform", "q_uniform")
"""The distributions that a grid can count."""
PARAMETER = (
    *("value", "values", "probabilities", "min", "max", "distribution"),
    *("q", "mu", "sigma", "a", "b", "parameters"),
)

_LONGEST = 60


def is_number(at: At) -> bool:
    """Whether a value is a number (true is none)."""
    return at.kind in ("int", "float")


def is_whole(at: At) -> bool:
    """Whether a value is a whole number: 3, and 3.0, as JSON has it."""
    return at.kind == "int" or (at.kind == "float" and float(at.value).is_integer())


def is_finite(at: At) -> bool:
    """Whether a value is a finite number."""
    return is_number(at) and finite(at.value)


def came(at: At) -> str:
    """How a message calls a value.

    >>> came(At("0.1", "text", 3, "min"))
    "the text '0.1'"
    """
    if at.kind == "mapping":
        return "a mapping" if at.inside else "an empty mapping"
    if at.kind == "list":
        return "a list" if at.inside else "an empty list"
    if at.kind == "null":
        return "empty"
    if at.kind == "text":
        return f"the text {short(at.value)}"
    if at.kind == "date":
        return f"the date {at.value}"
    return written(at.value)


def written(value: Any) -> str:
    """A value as one would write it in the file."""
    if value is True or value is False:
        return str(value).lower()
    return "null" if value is None else short(value)


def short(value: Any) -> str:
    """A value's text, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def unknown_keys(at: At, known: tuple[str, ...], findings: Findings, what: str) -> None:
    """Refuse keys that are not ``known``; the nearest is offered."""
    for name, child in at.inside.items():
        if name in known:
            continue
        if not at.key and name in FLAGS:
            fix = f"; it is a flag: {FLAGS[name]}"
        else:
            fix = did_you_mean(name, known)
        findings.both(child, f"{what} has no key {name!r}{fix}")


def text_needed(at: At, findings: Findings) -> str | None:
    """A value that must be text."""
    name = at.key.rpartition(".")[2]
    if is_text(at):
        return as_written(at)
    if at.kind in ("mapping", "list", "null"):
        findings.both(at, f"{name} is {came(at)}; give it a text, or remove the line")
    else:
        findings.both(
            at, f"{name} is {came(at)}, and must be text; put it in quotes: {name}: '{at.text}'"
        )
    return None


def number_needed(at: At, findings: Findings, such_as: str) -> bool:
    """Whether a value is a number; a mistake is said where it is none."""
    if is_number(at):
        return True
    name = at.key.rpartition(".")[2]
    if at.trap and at.kind == "text":
        fix = at.trap
    elif at.kind == "text" and _as_number(at.value):
        fix = f"write {name}: {_as_number(at.value)}, without quotes"
    else:
        fix = f"give a number, such as {name}: {such_as}"
    findings.both(at, f"{name} is {came(at)}, and must be a number; {fix}")
    return False


def one_of(at: At, known: tuple[str, ...], findings: Findings) -> str | None:
    """A value that must be one of some words."""
    name = at.key.rpartition(".")[2]
    if at.kind == "text" and at.value in known:
        return at.value
    hint = did_you_mean(at.value, known) if at.kind == "text" else ""
    hint = hint if hint.startswith("; did") else f"; write {name}: {known[0]}"
    findings.both(at, f"{name} is {came(at)}, and must be {listed(known)}{hint}")
    return None


def listed(words: tuple[str, ...]) -> str:
    """Words as a choice.

    >>> listed(("latest", "best", "worst"))
    'latest, best or worst'
    """
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _as_number(text: str) -> str:
    try:
        value = float(text)
    except ValueError:
        return ""
    if not math.isfinite(value):
        return ""
    return text if text.lstrip("+-").isdecimal() else dotted(value)
