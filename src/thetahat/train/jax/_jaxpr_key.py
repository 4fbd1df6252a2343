"""Keys of jaxprs by their structure: equal keys mean equal mathematics, to the last bit.

A jaxpr's text is no key: it leaves constants out, shortens arrays, and shows addresses.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import re
import threading
import types
import weakref
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jax.interpreters import partial_eval

from thetahat.core.content import content_key

_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_RULES = ("jvp_jaxpr_fun", "fwd_jaxpr_thunk", "bwd", "out_trees")
"""Parameters of custom derivatives that are functions."""
_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.dtype)


class NotComparable(Exception):
    """A jaxpr holds what cannot be compared; the message names it."""


class CustomDerivative(NotComparable):
    """A derivative by a rule of the user's, which only the derivative itself shows."""


@dataclasses.dataclass
class InnerKeys:
    """Keys of jaxprs without constants: JAX itself keeps those of its functions, such as where."""

    _found: Any = dataclasses.field(default_factory=weakref.WeakKeyDictionary, repr=False)
    _lock: Any = dataclasses.field(default_factory=threading.Lock, repr=False)

    def get(self, jaxpr: Jaxpr, how: Any) -> bytes | None:
        """The key of a jaxpr that is alive; None if it is not known."""
        with self._lock:
            return self._found.get(jaxpr, {}).get(how)

    def keep(self, jaxpr: Jaxpr, how: Any, key: bytes) -> None:
        """Keep a key as long as its jaxpr is alive."""
        with self._lock:
            self._found.setdefault(jaxpr, {})[how] = key


_inner = InnerKeys()


