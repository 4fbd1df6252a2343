"""Replay the gradient of a batch: its ATen operators, recorded once, without Python and autograd.

A step of a small net is mostly the search for its operators: the module's ``forward`` in Python,
then the graph that autograd builds and walks. Where the operators of every batch are the same, one
batch is recorded, and the others replay it: the same operators on the same numbers, to the last
bit. They are the same if no Python of the module can act otherwise in another batch, so that a
module is replayed only if

- its layers are plain ones of ``torch.nn``, without hooks, buffers, random numbers or modes;
- a ``forward`` of the user's own is straight code: no branch, no assignment to an attribute, no
  function but those of PyTorch and its own;
- its plain attributes are those that were recorded.
"""

from __future__ import annotations

import dis
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from thetahat.train.torch._library import torch
from thetahat.train.torch._parts import copied

nn: Any = torch.nn
Gradient = Callable[..., tuple[torch.Tensor, ...]]
"""From parameters and the leaves of a batch to the summed loss and the gradients."""

LAYERS = (
    *("Sequential", "ModuleList", "ModuleDict", "Linear", "Bilinear", "Identity", "Flatten"),
    *("Conv1d", "Conv2d", "Conv3d", "AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d"),
    *("Embedding", "ReLU", "LeakyReLU", "PReLU", "ELU", "SELU", "CELU"),
    *("GELU", "SiLU", "Mish", "Tanh", "Sigmoid", "LogSigmoid", "Softplus", "Softsign"),
    *("Tanhshrink", "Hardtanh", "Hardsigmoid", "Hardswish", "ReLU6", "Softmax", "LogSoftmax"),
)  # fmt: skip
"""Layers of ``torch.nn`` whose operators depend on shapes alone."""

_HOOKS = (
    *("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"),
    *("_state_dict_hooks",),
)
_CALLING = ("__call__", "__getattr__")
_CHANGES = (
    *("STORE_ATTR", "STORE_GLOBAL", "STORE_SUBSCR", "STORE_DEREF", "DELETE_ATTR", "IMPORT_NAME"),
    "MAKE_FUNCTION",
)
_LOOPS = ("JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT")
_NOT_READ = (
    *("numpy", "train", "eval", "append", "extend", "update", "add", "pop", "insert", "clear"),
    *("setdefault", "load_state_dict", "register_buffer", "register_parameter"),
)
"""Names that a replayed ``forward`` does not mention: they read or change what no record sees."""
_BUILTINS = ("len", "range", "zip", "enumerate", "reversed")


class Replays:
    """The records of a module's batches, one for each shape of a batch.

    Args:    params: of the module, which keep their memory.
             gradient: of (leaves, weight): the summed loss and the gradient of each parameter.
    """

    def __init__(self, module: Any, params: list[torch.Tensor], gradient: Any) -> None:
        self._module, self._gradient = module, gradient
        self._params = params
        self._plain = [p.detach() for p in params]
        self._attributes: Any = None
        self._records: dict[Any, Gradient | None] = {}

    def begin(self) -> None:
        """Begin an epoch: forget what was recorded of a module with other attributes."""
        attributes = attributes_of(self._module)
        if attributes is None or attributes != self._attributes:
            self._records.clear()
        self._attributes = attributes

    def of(self, leaves: Any, weight: Any, scale: torch.Tensor) -> tuple[torch.Tensor, ...] | None:
        """Return the summed loss and the gradients of a batch; None where it is not replayed."""
        if self._attributes is None:
            return None
        shapes = tuple(leaf.shape for leaf in leaves)
        given = (*leaves, scale) if weight is None else (*leaves, weight, scale)
        if shapes not in self._records:
            tried = copied(leaves)
            run = lambda: self._gradient(tried, weight)  # noqa: E731
            inputs = (*self._params, *tried, *given[len(leaves) :])
            self._records[shapes] = recorded(run, inputs)
        record = self._records[shapes]
        if record is None:
            return None
        with torch.no_grad():
            return record(*self._plain, *given)


