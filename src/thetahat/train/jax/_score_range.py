"""The range of a model's scores, from its jaxpr, and the check that a loss can use them.

The logistic loss and cross-entropy read h(x) as log-odds or logits, which are any real numbers. A
model that ends in a sigmoid or a softmax gives probabilities: they would be squashed twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from thetahat.risk import Loss, check_scores

_INF = math.inf
_LOG_SOFTMAX = "log-softmax"
_ENDINGS = {_LOG_SOFTMAX: "softmax"}
"""What the exponential of a function is called."""
_MOST = 1 << 16
"""Numbers of a constant up to which its range is read."""


@dataclass(frozen=True)
class Values:
    """What is known of an array.

    Args:    low, high: limits of its numbers.   by: the function that it comes from, in a word.
             key: the array itself, also after a change of shape.
             sum_of, over: of a sum, or of one over a sum: the array that is summed.
             exp_of: of an exponential: the array in it, and so of a sum of exponentials (of its
             terms), and of the logarithm of that sum.   less: of a difference: its two arrays.
             above: of |x|, or of more than it: x.
    """

    low: float = -_INF
    high: float = _INF
    by: str = ""
    key: object = field(default_factory=object)
    sum_of: object = None
    over: object = None
    exp_of: Values | None = None
    less: tuple[object, object] | None = None
    above: object = None


SeenArrays = dict[Any, tuple[object, Any]]
"""Keys of arrays that are computed alike, by how they are."""


def refuse_probabilities(closed: ClosedJaxpr, loss: Loss, outputs: int | None) -> None:
    """Check the scores of a loss of a prediction.

    Args:    closed: its first output is the score of one observation.   outputs: of the model.
    Raises:  ConfigError: the scores lie between 0 and 1.
    """
    given = [Values() for _ in closed.jaxpr.invars]
    found = _evaluated(closed.jaxpr, closed.consts, given, {})[0]
    check_scores(loss, found.low, found.high, found.by, outputs)


def _evaluated(
    jaxpr: Jaxpr,
    consts: Sequence[Any],
    given: Sequence[Values],
    seen: SeenArrays,
) -> list[Values]:
    """The ranges of the outputs of a jaxpr."""
    known: dict[Any, Values] = dict(zip(jaxpr.constvars, map(_constant, consts), strict=True))
    known.update(zip(jaxpr.invars, given, strict=True))
    for eqn in jaxpr.eqns:
        taken = [_read(known, v) for v in eqn.invars]
        found = _of_equation(eqn, taken, seen)
        known.update(zip(eqn.outvars, found, strict=True))
    return [_read(known, v) for v in jaxpr.outvars]


def _read(known: Mapping[Any, Values], v: Any) -> Values:
    return _constant(v.val) if isinstance(v, Literal) else known[v]


def _constant(value: Any) -> Values:
    if isinstance(value, Tracer) or np.size(value) == 0 or np.size(value) > _MOST:
        return Values()
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        return Values()
    return Values(float(array.min()), float(array.max()))


def _of_equation(eqn: Any, taken: list[Values], seen: SeenArrays) -> list[Values]:
    name, params = eqn.primitive.name, eqn.params
    inner = next((params[k] for k in ("jaxpr", "call_jaxpr", "fun_jaxpr") if k in params), None)
    if name in _CALLS and inner is not None:
        closed = isinstance(inner, ClosedJaxpr)
        body, consts = (inner.jaxpr, inner.consts) if closed else (inner, [])
        if len(body.invars) == len(taken) and len(body.outvars) == len(eqn.outvars):
            return _evaluated(body, consts, taken, seen)
    if name in _SAME:
        return [taken[0]]
    if name in _SOME:
        return [Values(taken[0].low, taken[0].high, taken[0].by)]
    if name == "optimization_barrier":
        return taken
    if name == "ne" and eqn.invars[0] is eqn.invars[1]:
        return [Values(0.0, 0.0)]  # it asks for NaN
    rule = _RULES.get(name)
    made = Values() if rule is None else rule(taken, params)
    if math.isnan(made.low) or math.isnan(made.high):
        made = Values()
    if name in _ELEMENTWISE:
        how = (name, *(id(one.key) for one in taken), str(params))
        kept = seen.setdefault(how, (made.key, taken))  # ``taken`` keeps the ids of its keys
        made = replace(made, key=kept[0])
    return [made for _ in eqn.outvars]


_CALLS = frozenset(
    {
        *("pjit", "jit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call"),
        *("custom_vjp_call_jaxpr", "remat", "checkpoint", "remat2"),
    }
)
_SAME = frozenset(
    {
        *("reshape", "squeeze", "broadcast_in_dim", "transpose", "convert_element_type", "copy"),
        *("reduce_precision", "expand_dims", "copy_p", "stop_gradient", "sharding_constraint"),
    }
)
"""Primitives that change the shape or the type of an array, and not its numbers."""
_SOME = frozenset(
    {"slice", "dynamic_slice", "gather", "rev", "reduce_max", "reduce_min", "sort", "cummax"}
)
"""Primitives whose numbers are some of those of their first argument."""

_ELEMENTWISE = frozenset({"exp", "exp2", "square", "abs", "integer_pow", "logistic", "mul", "max"})
"""Primitives of which shares of a sum are often made: two alike are one array."""

RangeRule = Callable[[list[Values], Mapping[str, Any]], Values]


def _between(low: float, high: float, by: str) -> RangeRule:
    """The rule of a function whose values lie between two numbers."""
    return lambda taken, params: Values(low, high, by)


def _rising(function: Callable[[float], float], by: str = "") -> RangeRule:
    """The rule of a function that rises."""
    return lambda taken, params: Values(function(taken[0].low), function(taken[0].high), by)


def _falling(function: Callable[[float], float], by: str = "") -> RangeRule:
    """The rule of a function that falls."""
    return lambda taken, params: Values(function(taken[0].high), function(taken[0].low), by)


def _exp(taken: list[Values], params: Any) -> Values:
    a = taken[0]
    return Values(_exp_of(a.low), _exp_of(a.high), _ENDINGS.get(a.by, ""), exp_of=a)


def _exp_of(x: float) -> float:
    return math.exp(x) if x < 700 else _INF


def _log(taken: list[Values], params: Any) -> Values:
    a = taken[0]
    summed = a.exp_of if a.sum_of is not None else None
    return Values(_log_of(a.low), _log_of(a.high), exp_of=summed)


def _log_of(x: float) -> float:
    return -_INF if x <= 0 else math.log(x)


def _product(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _add(taken: list[Values], params: Any) -> Values:
    a, b = taken
    for total, shift in ((a, b), (b, a)):
        # log(sum(exp(x - m))) + m is log(sum(exp(x)))
        if total.exp_of is not None and total.exp_of.less is not None:
            whole, less = total.exp_of.less
            if less is shift.key:
                return Values(exp_of=Values(key=whole))
    above = next((x.above for x, y in ((a, b), (b, a)) if y.low >= 0), None)
    return Values(a.low + b.low, a.high + b.high, above=above)


def _sub(taken: list[Values], params: Any) -> Values:
    a, b = taken
    if b.exp_of is not None and b.exp_of.key is a.key:
        return Values(-_INF, 0.0, _LOG_SOFTMAX)
    return Values(a.low - b.high, a.high - b.low, less=(a.key, b.key))


def _neg(taken: list[Values], params: Any) -> Values:
    return Values(-taken[0].high, -taken[0].low)


def _mul(taken: list[Values], params: Any) -> Values:
    a, b = taken
    for share, whole in ((a, b), (b, a)):
        if whole.over is share.key and share.low >= 0:
            return Values(0.0, 1.0, "softmax")
    ends = [_product(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return Values(min(ends), max(ends))


def _div(taken: list[Values], params: Any) -> Values:
    a, b = taken
    if b.sum_of is a.key and a.low >= 0:
        return Values(0.0, 1.0, "softmax")
    if b.above is a.key:
        return Values(-1.0, 1.0, "softsign")
    if b.low <= 0 <= b.high and not b.low == 0 < b.high:
        return Values()
    inverse = (1 / b.high, _INF if b.low == 0 else 1 / b.low)
    ends = [_product(x, y) for x in (a.low, a.high) for y in inverse]
    one = a.low == a.high == 1
    by = "sigmoid" if one and b.low == 1 and b.high == _INF else ""
    return Values(min(ends), max(ends), by, over=b.sum_of if one else None)


def _power(taken: list[Values], params: Any) -> Values:
    y = params["y"]
    if y == -1:
        return _div([Values(1.0, 1.0), taken[0]], params)
    return Values(0.0, _INF) if y % 2 == 0 else Values()


def _abs(taken: list[Values], params: Any) -> Values:
    a = taken[0]
    if a.low >= 0:
        return a
    low = 0.0 if a.low <= 0 <= a.high else min(abs(a.low), abs(a.high))
    return Values(low, max(abs(a.low), abs(a.high)), above=a.key)


def _max(taken: list[Values], params: Any) -> Values:
    a, b = taken
    by = "relu" if 0.0 in (a.high, b.high) else ""
    return Values(max(a.low, b.low), max(a.high, b.high), by)


def _min(taken: list[Values], params: Any) -> Values:
    a, b = taken
    return Values(min(a.low, b.low), min(a.high, b.high))


def _clamp(taken: list[Values], params: Any) -> Values:
    least, x, most = taken
    return Values(max(least.low, min(x.low, most.low)), min(most.high, max(x.high, least.high)))


def _sum(taken: list[Values], params: Any) -> Values:
    a = taken[0]
    low = 0.0 if a.low >= 0 else -_INF
    return Values(low, 0.0 if a.high <= 0 else _INF, sum_of=a.key, exp_of=a.exp_of)


def _union(taken: list[Values], params: Any) -> Values:
    by = taken[0].by if len({one.by for one in taken}) == 1 else ""
    return Values(min(one.low for one in taken), max(one.high for one in taken), by)


def _select(taken: list[Values], params: Any) -> Values:
    which, *cases = taken
    if which.low == which.high == 0:
        return cases[0]
    return _union(cases, params)


_RULES: dict[str, RangeRule] = {
    "logistic": _between(0.0, 1.0, "sigmoid"),
    "tanh": _between(-1.0, 1.0, "tanh"),
    "erf": _between(-1.0, 1.0, "erf"),
    "sin": _between(-1.0, 1.0, "sine"),
    "cos": _between(-1.0, 1.0, "cosine"),
    "atan": _between(-math.pi / 2, math.pi / 2, "arctan"),
    "erfc": _falling(math.erfc),
    "exp": _exp,
    "expm1": _rising(lambda x: _exp_of(x) - 1),
    "log": _log,
    "log1p": _rising(lambda x: _log_of(1 + x)),
    "sqrt": _rising(lambda x: math.sqrt(max(x, 0.0))),
    "square": lambda taken, params: Values(0.0, _INF),
    "add": _add,
    "add_any": _add,
    "sub": _sub,
    "neg": _neg,
    "mul": _mul,
    "div": _div,
    "integer_pow": _power,
    "abs": _abs,
    "max": _max,
    "min": _min,
    "clamp": _clamp,
    "reduce_sum": _sum,
    "concatenate": _union,
    "select_n": _select,
    "pad": _union,
}
