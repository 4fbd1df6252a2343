"""Padding: parts get one of a few sizes, so that data of other sizes train by the same program.

A padded row is in no batch and in no mean: the program takes the numbers of real rows as data, and
the order of these comes from outside. Work is padded where that costs less than compiling, by a
rule of sizes alone, so that a fit that goes on takes the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat import data as th_data, models, optim, risk
from thetahat.core.metric import read_metrics
from thetahat.train._tables import has_tables
from thetahat.train.jax._member import parts_of
from thetahat.train.jax._plan import PARTS, MemberPlan, Real
from thetahat.train.jax._staging import Staged

SIZES = (32, 64, 128, 256, 384)
"""Rows of a small part; a longer training part keeps its own."""

TEST_SIZES = (384, 1024, 4096)
"""Rows of a test part, which is looked at once."""

WASTE = 600_000
"""Padded rows times parameters, up to which an epoch computes what is thrown away (a row of
training counts three times): a fraction of a millisecond, where compiling takes half a second."""

COLUMNS = (8, 24, 64)
"""Inputs of a small part. A column of zeros meets parameters that are zero, and stay zero."""

BYTES = 1 << 22
"""Bytes of a small part, at most."""

FOLD_BYTES = 1 << 28
"""Bytes of the training part of a fold, at most: padding copies it."""


@dataclass(frozen=True)
class Padding:
    """The sizes of a program's parts.

    Args:    plan: of the padded training part: its ``n`` are the
             places of an epoch.
             sizes: by part, its real rows.   rows: by part, those of the program.
             columns: real inputs, and those of the program; None where x keeps its columns.
    """

    staged: Staged
    plan: MemberPlan
    sizes: Mapping[str, int]
    rows: Mapping[str, int]
    columns: tuple[int, int] | None

    @property
    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """The counts and shares of ``Real``."""
        exact, batch = self.staged.plan, self.plan.batch
        even = exact.n_batches == 1 or exact.n % batch == 0
        sizes = [self.sizes.get(name, 1) for name in PARTS]
        dtype = np.dtype(self.staged.task.dtype)
        inverse = [dtype.type(1) / dtype.type(n) for n in sizes]
        inputs = 1 if self.columns is None else self.columns[0]
        return (
            np.array([*sizes, exact.n_batches, even], np.int32),
            np.array([*inverse, 1.0 / exact.batch, inputs], dtype),
        )

    def real(self, given: Sequence[Any]) -> Real:
        """The real rows, inside a program."""
        return Real(self.plan, *given[-2:])

    def given(self) -> tuple[Any, ...]:
        """The user's own arrays, padded, and the numbers of real rows."""
        return (*self._given(self.staged.given), *self.numbers)

    def adapted(self, model: Any, inputs: Any = 1) -> Any:
        """The model with the program's inputs; None where it keeps its own.

        Args:    inputs: how many of them are real; any number where only the program is named.
        """
        return None if self.columns is None else models.widened(model, self.columns[1], inputs)

    def shapes(self, state: Any, made: Sequence[Any], given: Sequence[Any]) -> tuple[Any, Any, Any]:
        """Shapes of one member's state and made arrays, and of given ones, padded."""
        labels = self._labels(made=True)
        arrays = [self._padded(a, *label) for a, label in zip(made, labels, strict=True)]
        return self.state(state, lead=0), arrays, self._given(given)

    def _given(self, given: Sequence[Any]) -> list[Any]:
        labels = self._labels(made=False)
        return [self._padded(a, *label) for a, label in zip(given, labels, strict=True)]

    def made(self, made: Sequence[Any]) -> list[Any]:
        """The arrays that traced parameters make, padded: arrays, or their shapes."""
        labels = zip(self._labels(made=True), self.staged.owned, strict=True)
        return [
            self._padded(a, *label, axis=int(own))
            for a, (label, own) in zip(made, labels, strict=True)
        ]

    def state(self, state: Any, *, lead: int = 1) -> Any:
        """A state (or shapes) with rows of zeros for the program's inputs, after ``lead`` axes."""
        if self.columns is None:
            return state
        wide = self.columns[1]
        return self._kernels(state, lambda leaf: _with_zeros(leaf, lead, wide))

    def cut_state(self, state: Any, *, lead: int = 1) -> Any:
        """A state, or parameters, without these rows."""
        if self.columns is None:
            return state
        at = (*(slice(None),) * lead, slice(None, self.columns[0]))
        return self._kernels(jax.device_get(state), lambda leaf: leaf[at])

    def _kernels(self, tree: Any, change: Callable[[Any], Any]) -> Any:
        ends = models.input_arrays(self.staged.task.model)

        def changed(path: Any, leaf: Any) -> Any:
            return change(leaf) if jax.tree_util.keystr(path).endswith(ends) else leaf

        return jax.tree_util.tree_map_with_path(changed, tree)

    def cut(self, data: Any) -> Any:
        """Data without padding."""
        leaves, tree = jax.tree.flatten((data, None))
        labels = self._leaves[: len(leaves)]
        for k, (name, what) in enumerate(labels):
            if name:
                leaves[k] = leaves[k][: self.sizes[name]]
            if what == "x" and self.columns is not None:
                leaves[k] = leaves[k][:, : self.columns[0]]
        return jax.tree.unflatten(tree, leaves)[0]

    def _labels(self, *, made: bool) -> list[tuple[str, str]]:
        slots = zip(self._leaves, self.staged.slots, strict=True)
        return [label for label, slot in slots if slot is made]

    @cached_property
    def _leaves(self) -> list[tuple[str, str]]:
        """Of each leaf of (data, frozen): its part, empty if none; and what it is, x or weights."""
        n = len(self.staged.slots)
        found = [("", "")] * n
        data, _ = jax.tree.unflatten(self.staged.tree, range(n))
        for name, part in parts_of(data).items():
            x = None if self.columns is None else risk.inputs_and_target(part)[0]
            known = {x: "x", th_data.weights_of(part): "weights"}
            for k in jax.tree.leaves(part):
                found[k] = (name, known.get(k, ""))
        return found

    def _padded(self, leaf: Any, name: str, what: str, axis: int = 0) -> Any:
        """A leaf with copies of its first row added, which weigh nothing, and columns of zeros."""
        if not name:
            return leaf
        if what == "x" and self.columns is not None:
            leaf = _with_zeros(leaf, axis + 1, self.columns[1])
        n, rows = leaf.shape[axis], self.rows[name]
        if what == "weights":
            return _with_zeros(leaf, axis, rows)
        padded, array = _longer(leaf, axis, rows)
        if padded is not leaf and array is not None:
            first = (slice(None),) * axis
            padded[(*first, slice(n, None))] = array[(*first, slice(0, 1))]
        return padded


