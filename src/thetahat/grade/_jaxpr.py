"""Read a traced loss: the weight of a row, broadcast shapes, and parameters that layers share.

The calls inside the program of JAX are written out, so that it is one list of operations. The
predictions are the output of the last matrix product that has one number for each row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from thetahat.grade._steps import GradientStep

_SHAPE_ONLY = ("broadcast_in_dim", "reshape", "squeeze", "convert_element_type", "copy", "transpose")
_PARTS = ("slice", "dynamic_slice", "gather", "split")
_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation; inputs and outputs are numbers of variables, or literals."""

    name: str
    primitive: Any
    params: dict[str, Any]
    inputs: tuple[Any, ...]
    outputs: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    line: int


class FlatProgram:
    """A closed jaxpr with its inner calls written out.

    Variables are numbered; ``known`` has the values of the inputs and the constants.
    """

    def __init__(self, closed: Any, inputs: Sequence[Any], file: str) -> None:
        self.file = file
        self.operations: list[Operation] = []
        self.known: dict[int, Any] = {}
        self._next = 0
        self.inputs = [self._new() for _ in inputs]
        self.known.update(zip(self.inputs, inputs, strict=True))
        (self.output,) = self._walk(closed, self.inputs)

    def _new(self) -> int:
        self._next += 1
        return self._next

    def _walk(self, closed: Any, inputs: Sequence[Any]) -> list[Any]:
        jaxpr = closed.jaxpr
        names: dict[Any, Any] = dict(zip(jaxpr.invars, inputs, strict=True))
        for var, const in zip(jaxpr.constvars, closed.consts, strict=True):
            names[var] = self._new()
            self.known[names[var]] = const

        def read(atom: Any) -> Any:
            return atom if hasattr(atom, "val") else names[atom]

        for eqn in jaxpr.eqns:
            given = [read(atom) for atom in eqn.invars]
            inner = next((eqn.params[k] for k in _INNER if k in eqn.params), None)
            if hasattr(inner, "consts") and len(inner.jaxpr.invars) == len(given):
                names.update(zip(eqn.outvars, self._walk(inner, given), strict=True))
                continue
            outputs = tuple(self._new() for _ in eqn.outvars)
            names.update(zip(eqn.outvars, outputs, strict=True))
            shapes = tuple(tuple(getattr(var.aval, "shape", ())) for var in eqn.outvars)
            self.operations.append(
                Operation(
                    eqn.primitive.name,
                    eqn.primitive,
                    eqn.params,
                    tuple(given),
                    outputs,
                    shapes,
                    _line(eqn, self.file),
                )
            )
        return [read(atom) for atom in jaxpr.outvars]

    def run(self, known: dict[Any, Any], operations: Sequence[Operation]) -> dict[Any, Any]:
        """Run operations from known values."""
        values = dict(known)
        for op in operations:
            given = [atom.val if hasattr(atom, "val") else values[atom] for atom in op.inputs]
            out = op.primitive.bind(*given, **op.primitive.get_bind_params(op.params))
            outs = out if op.primitive.multiple_results else [out]
            values.update(zip(op.outputs, outs, strict=True))
        return values


def _line(eqn: Any, file: str) -> int:
    """The innermost line of the program that made an operation; 0 if there is none."""
    traceback = getattr(eqn.source_info, "traceback", None)
    frames = traceback.frames if traceback is not None else ()
    return next((frame.line_num for frame in frames if frame.file_name == file), 0)


def read_program(
    closed: Any, inputs: Sequence[Any], trained: Sequence[bool], file: str
) -> GradientStep:
    """Read a loss at these inputs; ``trained`` says which of them are differentiated."""
    program = FlatProgram(closed, inputs, file)
    operations = program.operations
    last = _predictions(operations)
    values = program.run(program.known, operations if last is None else operations[: last + 1])
    parameters = [var for var, moves in zip(program.inputs, trained, strict=True) if moves]
    shared, layers = _shared(operations, parameters)
    line = next((op.line for op in reversed(operations) if op.line), 0)
    if last is None:
        loss = float(values[program.output])
        return GradientStep(loss, line=line, shared_line=shared, has_layers=layers)
    rows, weight, loss = _weight(program, last, values)
    n = math.prod(operations[last].shapes[0])
    square = next((op.line or line for op in operations[last + 1 :] if _is_square(op, n)), 0)
    return GradientStep(loss, rows, weight, line, square, shared, layers)


def _predictions(operations: Sequence[Operation]) -> int | None:
    """The place of the last product with one number for each of several rows."""
    for place in reversed(range(len(operations))):
        if operations[place].name == "dot_general":
            shape = operations[place].shapes[0]
            if math.prod(shape) > 1:
                return place if max(shape) == math.prod(shape) else None
    return None


def _is_square(op: Operation, n: int) -> bool:
    return n > 1 and any(sum(size == n for size in shape) >= 2 for shape in op.shapes)


def _weight(program: FlatProgram, last: int, values: dict[Any, Any]) -> tuple[int, float, float]:
    """Rows with a weight, the largest weight, and the loss."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    where = program.operations[last].outputs[0]
    rest = program.operations[last + 1 :]
    at = values[where]

    def loss(shift: Any) -> Any:
        return program.run({**values, where: at + shift}, rest)[program.output]

    value, slope = jax.value_and_grad(loss)(jnp.zeros_like(at))
    further = jax.grad(loss)(jnp.ones_like(at))
    weights = np.asarray(further - slope, dtype=float).ravel() / 2
    if not np.isfinite(weights).all():
        return 0, 0.0, float(value)
    top = float(weights.max(initial=0.0))
    return int((weights > 1e-3 * top).sum()) if top > 0 else 0, max(top, 0.0), float(value)


def _shared(operations: Sequence[Operation], parameters: Sequence[int]) -> tuple[int, bool]:
    """The line where a parameter meets a second layer, and whether there are two layers.

    The depth of a value is the largest number of matrix products on a way to it. A parameter of one
    layer meets values of one depth.
    """
    roots: dict[Any, Any] = {var: var for var in parameters}
    depth: dict[Any, int] = {}
    met: dict[Any, set[int]] = {}
    line, deepest = 0, 0
    for op in operations:
        variables = [atom for atom in op.inputs if not hasattr(atom, "val")]
        depths = [depth[var] for var in variables if var in depth]
        own = [roots[var] for var in variables if var in roots]
        if not depths and len(own) == 1 and op.name in (*_SHAPE_ONLY, *_PARTS):
            fixed = len(variables) == 1
            root = own[0] if op.name in _SHAPE_ONLY else (own[0], _which(op) if fixed else op)
            if op.name != "split":
                roots.update(dict.fromkeys(op.outputs, root))
            continue
        for root in own if depths else ():
            seen = met.setdefault(root, set())
            if seen and max(depths) not in seen:
                line = line or op.line or -1
            seen.add(max(depths))
        here = max(depths, default=0) + (op.name == "dot_general")
        if depths or op.name == "dot_general":
            depth.update(dict.fromkeys(op.outputs, here))
            deepest = max(deepest, here)
    return line, deepest > 1


def _which(op: Operation) -> str:
    """A part of a parameter, told by how it is cut out."""
    literals = [str(atom.val) for atom in op.inputs if hasattr(atom, "val")]
    return f"{op.name}{sorted(op.params.items(), key=lambda item: item[0])}{literals}"
