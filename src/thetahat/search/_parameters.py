"""The ``parameters`` section of a sweep file: its mistakes, and the distributions it describes.

Names, keys, bounds and shapes are checked only here, for files and for plain data alike. Where a
parameter names no distribution, W&B's rule holds: ``value`` is a constant, ``values`` a list, two
integers as min and max are integers, and any other two numbers are real.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.yaml_tree import YamlNode, describe, listed, plain_tree, short, written
from thetahat.core.yaml_words import dotted
from thetahat.search._distributions import (
    Beta,
    Categorical,
    Constant,
    Distribution,
    IntUniform,
    InvLogUniform,
    LogNormal,
    LogUniform,
    Normal,
    Quantised,
    Uniform,
    no_grid,
)

Given = Mapping[str, Any]

EXPONENTS = ("log_uniform", "q_log_uniform", "inv_log_uniform")
"""Distributions whose bounds are exponents of e."""
_VALUES = ("log_uniform_values", "q_log_uniform_values", "inv_log_uniform_values")
_GRIDDED = ("constant", "categorical", "int_uniform", "q_uniform")
_BOUNDS = ("min", "max")
_KEYS = (
    *("value", "values", "probabilities", *_BOUNDS, "distribution"),
    *("q", "mu", "sigma", "a", "b", "parameters"),
)
_EXAMPLES = {
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
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]*$")
_LARGEST_EXPONENT = 709
"""exp of more is not finite."""
_FARTHEST = 8.5
"""No draw lies more standard deviations from the mean."""


@dataclass(frozen=True)
class Fault:
    """One mistake in a ``parameters`` section.

    Args:    node: the value with the mistake.   message: the mistake, and how to fix it.
             shared: whether W&B refuses it too.
    """

    node: YamlNode
    message: str
    shared: bool = True

    def __str__(self) -> str:
        return f"{self.node.key}: {self.message}"


def section_faults(section: YamlNode, *, grid: bool = False, top: bool = True) -> Iterator[Fault]:
    """Find every mistake in a ``parameters`` section.

    Args:    grid: whether every parameter must have a finite list of values.
             top: False for nested parameters, in which W&B compares no bounds.
    """
    if section.kind != "mapping" or not section.inside:
        such = "name at least one, such as lr: {min: 0.001, max: 0.1}"
        yield Fault(section, f"parameters is {describe(section)}; {such}")
        return
    for name, node in section.inside.items():
        yield from _name_faults(name, node)
        if node.kind != "mapping" or not node.inside:
            yield Fault(node, f"{name} is {describe(node)}{_as_mapping(name, node)}")
        elif "parameters" in node.inside:
            message = f"{name} holds parameters of its own, and can have no {{}} beside them"
            for key, child in node.inside.items():
                if key != "parameters":
                    yield Fault(child, f"{message.format(key)}; remove it")
            yield from section_faults(node.inside["parameters"], grid=grid, top=False)
        else:
            yield from _parameter_faults(name, node, grid, top)


def kind_of(node: YamlNode) -> str | None:
    """Name the distribution of a parameter, given or inferred; None where there is none."""
    given = node.inside.get("distribution")
    if given is not None:
        return given.value if given.kind == "text" and given.value in _KINDS else None
    if "value" in node.inside:
        return "constant"
    if "values" in node.inside:
        weighted = "probabilities" in node.inside
        return "categorical_w_probabilities" if weighted else "categorical"
    bounds = [node.inside[key] for key in _BOUNDS if key in node.inside]
    if not bounds:
        return None
    return "int_uniform" if all(bound.kind == "int" for bound in bounds) else "uniform"


def distribution_of(node: YamlNode) -> Distribution:
    """Make the distribution of a parameter without faults."""
    return _KINDS[kind_of(node) or ""][2](node.value)


def read_distribution(given: Given) -> Distribution:
    """Read the distribution that one parameter of a sweep file describes.

    >>> read_distribution({"min": 1, "max": 100})
    IntUniform(min=1, max=100)
    >>> read_distribution({"min": 1, "max": 100.0}).kind
    'uniform'

    Raises:  ConfigError: unknown or missing keys, values of the wrong kind, min not below max.
    """
    node = plain_tree(given, "parameter")
    for fault in _parameter_faults("parameter", node, grid=False, top=True):
        raise ConfigError(str(fault))
    return distribution_of(node)


# -- faults ---------------------------------------------------------------------------------------


def _name_faults(name: str, node: YamlNode) -> Iterator[Fault]:
    if _NAME.search(name) and (node.name_kind == "text" or node.line):
        return  # only in plain data, which has no lines, can a name be other than text
    fixed = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    fixed = fixed if _NAME.search(fixed) else f"p{fixed}"
    yield Fault(
        node,
        f"{name!r} cannot be the name of a parameter: use letters, digits, _ . and - only, with a"
        f" letter or _ first; such as {fixed}",
        shared=node.name_kind == "text",
    )


def _as_mapping(name: str, node: YamlNode) -> str:
    if node.kind == "list" and node.inside:
        return f", and must be a mapping; write {name}: {{values: {short(node.value)}}}"
    if node.kind in ("null", "mapping", "list"):
        return "; give it a value, values, or min and max"
    fixed = f"{name}: {{value: {written(node.value)}}}"
    return f", and must be a mapping; for a fixed value write {fixed}"


def _parameter_faults(name: str, node: YamlNode, grid: bool, top: bool) -> Iterator[Fault]:
    kind = kind_of(node)
    if kind is None:
        yield from _faults_without_kind(name, node)
        return
    needed, optional, _ = _KINDS[kind]
    faults = [
        Fault(node, f"{kind} needs {key}; add {key}" + _example(key))
        for key in needed
        if key not in node.inside
    ]
    for key, child in node.inside.items():
        if key not in (*needed, *optional, "distribution"):
            faults.append(Fault(child, _extra(kind, key, (*needed, *optional))))
    if not faults and kind.startswith("categorical"):
        faults += _values_faults(node, top)
    for key in (*needed, *optional):
        if key in node.inside and key not in ("value", "values", "probabilities"):
            faults += _number_faults(node.inside[key], _EXAMPLES[key])
    if not faults:
        faults += _bound_faults(kind, node, top) if needed == _BOUNDS else ()
        faults += _shape_faults(kind, node)
    yield from faults
    if grid and kind not in _GRIDDED:
        yield Fault(node, no_grid(kind), shared=False)


def _example(key: str) -> str:
    return "" if key in _BOUNDS else f": {_EXAMPLES[key]}"


def _faults_without_kind(name: str, node: YamlNode) -> Iterator[Fault]:
    given = node.inside.get("distribution")
    if given is not None:
        hint = did_you_mean(given.value, _KINDS) if given.kind == "text" else ""
        hint = hint or f"; known: {', '.join(_KINDS)}"
        yield Fault(given, f"there is no distribution {written(given.value)}{hint}")
        return
    for key, child in node.inside.items():
        if key not in _KEYS:
            yield Fault(child, f"a parameter has no key {key!r}{did_you_mean(key, _KEYS)}")
    keys = [key for key in node.inside if key in _KEYS]
    fitting = [d for d, (_, may, _) in _KINDS.items() if may and set(keys) <= set(may)]
    if not keys:
        if not node.inside:
            yield Fault(node, f"{name} is {describe(node)}{_as_mapping(name, node)}")
        return
    if fitting:
        fix = f"say which distribution: {listed(fitting)}"
    elif keys == ["probabilities"]:
        fix = "add their values: [...]"
    else:
        fix = "add a value, values, or min and max"
    yield Fault(node, f"{name} has only {', '.join(keys)}; {fix}")


def _extra(kind: str, key: str, keys: tuple[str, ...]) -> str:
    if key not in _KEYS:
        near = did_you_mean(key, (*keys, "distribution"))
        near = near if near.startswith("; did") else did_you_mean(key, _KEYS)
        return f"{kind} has no key {key!r}{near}"
    rounded = f"q_{kind.removeprefix('int_')}"
    takes = rounded in _KINDS and key in _KINDS[rounded][1]
    fix = f"for that, write distribution: {rounded}" if takes else "remove it"
    return f"{kind} takes no {key}, only {' and '.join(keys)}; {fix}"


def _number_faults(node: YamlNode, such_as: str) -> Iterator[Fault]:
    """Refuse a value that is not a number; ``such_as`` is an example."""
    if node.is_number:
        return
    if node.trap and node.kind == "text":
        fix = node.trap
    elif node.kind == "text" and (number := _number_in(node.value)):
        fix = f"write {node.name}: {number}, without quotes"
    else:
        fix = f"give a number, such as {node.name}: {such_as}"
    yield Fault(node, f"{node.name} is {describe(node)}, and must be a number; {fix}")


def _values_faults(node: YamlNode, top: bool) -> Iterator[Fault]:
    values, weights = node.inside["values"], node.inside.get("probabilities")
    if values.kind != "list" or not values.inside:
        such = "" if values.kind in ("list", "null") else f", such as [{written(values.value)}]"
        yield Fault(values, f"values is {describe(values)}; give a list of at least one{such}")
    elif weights is not None and (weights.kind != "list" or not weights.inside):
        message = f"probabilities is {describe(weights)}; give a list of numbers that sum to 1"
        yield Fault(weights, message)
    elif weights is not None:
        yield from _weight_faults(weights, len(values.inside), top)


def _weight_faults(weights: YamlNode, n: int, top: bool) -> Iterator[Fault]:
    wrong = [w for w in weights.inside.values() if not w.is_number or w.value < 0]
    for weight in wrong:
        such = "one" if weight.is_number else "a number"
        yield Fault(weight, f"a probability is {describe(weight)}; give {such} from 0 to 1")
    # W&B compares these only at the top, not inside nested parameters.
    if (m := len(weights.inside)) != n:
        message = f"{m} probabilities for {n} values; give one for each value"
        yield Fault(weights, message, shared=top)
    elif not wrong:
        total = math.fsum(w.value if w.is_finite else math.inf for w in weights.inside.values())
        if not abs(total - 1.0) <= 1e-8 + 1e-5:
            fix = f"; divide each by {total:.6g}" if 0 < total < math.inf else ""
            message = f"the probabilities sum to {total:.6g}, and must sum to 1{fix}"
            yield Fault(weights, message, shared=top)


def _bound_faults(kind: str, node: YamlNode, top: bool) -> Iterator[Fault]:
    """Check ``min`` and ``max``, both numbers."""
    bounds = [node.inside[key] for key in _BOUNDS]
    low, high = (bound.value for bound in bounds)
    if kind == "int_uniform":
        yield from (_not_whole(bound) for bound in bounds if bound.kind != "int")
    if kind in _VALUES and low <= 0:
        message = f"min is {short(low)}, and the bounds of {kind} are values above 0"
        yield Fault(bounds[0], f"{message}; give one, such as min: 0.0001")
    for bound in bounds:
        if not bound.is_finite:
            message = f"{bound.name} is {short(bound.value)}; give a finite number"
            yield Fault(bound, message, shared=top and low >= high)
            return
    if low > high:
        swapped = f"min: {short(high)}, max: {short(low)}"
        message = f"min {short(low)} is above max {short(high)}; swap them: {swapped}"
        yield Fault(bounds[0], message, shared=top)
    elif low == high:
        message = f"min and max are both {short(low)}; for one value write value: {short(low)}"
        yield Fault(bounds[0], message, shared=top)
    elif kind in EXPONENTS and (far := [b for b in bounds if abs(b.value) > _LARGEST_EXPONENT]):
        yield Fault(
            far[0],
            f"the bounds of {kind} are exponents of e, and e^{short(far[0].value)} is not finite;"
            f" for values write distribution: {kind}_values",
            shared=False,
        )


def _not_whole(bound: YamlNode) -> Fault:
    fix = "round it, or write distribution: uniform"
    if bound.is_finite and bound.is_whole:
        fix = f"write {bound.name}: {int(bound.value)}"
    message = f"{bound.name} is {bound.value}, and int_uniform needs whole numbers; {fix}"
    return Fault(bound, message)


def _shape_faults(kind: str, node: YamlNode) -> Iterator[Fault]:
    """Check ``q``, ``mu``, ``sigma``, ``a`` and ``b``, numbers where they are given."""
    given = {key: node.inside[key] for key in ("q", "mu", "sigma", "a", "b") if key in node.inside}
    small = [key for key, child in given.items() if key != "mu" and child.value <= 0]
    for key in small:
        value = given[key].value
        fix = "; a fixed value is written value: ..." if key == "sigma" and value == 0 else ""
        message = f"{key} is {short(value)}, and must be above 0{fix}"
        yield Fault(given[key], message, shared=value < 0 or key == "q")
    endless = next((child for child in given.values() if not child.is_finite), None)
    if small:
        return
    if endless is not None:
        message = f"{endless.name} is {short(endless.value)}; give a finite number"
        yield Fault(endless, message, shared=False)
        return
    if kind.endswith("log_normal"):
        mu, sigma = (node.value.get(key, float(key == "sigma")) for key in ("mu", "sigma"))
        if mu + _FARTHEST * sigma > _LARGEST_EXPONENT:
            yield Fault(
                node,
                f"{kind} with mu {short(mu)} and sigma {short(sigma)} draws numbers that are not"
                " finite; both are on the scale of logarithms, so give smaller ones",
                shared=False,
            )
    q = given.get("q")
    if q is not None and not math.isfinite(_largest(kind, node) / float(q.value)):
        message = f"q is {short(q.value)}, so small that values divided by it are not finite"
        yield Fault(q, f"{message}; give a larger one", shared=False)


def _largest(kind: str, node: YamlNode) -> float:
    """Return a number that samples may reach, as far as it is given."""
    if kind == "q_normal":
        mu, sigma = (float(node.value.get(key, key == "sigma")) for key in ("mu", "sigma"))
        return abs(mu) + _FARTHEST * sigma
    bounds = () if kind.endswith("log_uniform") else _BOUNDS
    given = [node.inside[key] for key in bounds if key in node.inside]
    return max([1.0, *(abs(float(bound.value)) for bound in given if bound.is_finite)])


def _number_in(text: str) -> str:
    """Write the finite number that a text holds, as every reader of YAML takes it; else nothing."""
    try:
        value = float(text)
    except ValueError:
        return ""
    if not math.isfinite(value):
        return ""
    return text if text.lstrip("+-").isdecimal() else dotted(value)


# -- distributions --------------------------------------------------------------------------------


def _log_exponents(given: Given) -> LogUniform:
    low, high = given["min"], given["max"]
    return LogUniform(low, high, (math.exp(low), math.exp(high)), "log_uniform")


def _log_values(given: Given) -> LogUniform:
    low, high = given["min"], given["max"]
    return LogUniform(math.log(low), math.log(high), (float(low), float(high)))


def _inv_exponents(given: Given) -> InvLogUniform:
    low, high = given["min"], given["max"]
    return InvLogUniform(low, high, (math.exp(-high), math.exp(-low)), "inv_log_uniform")


def _inv_values(given: Given) -> InvLogUniform:
    low, high = given["min"], given["max"]
    return InvLogUniform(-math.log(high), -math.log(low), (float(low), float(high)))


def _weighted(given: Given) -> Categorical:
    return Categorical(tuple(given["values"]), tuple(map(float, given["probabilities"])))


def _uniform(given: Given) -> Uniform:
    return Uniform(given["min"], given["max"])


def _normal(given: Given) -> Normal:
    return Normal(float(given.get("mu", 0.0)), float(given.get("sigma", 1.0)))


def _log_normal(given: Given) -> LogNormal:
    return LogNormal(float(given.get("mu", 0.0)), float(given.get("sigma", 1.0)))


def _beta(given: Given) -> Beta:
    return Beta(float(given.get("a", 1.0)), float(given.get("b", 1.0)))


def _rounded(make: Callable[[Given], Any]) -> Callable[[Given], Distribution]:
    return lambda given: Quantised(make(given), given.get("q", 1.0))


_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[[Given], Distribution]]] = {
    "constant": (("value",), (), lambda given: Constant(given["value"])),
    "categorical": (("values",), (), lambda given: Categorical(tuple(given["values"]))),
    "categorical_w_probabilities": (("values", "probabilities"), (), _weighted),
    "int_uniform": (_BOUNDS, (), lambda given: IntUniform(given["min"], given["max"])),
    "uniform": (_BOUNDS, (), _uniform),
    "q_uniform": (_BOUNDS, ("q",), _rounded(_uniform)),
    "log_uniform": (_BOUNDS, (), _log_exponents),
    "log_uniform_values": (_BOUNDS, (), _log_values),
    "q_log_uniform": (_BOUNDS, ("q",), _rounded(_log_exponents)),
    "q_log_uniform_values": (_BOUNDS, ("q",), _rounded(_log_values)),
    "inv_log_uniform": (_BOUNDS, (), _inv_exponents),
    "inv_log_uniform_values": (_BOUNDS, (), _inv_values),
    "normal": ((), ("mu", "sigma"), _normal),
    "q_normal": ((), ("mu", "sigma", "q"), _rounded(_normal)),
    "log_normal": ((), ("mu", "sigma"), _log_normal),
    "q_log_normal": ((), ("mu", "sigma", "q"), _rounded(_log_normal)),
    "beta": ((), ("a", "b"), _beta),
    "q_beta": ((), ("a", "b", "q"), _rounded(_beta)),
}
"""Each distribution's keys, those it needs and those it may have, and how it is made."""

DISTRIBUTIONS = tuple(_KINDS)
"""The names that ``distribution:`` may have."""