def _longer(leaf: Any, axis: int, to: int) -> tuple[Any, Any]:
    """A longer array, its end empty, and the leaf as an array of NumPy; or a shape and None."""
    n = leaf.shape[axis]
    if n == to:
        return leaf, None
    shape = (*leaf.shape[:axis], to, *leaf.shape[axis + 1 :])
    if not isinstance(leaf, (np.ndarray, jax.Array)):
        return jax.ShapeDtypeStruct(shape, leaf.dtype), None
    array = np.asarray(leaf)
    longer = np.empty(shape, array.dtype)
    longer[(*(slice(None),) * axis, slice(None, n))] = array
    return longer, array


def _with_zeros(leaf: Any, axis: int, to: int) -> Any:
    """A leaf that is longer by zeros."""
    longer, array = _longer(leaf, axis, to)
    if array is not None:
        longer[(*(slice(None),) * axis, slice(leaf.shape[axis], None))] = 0
    return longer


def padding_of(staged: Staged) -> Padding | None:
    """The padding of a Task's parts; None where they keep their own sizes."""
    longest, alike = SIZES[-1] if SIZES else 0, staged.largest or {}
    if (staged.plan.n > longest and not alike) or not _possible(staged):
        return None
    data, _ = jax.tree.unflatten(staged.tree, _shapes(staged))
    parts = parts_of(data)
    sizes = {name: th_data.n_observations(part) for name, part in parts.items()}
    most = {name: max(n, alike.get(name, 0)) for name, n in sizes.items()}
    wide = _row_bytes(parts)
    if most["train"] <= longest and wide * longest <= BYTES:
        rows = {name: _up(n, TEST_SIZES if name == "test" else SIZES) for name, n in most.items()}
        plan = _plan(staged, rows["train"], longest)
        wasted = 3 * (plan.batch - staged.plan.batch) + rows.get("val", 0) - sizes.get("val", 0)
        asked = all(rows[name] == alike.get(name) for name in sizes if name != "test")
        if asked or wasted * staged.n_params <= WASTE:
            rows["train"] = plan.n if plan.full else longest
            return Padding(staged, plan, sizes, rows, _columns(staged, parts))
    if not alike or wide * most["train"] > FOLD_BYTES:
        return None
    plan = _plan(staged, most["train"], most["train"])
    return Padding(staged, plan, sizes, most, None)