class JaxprKey:
    """The key of a jaxpr.

    Args:    strict: raise NotComparable where the structure does not tell what is computed; else
             such a part counts by its text, or by the code of a function on the host.
             differentiated: whether rules of derivatives count.
    """

    def __init__(self, *, strict: bool, differentiated: bool = False) -> None:
        self._strict, self._rules = strict, differentiated
        self._checked: set[Any] = set()
        """Types that are comparable."""
        self.const_bytes = 0

    def of(self, closed: ClosedJaxpr) -> str:
        """Return the key of a jaxpr with its constants."""
        return self._closed(closed.jaxpr, closed.consts).hex()

    def _closed(self, jaxpr: Jaxpr, consts: Sequence[Any] = ()) -> bytes:
        names: dict[Any, int] = {}
        parts: list[Any] = ["jaxpr", len(jaxpr.constvars), len(jaxpr.invars)]
        for var in (*jaxpr.constvars, *jaxpr.invars):
            names[var] = len(names)
            parts.append(self._aval(var.aval))
        for equation in jaxpr.eqns:
            parts.append(equation.primitive.name)
            parts += [self._atom(atom, names) for atom in equation.invars]
            for var in equation.outvars:
                names[var] = len(names)
                parts.append(self._aval(var.aval))
            parts.append(_text(equation.ctx))
            parts.append(self._parameters(equation))
        parts += [self._atom(atom, names) for atom in jaxpr.outvars]
        parts += [self._value(const, "constant") for const in consts]
        return digest(parts)

    def _atom(self, atom: Any, names: Mapping[Any, int]) -> Any:
        if isinstance(atom, Literal):
            return ("literal", self._value(atom.val, "literal"), self._aval(atom.aval))
        return names[atom]

    def _aval(self, aval: Any) -> str:
        if self._strict and aval not in self._checked:
            if type(aval).__name__ not in ("ShapedArray", "AbstractToken"):
                raise NotComparable(f"a {type(aval).__name__}")
            mesh = getattr(getattr(aval, "sharding", None), "mesh", None)
            if mesh is not None and not mesh.empty:
                raise NotComparable("an array over several devices")
            dtype = getattr(aval, "dtype", None)
            if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.extended):
                self._value(getattr(aval.dtype, "_impl", aval.dtype), "a random key")
            self._checked.add(aval)
        return _text(aval)

    def _parameters(self, equation: Any) -> list[Any]:
        primitive, found = equation.primitive.name, []
        for name, value in sorted(equation.params.items()):
            if name in _RULES and primitive.startswith(("custom_jvp_call", "custom_vjp_call")):
                found += [name, self._rule(equation, name, value)]
            else:
                found += [name, self._value(value, f"{name} of {primitive}")]
        return found

    def _rule(self, equation: Any, name: str, rule: Any) -> Any:
        if not self._strict:
            return "" if name == "out_trees" else _ADDRESS.sub("0x", str(rule))
        if not self._rules:
            return ""
        if name != "jvp_jaxpr_fun" or equation.params.get("symbolic_zeros"):
            raise CustomDerivative(f"the rule of {equation.primitive.name}")
        known = _names_of_jax(rule)
        if known is not None:
            return known
        n = len(equation.invars) - equation.params["num_consts"]
        self._rules = False  # a rule's own derivative is of second order
        try:
            jaxpr, consts, zeros = rule.call_wrapped(*(False,) * n)
        except Exception as error:  # a rule may raise anything; the derivative then tells
            raise CustomDerivative(f"the rule of {equation.primitive.name}") from error
        finally:
            self._rules = True
        return [self._inside(jaxpr, consts, rules=False), repr(zeros)]

    def _inside(self, jaxpr: Jaxpr, consts: Sequence[Any], *, rules: bool | None = None) -> bytes:
        before, self._rules = self._rules, self._rules if rules is None else rules
        how = (self._strict, self._rules)
        try:
            found = None if consts else _inner.get(jaxpr, how)
            if found is None:
                held, found = self.const_bytes, self._closed(jaxpr, consts)
                if not consts and self._strict and self.const_bytes == held:
                    _inner.keep(jaxpr, how, found)
            return found
        finally:
            self._rules = before

    def _value(self, value: Any, where: str) -> Any:
        kind = type(value)
        if kind in _PLAIN or isinstance(value, np.dtype):
            return (kind.__name__, repr(value))
        if kind.__name__ == "PRNGImpl" and all(map(_of_jax, filter(callable, value))):
            return (value.name, value.tag)
        if isinstance(value, ClosedJaxpr):
            return self._inside(value.jaxpr, value.consts)
        if isinstance(value, Jaxpr):
            return self._inside(value, ())
        if isinstance(value, (tuple, list)):
            return [kind.__qualname__, *(self._value(one, where) for one in value)]
        if isinstance(value, Mapping):
            return [kind.__qualname__, *(self._value(pair, where) for pair in value.items())]
        if isinstance(value, (np.ndarray, np.generic, jax.Array)):
            return self._array(value)
        if isinstance(value, Enum):
            return (kind.__qualname__, value.name)
        return self._special(value, where)

    def _special(self, value: Any, where: str) -> Any:
        kind = type(value)
        if _of_jax(kind):
            if isinstance(value, (int, float, complex)):  # with a dtype
                number = np.asarray(value)
                return (kind.__name__, number.dtype.str, number.tobytes())
            if dataclasses.is_dataclass(value):
                fields = [getattr(value, f.name) for f in dataclasses.fields(value)]
                return [kind.__qualname__, *(self._value(one, where) for one in fields)]
            mesh = value.mesh if kind.__name__ == "NamedSharding" else value
            if kind.__name__ in ("UnspecifiedValue", "PartitionSpec") or (
                type(mesh).__name__ in ("Mesh", "AbstractMesh") and mesh.empty
            ):
                return (kind.__qualname__, repr(value))
        if self._strict:
            raise NotComparable(f"{where}: {kind.__name__}")
        if where.startswith("callback "):
            return content_key(getattr(value, "callback_func", value), here=False)
        return _ADDRESS.sub("0x", repr(value))

    def _array(self, value: Any) -> Any:
        weak = getattr(value, "weak_type", None)
        if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            kind, array = str(value.dtype), np.asarray(jax.random.key_data(value))
        else:
            array = np.asarray(value)
            kind = array.dtype.str + str(array.dtype)
        if array.dtype.hasobject:
            raise NotComparable("an array of Python objects")
        self.const_bytes += array.nbytes if array.ndim else 0  # a literal holds no memory
        digest = hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).digest()
        return ("array", kind, array.shape, weak, digest)


def _text(value: Any) -> str:
    """The text of one of JAX's own interned values, whose text is all that it is."""
    try:
        return _known_text(value)
    except TypeError:
        return repr(value)


