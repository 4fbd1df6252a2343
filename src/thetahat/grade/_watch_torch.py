"""Watch the gradients of a PyTorch program: the graph behind a loss, when ``backward`` begins.

Anomaly mode keeps for every node of the graph the lines that made it. The loss is a sum of squares
times a weight w, so that gradients g by the predictions give w = sum g^2 / (4 loss).
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
import warnings
from collections.abc import Iterator
from typing import Any

from thetahat.grade._steps import BARE, GradientStep, StepLog, user_lines

_PRODUCTS = re.compile(r"(Addmm|Mm|Mv|Bmm|Baddbmm|Addmv|Linear|Dot)Backward\d*$")
_SHAPE_ONLY = re.compile(
    r"(Expand|View|UnsafeView|T|Reshape|ReshapeAlias|Squeeze|Unsqueeze|Permute|Transpose|ToCopy"
    r"|Clone|Alias|BroadcastTo)Backward\d*$"
)
_PARTS = re.compile(r"(Select|Slice|Unbind|Split|SplitWithSizes|Narrow|Index|IndexSelect)Backward")


@contextlib.contextmanager
def watching_torch(log: StepLog) -> Iterator[None]:
    """Replace ``backward`` and ``grad`` while a program is loaded and run."""
    import torch
    from torch.nn.modules.module import register_module_parameter_registration_hook

    backward, grad = torch.Tensor.backward, torch.autograd.grad
    made: dict[int, int] = {}

    def remember(module: Any, name: str, parameter: Any) -> None:
        lines = user_lines(log.file)
        if parameter is not None and lines:
            made.setdefault(id(parameter), lines[0])

    @functools.wraps(backward)
    def watched_backward(self: Any, *args: Any, **options: Any) -> Any:
        with _looking(self, log, made):
            return backward(self, *args, **options)

    @functools.wraps(grad)
    def watched_grad(outputs: Any, *args: Any, **options: Any) -> Any:
        one = outputs[0] if isinstance(outputs, tuple | list) and len(outputs) == 1 else outputs
        if not isinstance(one, torch.Tensor):
            return grad(outputs, *args, **options)
        with _looking(one, log, made):
            return grad(outputs, *args, **options)

    handle = register_module_parameter_registration_hook(remember)
    torch.Tensor.backward, torch.autograd.grad = watched_backward, watched_grad  # type: ignore[method-assign]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with torch.autograd.set_detect_anomaly(True, check_nan=False):
                yield
    finally:
        torch.Tensor.backward, torch.autograd.grad = backward, grad  # type: ignore[method-assign]
        handle.remove()


@contextlib.contextmanager
def _looking(loss: Any, log: StepLog, made: dict[int, int]) -> Iterator[None]:
    """Note the step of a loss whose gradient is taken inside."""
    if not log.open or loss.grad_fn is None or loss.numel() != 1:
        yield
        return
    if not log.detailed:
        log.steps.append(BARE)
        yield
        return
    graph = LossGraph(loss.grad_fn, log.file, made)
    found: list[Any] = []
    handle = None
    if graph.predictions is not None:
        handle = graph.predictions.register_prehook(lambda grads: found.append(grads[0].detach()))
    value = float(loss.detach())
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()
    rows, weight = 0, 0.0
    if found:
        squares = found[0].double().ravel() ** 2
        rows = int((squares > 1e-12 * squares.max()).sum()) if squares.numel() else 0
        if value > 0 and math.isfinite(value):
            weight = float(squares.sum()) / (4 * value)
    line = graph.first_line
    step = GradientStep(
        value, rows, weight, line, graph.square_line, graph.shared_line, graph.has_layers
    )
    log.steps.append(step)


class LossGraph:
    """The nodes of autograd behind a loss, with the number of matrix products before each.

    Args:    root: of the loss.   file: of the program.   made: id of a parameter to the line
             that made its module.
    """

    def __init__(self, root: Any, file: str, made: dict[int, int]) -> None:
        self._file, self._made = file, made
        order = _sorted_nodes(root)
        self.depth: dict[Any, int] = dict.fromkeys(order, 0)
        for node in order:
            below = self.depth[node] + bool(_PRODUCTS.match(node.name()))
            for child, _ in node.next_functions:
                if child is not None:
                    self.depth[child] = max(self.depth[child], below)
        products = [node for node in order if _PRODUCTS.match(node.name())]
        self.has_layers = max(self.depth.values()) > 1
        self.predictions = next((one for one in products if self._one_a_row(one)), None)
        self.first_line = next((line for node in order if (line := self._line(node))), 0)
        self.square_line = self._square(order)
        self.shared_line = self._shared(order)

    def _one_a_row(self, node: Any) -> bool:
        shape = _shape(node)
        n = math.prod(shape)
        return self.depth[node] == 0 and n > 1 and max(shape) == n

    def _line(self, node: Any) -> int:
        text = "".join(node.metadata.get("traceback_", ()))
        lines = re.findall(rf'File "{re.escape(self._file)}", line (\d+)', text)
        return int(lines[-1]) if lines else 0

    def _square(self, order: list[Any]) -> int:
        if self.predictions is None:
            return 0
        n = math.prod(_shape(self.predictions))
        for node in reversed(order):
            shapes = (_shape(node), *_saved_shapes(node))
            wide = any(sum(size == n for size in shape) >= 2 for shape in shapes)
            if wide and self.depth[node] == 0:
                return self._line(node) or self.first_line
        return 0

    def _shared(self, order: list[Any]) -> int:
        """The line of a parameter that meets values of several depths; 0 if there is none."""
        users: dict[Any, set[int]] = {}
        lines: dict[Any, int] = {}
        for node in order:
            if _SHAPE_ONLY.match(node.name()) or _PARTS.match(node.name()):
                continue
            for child, _ in node.next_functions:
                leaf = _leaf(child)
                if leaf is not None:
                    users.setdefault(leaf, set()).add(self.depth[node])
                    lines.setdefault(leaf, self._line(node))
        for leaf, depths in users.items():
            if len(depths) > 1:
                return self._made.get(id(leaf.variable)) or lines[leaf] or -1
        return 0


def _leaf(node: Any) -> Any:
    """The parameter's node that a node hands on unchanged but for its shape."""
    while node is not None and _SHAPE_ONLY.match(node.name()):
        node = node.next_functions[0][0]
    return node if node is not None and "AccumulateGrad" in node.name() else None


def _sorted_nodes(root: Any) -> list[Any]:
    """All nodes, each before those it depends on."""
    done: list[Any] = []
    seen = {root}
    stack = [(root, iter(root.next_functions))]
    while stack:
        node, children = stack[-1]
        child = next((one for one, _ in children if one is not None and one not in seen), None)
        if child is None:
            done.append(node)
            stack.pop()
        else:
            seen.add(child)
            stack.append((child, iter(child.next_functions)))
    return done[::-1]


def _shape(node: Any) -> tuple[int, ...]:
    metadata = getattr(node, "_input_metadata", ())
    return tuple(metadata[0].shape) if metadata else ()


def _saved_shapes(node: Any) -> list[tuple[int, ...]]:
    """Shapes of the values that a node saved, such as a residual."""
    names = ("_saved_self", "_saved_target", "_saved_other")
    saved = (getattr(node, name, None) for name in names)
    return [tuple(value.shape) for value in saved if hasattr(value, "shape")]