def attributes_of(module: Any) -> Any:
    """Return the plain attributes of a module and its parts, by which a record is known.

    Returns: None for a module that is not replayed.
    """
    found = []
    if nn.modules.module._has_any_global_hook():
        return None
    for name, part in module.named_modules():
        own = {k: v for k, v in vars(part).items() if not k.startswith("_")}
        hooked = any(vars(part).get(hook) for hook in _HOOKS)
        if hooked or part._buffers or not all(map(_is_plain, own.values())):
            return None
        kind = type(part)
        layer = kind.__module__.startswith("torch.nn.modules.") and kind.__name__ in LAYERS
        own_way = any(getattr(kind, name) is not getattr(nn.Module, name) for name in _CALLING)
        if not layer and (own_way or not _is_straight(kind.forward, kind, set())):
            return None
        found.append((name, kind, repr(own)))
    return found


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def _is_straight(function: Any, kind: type, seen: set[Any]) -> bool:
    """Whether a method of a module does the same at every call."""
    if function in seen:
        return True
    seen.add(function)
    if not isinstance(function, types.FunctionType) or function.__code__.co_freevars:
        return False
    for step in dis.get_instructions(function):
        branches = "JUMP" in step.opname and step.opname not in _LOOPS
        if branches or step.opname in _CHANGES:
            return False
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and not _of_torch(function, step.argval):
            return False
        if step.opname in ("LOAD_ATTR", "LOAD_METHOD") and not _is_read(step.argval, kind, seen):
            return False
    return True


def _is_read(name: str, kind: type, seen: set[Any]) -> bool:
    """Whether an attribute of this name, of the module or of another value, changes nothing."""
    own = getattr(kind, name, None)
    fixed = own is None or _from_torch(own) or _is_straight(own, kind, seen)
    return name not in _NOT_READ and fixed


def _of_torch(function: types.FunctionType, name: str) -> bool:
    value = function.__globals__.get(name)
    return name in _BUILTINS if value is None else _from_torch(value)


def _from_torch(value: Any) -> bool:
    module = getattr(value, "__module__", None) or ""
    if isinstance(value, types.ModuleType):
        module = value.__name__ if value.__name__ != "math" else "torch"
    elif isinstance(value, types.BuiltinFunctionType):
        module = "torch" if getattr(torch, value.__name__, None) is value else module
    return module.split(".")[0] == "torch"


class _Recorder(TorchDispatchMode):
    """The operators of a run, each with the tensors that it takes and makes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        del kinds
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        self.calls.append((func, args, kwargs, made))  # keeps tensors, and so their ids
        return made


def recorded(run: Callable[[], tuple[Any, ...]], inputs: Sequence[torch.Tensor]) -> Gradient | None:
    """Record what ``run`` computes from ``inputs``, as a function of these.

    Args:    run: a function without arguments that returns tensors.
    Returns: None where it uses other tensors or random numbers, or changes an input.
    """
    recorder, state = _Recorder(), torch.get_rng_state()
    try:
        with recorder:
            made = run()
    except RuntimeError:  # the module itself says what is wrong, if anything is
        return None
    finally:
        torch.set_rng_state(state)
    places = {id(tensor): k for k, tensor in enumerate(inputs)}
    calls: list[tuple[Any, Any, Any]] = []
    count = len(inputs)
    for func, args, kwargs, results in recorder.calls:
        taken, given = list(_tensors((args, kwargs))), list(_tensors(results))
        known = all(id(tensor) in places for tensor in taken)
        if not known or not given or torch.Tag.nondeterministic_seeded in func.tags:
            return None
        if func is torch.ops.aten.detach.default:
            places[id(results)] = places[id(taken[0])]
            continue
        if func._schema.is_mutable and places[id(taken[0])] < len(inputs):
            return None
        calls.append((func, _placed(args, places), _placed(kwargs, places)))
        for tensor in given:
            places[id(tensor)], count = count, count + 1
    if any(id(tensor) not in places for tensor in made):
        return None
    returned = [places[id(tensor)] for tensor in made]

    def replay(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        held = list(values)
        for func, args, kwargs in calls:
            held += _tensors(func(*_filled(args, held), **_filled(kwargs, held)))
        return tuple(held[k] for k in returned)

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer: sizes are constants, as they should be
        plain = tuple(tensor.detach() for tensor in inputs)
        try:
            traced: Any = torch.jit.trace(replay, plain, check_trace=False)
        except RuntimeError:  # of an operator that the tracer cannot write down
            return None
        same = all(map(torch.equal, traced(*plain), made))
    return traced if same else None


class _Place(int):
    """The place of a tensor among those of a replay."""


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, Mapping):
        yield from _tensors(tuple(values.values()))
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _tensors(value)


def _placed(values: Any, places: Mapping[int, int]) -> Any:
    """Put places where tensors are."""
    return _each(values, torch.Tensor, lambda tensor: _Place(places[id(tensor)]))


def _filled(values: Any, held: Sequence[torch.Tensor]) -> Any:
    """Put tensors where places are."""
    return _each(values, _Place, lambda place: held[place])


def _each(values: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    if isinstance(values, kind):
        return change(values)
    if isinstance(values, Mapping):
        return {name: _each(value, kind, change) for name, value in values.items()}
    if isinstance(values, (tuple, list)):
        return type(values)(_each(value, kind, change) for value in values)
    return values