@functools.lru_cache(maxsize=4096, typed=True)
def _known_text(value: Any) -> str:
    return f"{type(value).__name__} {value!r} {getattr(value, 'weak_type', None)}"


def _of_jax(what: Any) -> bool:
    """Whether a class or a function is JAX's own."""
    return (what.__module__ or "").split(".")[0] in ("jax", "jaxlib")


_MACHINERY = ("EqualStore", "Store", "DynamicJaxprTrace", "PyTreeDef", "ShapedArray", "DebugInfo")
"""Types of what tracing a rule needs, beside the functions that make it."""
_JAX = os.path.dirname(jax.__file__)


def _names_of_jax(rule: Any) -> list[str] | None:
    """The functions behind a rule, by place, if all of them are JAX's own (as those of relu are):
    then it need not be traced. None if any of them, or of what they hold, is not."""
    found: list[str] = []
    seen, left = set[int](), [rule]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, types.FunctionType):
            if not _of_jax(one) or not one.__code__.co_filename.startswith(_JAX):
                return None
            found.append(f"{one.__code__.co_filename[len(_JAX) :]}:{one.__code__.co_firstlineno}")
        elif isinstance(one, (str, bool, int, type(None))):
            found.append(repr(one))
        inner = _held(one)
        if inner is None:
            return None
        left += inner
    return found


def _held(value: Any) -> Sequence[Any] | None:
    """What a part of a rule holds that the rule may depend on; None where that is unknown."""
    name = type(value).__name__
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        if value.__qualname__.startswith("_memoize"):  # with what was traced so far
            cells = [cell for cell in cells if not isinstance(cell, dict)]
        return [*cells, value.__defaults__, value.__kwdefaults__]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if name in _PARTS_OF_RULES and _of_jax(type(value)):
        return [getattr(value, part) for part in _PARTS_OF_RULES[name]]
    if name == "JaxprEqn":  # the one that dead code was taken from
        return [value.params.get("jvp_jaxpr_fun", value.params)]
    if isinstance(value, (list, tuple)):
        return value
    known = isinstance(value, (str, bool, int, type(None))) or type(value) is object
    return () if known or name in _MACHINERY else None


_PARTS_OF_RULES = {
    "WrappedFun": ("f", "transforms"),
    "custom_jvp": ("fun", "jvp"),
    "PjitFunction": ("__wrapped__",),
}


def without_dead_code(
    jaxpr: Jaxpr, wanted: Sequence[bool], *, instantiate: bool
) -> tuple[Jaxpr, list[bool]]:
    """Remove what no wanted output needs; return the rest, and which inputs it reads.

    Equations of which all is needed stay as they were: their inner jaxprs have known keys.
    """
    reduced, used = partial_eval.dce_jaxpr(jaxpr, list(wanted), instantiate=instantiate)
    before = {tuple(map(id, equation.outvars)): equation for equation in jaxpr.eqns}
    eqns = []
    for equation in reduced.eqns:
        old = before.get(tuple(map(id, equation.outvars)), equation)
        same = len(old.invars) == len(equation.invars) and all(
            a is b for a, b in zip(old.invars, equation.invars, strict=True)
        )
        eqns.append(old if same else equation)
    return reduced.replace(eqns=eqns), used


def reduced(closed: ClosedJaxpr, wanted: Sequence[bool]) -> tuple[Jaxpr, list[Any], list[bool]]:
    """What gives the wanted outputs: its jaxpr, its constants, and which inputs it reads."""
    jaxpr, used = without_dead_code(closed.jaxpr, wanted, instantiate=False)
    atoms = (*jaxpr.outvars, *(atom for equation in jaxpr.eqns for atom in equation.invars))
    read = {atom for atom in atoms if not isinstance(atom, Literal)}
    pairs = zip(closed.jaxpr.constvars, closed.consts, strict=True)
    held = {var: const for var, const in pairs if var in read}
    return jaxpr.replace(constvars=list(held)), list(held.values()), used


def digest(parts: Any) -> bytes:
    """Digest a tree of lists, texts, bytes and numbers by its text, which tells all of them."""
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=20).digest()
