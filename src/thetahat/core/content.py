"""Keys from the contents of values: equal keys mean equal values.

A ``repr`` does not serve as a key: it cuts long arrays, hides fields and omits closures. Here

arrays                  dtype, shape and every byte
functions               bytecode, constants, defaults, closures; of a library's: name and closure
dataclasses, objects    their type and every attribute
mappings, sequences     their items in order; a list is not a tuple
anything else           the result of ``__reduce_ex__``, else the object itself (equal to no other)

Keys ignore line numbers, docstrings and module names, so that moved code is the same code.
Without "anything else", a key is the same in every process of one Python version.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import sys
import sysconfig
import types
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, Literal

from thetahat.core.numbers import is_traced

_SCALARS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), range, slice)
_PATHS = sysconfig.get_paths()
_LIBRARIES = tuple({_PATHS[name] for name in ("purelib", "platlib", "stdlib")})
_OURS = str(Path(__file__).parents[1])
_FUNCTION = 0x1
"""CO_OPTIMIZED: the code of a function, whose first constant may be a docstring."""
_NO_VALUE = object()
_PLAIN = (*_SCALARS, tuple, frozenset)
_MOST_READ = 300
"""Functions that are looked through for the globals of a program."""


Reach = Literal["all", "fixed", "code"]
"""Globals that the key of a function includes: all that it names; functions, classes, numbers,
texts and arrays; or functions and classes alone."""


def content_key(value: Any, *, reach: Reach = "all", here: bool = True) -> str:
    """Return the contents of ``value`` as a short text that can be compared.

    Args:    reach: globals of functions that count.
             here: whether the key is compared within this process only. If not, objects without
             contents count by their type, a tuple equals a list, a NumPy scalar its number.
    >>> content_key(0.5)
    'float 0.5'
    >>> content_key(lambda x: x + 1) == content_key(lambda x: x + 2)
    False
    """
    value = value if here else _plain(value)
    if type(value) in _SCALARS and len(said := repr(value)) < 64:
        return f"{type(value).__name__} {said}"
    return _Keys(reach, here).key(value).hex()


StaticPart = tuple[tuple[str, str], ...]


def static_part(config: Mapping[str, Any], traced: frozenset[str]) -> StaticPart:
    """Return the part of a config that decides which compiled program it needs."""
    return static_parts([config], traced)[0]


def static_parts(configs: Sequence[Mapping[str, Any]], traced: frozenset[str]) -> list[StaticPart]:
    """Return ``static_part`` of each config; read a shared value once."""
    known: dict[int, str] = {}

    def key(value: Any) -> str:
        if type(value) in _SCALARS:
            return content_key(value)
        if id(value) not in known:
            known[id(value)] = content_key(value)
        return known[id(value)]

    return [
        tuple(sorted((k, key(v)) for k, v in config.items() if k not in traced))
        for config in configs
    ]


def globals_read(program: Any) -> dict[str, str]:
    """Return a key of each global that a user's program reads: functions, classes, plain values.

    Python looks a global up whenever it is read. Keys that differ later tell that a program is
    another one now, although its own code is the same. A function's or a class's key is of its own
    code; what it reads has a key beside it.

    Args:    program: a function; a list of functions; or an object, of whose class the methods are.
    Returns: keys by "MODULE.NAME". Arrays and lists do not count: to read them takes time.
    >>> import math
    >>> globals_read(lambda x: math.sin(x))
    {}
    """
    found: dict[str, str] = {}
    seen, left = set[int](), [program]
    while left and len(seen) < _MOST_READ:
        for f in _functions_of(left.pop()):
            if id(f) in seen or _is_library_file(f.__code__.co_filename):
                continue
            seen.add(id(f))
            left += [cell.cell_contents for cell in f.__closure__ or () if _holds_function(cell)]
            for name in _names_read(f.__code__):
                value = f.__globals__.get(name, _NO_VALUE)
                if isinstance(value, types.FunctionType):
                    key = _own_key(value)
                elif isinstance(value, type) and not _of_library(value):
                    key = " ".join(map(_own_key, _functions_of(value)))
                elif type(value) in _PLAIN:
                    key = content_key(value)
                else:
                    continue
                found[f"{f.__module__}.{name}"] = key
                left.append(value)
    return found


def _holds_function(cell: Any) -> bool:
    return isinstance(getattr(cell, "cell_contents", None), types.FunctionType)


def _own_key(f: types.FunctionType) -> str:
    """Return the key of a function without the globals that it reads."""
    cells = [getattr(cell, "cell_contents", "empty") for cell in f.__closure__ or ()]
    held = (f.__defaults__, f.__kwdefaults__, cells)
    return _code_key(f.__code__) + (content_key(held, reach="code") if any(held) else "")


@functools.lru_cache(maxsize=1024)
def _code_key(code: types.CodeType) -> str:
    return content_key(code, reach="code")


@functools.lru_cache(maxsize=1024)
def _names_read(code: types.CodeType) -> Sequence[str]:
    return _names_of(code)


def _functions_of(program: Any) -> list[types.FunctionType]:
    """List the functions that make a program: itself, its parts, or the methods of its class."""
    if isinstance(program, (tuple, list)):
        return [f for part in program for f in _functions_of(part)]
    if isinstance(program, functools.partial):
        return _functions_of(program.func)
    if isinstance(program, types.MethodType):
        return _functions_of(program.__func__)
    if isinstance(program, types.FunctionType):
        return [program]
    cls = program if isinstance(program, type) else type(program)
    kinds = [base for base in cls.__mro__ if not _of_library(base)]
    return [f for base in kinds for f in vars(base).values() if isinstance(f, types.FunctionType)]


class _Keys:
    """One walk over a value."""

    def __init__(self, reach: Reach, here: bool) -> None:
        self._reach, self._here = reach, here
        self._known: dict[int, bytes] = {}
        self._held: list[Any] = []
        """Values known by their ``id``: references keep these ids valid."""

    def key(self, value: Any) -> bytes:
        """Return the digest of a value."""
        value = value if self._here else _plain(value)
        if type(value) in _SCALARS:
            return _digest(type(value).__name__, repr(value))
        known = self._known.get(id(value))
        if known is None:
            self._held.append(value)
            # A reference back to this value gets a key from its depth.
            self._known[id(value)] = _digest("above", str(len(self._known)))
            known = self._known[id(value)] = self._of(value)
        return known

    def _all(self, what: str, *parts: Any) -> bytes:
        return _digest(what, *(self.key(part) for part in parts))

    def _of(self, value: Any) -> bytes:
        if isinstance(value, Enum):
            return self._all("enum", type(value).__qualname__, value.name)
        if isinstance(value, type):
            return self._class(value)
        if _is_array(value):
            return self._array(value)
        if isinstance(value, PurePath):
            return self._all("path", str(value))
        if type(value) is object:
            return self._all("itself", id(value) if self._here else 0)
        if isinstance(value, types.ModuleType):
            return self._all("module", value.__name__)
        if isinstance(value, types.CodeType):
            return self._code_of(value)
        if isinstance(value, types.CellType):
            return self._all("cell", getattr(value, "cell_contents", "empty"))
        found = self._callable(value)
        if found is not None:
            return found
        return self._container(value) or self._object(value)

    def _container(self, value: Any) -> bytes | None:
        if isinstance(value, Mapping):
            pairs = [part for pair in value.items() for part in pair]
            return _digest(self._name(type(value), dict), *map(self.key, pairs))
        if isinstance(value, (set, frozenset)):
            return _digest("set", *sorted(map(self.key, value)))
        if isinstance(value, (list, tuple)):
            plain = (list, tuple) if self._here else (type(value),)
            name = type(value).__name__ if self._here else "list"
            if type(value) not in (list, tuple):
                name, plain = self._name(type(value)), ()
            return _digest(name if plain else f"of {name}", *map(self.key, value))
        return None

    def _callable(self, value: Any) -> bytes | None:
        """Return the key of a function, also of a wrapped one; None for other values."""
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.MethodType):
            return self._all("method", value.__self__, value.__func__)
        if isinstance(value, functools.partial):
            return self._all("partial", value.func, value.args, value.keywords)
        if isinstance(value, (staticmethod, classmethod)):
            return self._all(type(value).__name__, value.__func__)
        if isinstance(value, property):
            return self._all("property", value.fget, value.fset)
        inner = getattr(value, "__wrapped__", None)
        if callable(inner) and _of_library(type(value)):
            rules = [getattr(value, name, None) for name in ("jvp", "fwd", "bwd")]
            return self._all("wrapped", type(value).__qualname__, inner, rules)
        bound = getattr(value, "__self__", None)
        named = callable(value) and isinstance(getattr(value, "__name__", None), str)
        if named and (bound is None or isinstance(bound, types.ModuleType)):
            whole = getattr(value, "__qualname__", value.__name__)
            if _of_library(type(value)) and not dataclasses.is_dataclass(value):
                module = getattr(value, "__module__", None) or type(value).__module__
                return self._all("named", module, whole)
        return None

    def _function(self, f: types.FunctionType) -> bytes:
        cells = dict(zip(f.__code__.co_freevars, f.__closure__ or (), strict=True))
        held = [f.__defaults__, f.__kwdefaults__, cells]
        if _is_library_file(f.__code__.co_filename):
            return self._all("library", f.__module__ or "", f.__qualname__, *held)
        found = {}
        for name in _names_of(f.__code__):
            value = f.__globals__.get(name, _NO_VALUE)
            if self._counts(value):
                found[name] = value
        return self._all("function", f.__code__, found, *held)

    def _counts(self, value: Any) -> bool:
        """Return whether a global belongs to the code that names it."""
        if value is _NO_VALUE or isinstance(value, types.ModuleType):
            return False
        if isinstance(value, type):
            return not _of_library(value)
        fixed = (*_SCALARS, tuple, frozenset)
        return (
            callable(value)
            or self._reach == "all"
            or (self._reach == "fixed" and (type(value) in fixed or _is_array(value)))
        )

    def _code_of(self, code: types.CodeType) -> bytes:
        consts = list(code.co_consts)
        if code.co_flags & _FUNCTION and consts and _has_doc(code):
            consts[0] = None
        return self._all(
            "code",
            code.co_code,
            code.co_names,
            code.co_varnames,
            code.co_freevars,
            (code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount),
            consts,
        )

    def _class(self, cls: type) -> bytes:
        if _of_library(cls):
            return self._all("class", cls.__module__, cls.__qualname__)
        kept = {
            name: value
            for name, value in vars(cls).items()
            if name not in _OF_A_CLASS and not isinstance(value, _SLOTS)
        }
        return self._all("class of a user", cls.__qualname__, cls.__bases__, kept)

    def _name(self, cls: type, plain: type | None = None) -> str:
        return cls.__name__ if cls is plain else self._class(cls).hex()

    def _array(self, value: Any) -> bytes:
        if is_traced(value):
            return self._all("traced", str(value.dtype), tuple(value.shape))
        if str(value.dtype).startswith("key<"):
            data = sys.modules["jax"].random.key_data(value)
            return self._all("keys", str(value.dtype), data)
        tensor = hasattr(value, "detach")  # PyTorch's converts itself only without a gradient
        array = (value.detach().cpu() if tensor else value).__array__()
        if array.dtype.hasobject:
            return self._all("objects", array.shape, array.ravel().tolist())
        plain = type(value).__module__ == "numpy" and type(value).__name__ != "ndarray"
        kind = "scalar" if plain else "array"
        facts = f"{kind} {array.dtype.str} {array.dtype} {array.shape}"
        return _digest(facts, array.tobytes())

    def _object(self, value: Any) -> bytes:
        cls = type(value)
        held = {
            name: getattr(value, name, None)
            for base in cls.__mro__
            for name in _slots(base)
            if hasattr(value, name)
        }
        held |= getattr(value, "__dict__", {})
        if dataclasses.is_dataclass(value):
            names = [field.name for field in dataclasses.fields(value)]
            held = {name: getattr(value, name, None) for name in names} | held
        made = [n for n in held if isinstance(getattr(cls, n, None), functools.cached_property)]
        held = {name: part for name, part in held.items() if name not in made}
        if held or made:
            return self._all("object", cls, held)
        try:
            return self._all("reduced", cls, value.__reduce_ex__(4))  # pyright: ignore[reportCallIssue]
        except Exception:  # noqa: BLE001 - any object may raise anything; then it equals itself only
            return self._all("itself", cls, id(value) if self._here else 0)


_OF_A_CLASS = {
    *("__module__", "__dict__", "__weakref__", "__doc__", "__firstlineno__", "__abstractmethods__"),
    *("_abc_impl", "__static_attributes__", "__annotations__", "__parameters__", "__slotnames__"),
    *("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__orig_bases__"),
}
_SLOTS = (types.MemberDescriptorType, types.GetSetDescriptorType)


def _digest(what: str, *parts: Any) -> bytes:
    """Digest the parts and their lengths, so that two different lists differ."""
    found = hashlib.blake2b(digest_size=16)
    found.update(what.encode("utf-8", "surrogatepass"))
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        found.update(b"|%d|" % len(data))
        found.update(data)
    return found.digest()


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as a number of Python."""
    scalar = type(value).__module__ == "numpy" and getattr(value, "shape", None) == ()
    return value.item() if scalar and type(value).__name__ != "ndarray" else value


def _is_array(value: Any) -> bool:
    kind = type(value)
    return hasattr(kind, "dtype") and hasattr(kind, "shape") and hasattr(kind, "__array__")


def _is_library_file(name: str) -> bool:
    return name.startswith((*_LIBRARIES, _OURS))


def _of_library(cls: type) -> bool:
    """Return whether a class came with Python or from an installed package."""
    module = cls.__module__ or ""
    if module in sys.builtin_module_names:
        return True
    return _is_library_file(getattr(sys.modules.get(module), "__file__", None) or "")


def _names_of(code: types.CodeType) -> Sequence[str]:
    """List the global names that code may read, at any depth."""
    found = list(code.co_names)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            found += _names_of(const)
    return sorted(set(found))


def _has_doc(code: types.CodeType) -> bool:
    if sys.version_info >= (3, 13):
        return bool(code.co_flags & 0x4000000)
    return isinstance(code.co_consts[0], str)


def _slots(cls: type) -> Sequence[str]:
    found = vars(cls).get("__slots__", ())
    names = (found,) if isinstance(found, str) else tuple(found)
    return [name for name in names if name not in ("__dict__", "__weakref__")]