def _up(n: int, sizes: Sequence[int]) -> int:
    return next((size for size in sizes if n <= size), n)


def _columns(staged: Staged, parts: Mapping[str, Any]) -> tuple[int, int] | None:
    """The inputs of data and program; None where x keeps its columns.

    Nothing but the model may see x, and nothing but an optimizer that is known its parameters.
    """
    task = staged.task
    if not models.input_arrays(task.model) or task.residual is not None or has_tables(task):
        return None
    if any(metric.kind != "norm" for metric in read_metrics(task.metrics).values()):
        return None
    if not isinstance(task.penalty, risk.Ridge | None):
        return None
    x, d = risk.inputs_and_target(parts["train"])[0], task.model.d
    wide = _up(d, COLUMNS)
    if getattr(x, "shape", ())[1:] != (d,) or not optim.is_elementwise(
        optim.resolve(task.optimizer)
    ):
        return None
    rows = [th_data.n_observations(parts[name]) for name in ("train", "val") if name in parts]
    units = task.model.sizes[1] if hasattr(task.model, "sizes") else 1
    return None if (wide - d) * units * (3 * sum(rows)) > WASTE else (d, wide)


def _plan(staged: Staged, most: int, room: int) -> MemberPlan:
    """The plan of a padded training part, for ``most`` rows; for ``room``, if in batches."""
    exact, asked = staged.plan, staged.task.batch_size
    if exact.sampling == "full" or asked is None:
        batch = places = most
    else:
        batch = min(int(asked), max(most, exact.batch))
        places = batch if room <= batch else -(-room // batch) * batch
    # The order of the real rows comes from outside.
    return replace(exact, n=places, batch=batch, n_batches=places // batch, order_seed=0)


def _possible(staged: Staged) -> bool:
    """Whether numbers stay what they are: for data in memory, in an order that comes from outside,
    where nothing sees a whole part."""
    plan, task = staged.plan, staged.task
    if staged.streamed or plan.sampling == "replacement" or plan.own_order or task.redraw:
        return False
    if any(metric.kind == "part" for metric in read_metrics(task.metrics).values()):
        return False
    if optim.wants_full_batch(optim.resolve(task.optimizer)):
        return False
    data, _ = jax.tree.unflatten(staged.tree, range(len(staged.slots)))
    if data.targets is not None:
        return False
    return all(_plain(leaf) for leaf in staged.given)


def _plain(leaf: Any) -> bool:
    """Whether an array may be copied by NumPy."""
    if isinstance(leaf, jax.Array):
        return not leaf.committed and not jnp.issubdtype(leaf.dtype, jax.dtypes.extended)
    return isinstance(leaf, np.ndarray)


def _shapes(staged: Staged) -> list[Any]:
    """The leaves of (data, frozen) of one member, as shapes."""
    avals = staged.closed.out_avals
    made = iter(avals[len(avals) - len(staged.owned) :])
    given = iter(staged.given)
    return [
        jax.ShapeDtypeStruct(a.shape, a.dtype)
        for a in (next(made) if slot else next(given) for slot in staged.slots)
    ]


def _row_bytes(parts: Mapping[str, Any]) -> int:
    leaves = jax.tree.leaves(parts["train"])
    return sum(int(np.prod(a.shape[1:])) * a.dtype.itemsize for a in leaves)
