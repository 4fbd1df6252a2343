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

from thetahat import data as th_data, optim
from thetahat.core.metric import read_metrics
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

BYTES = 1 << 22
"""Bytes of a small part, at most."""


@dataclass(frozen=True)
class Padding:
    """The sizes of a program's parts.

    Args:    plan: of the padded training part: its ``n`` are the
             places of an epoch.
             sizes: by part, its real rows.   rows: by part, those of the program.
    """

    staged: Staged
    plan: MemberPlan
    sizes: Mapping[str, int]
    rows: Mapping[str, int]

    @property
    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """The counts and shares of ``Real``."""
        exact, batch = self.staged.plan, self.plan.batch
        even = exact.n_batches == 1 or exact.n % batch == 0
        sizes = [self.sizes.get(name, 1) for name in PARTS]
        dtype = np.dtype(self.staged.task.dtype)
        inverse = [dtype.type(1) / dtype.type(n) for n in sizes]
        return (
            np.array([*sizes, exact.n_batches, even], np.int32),
            np.array([*inverse, 1.0 / exact.batch], dtype),
        )

    def real(self, given: Sequence[Any]) -> Real:
        """The real rows, inside a program."""
        return Real(self.plan, *given[-2:])

    def given(self) -> tuple[Any, ...]:
        """The user's own arrays, padded, and the numbers of real rows."""
        return (*self._given(self.staged.given), *self.numbers)

    def shapes(self, made: Sequence[Any], given: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Shapes of one member's made arrays, and of given ones, padded."""
        labels = self._labels(made=True)
        return (
            [self._padded(a, *label) for a, label in zip(made, labels, strict=True)],
            self._given(given),
        )

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

    def cut(self, data: Any) -> Any:
        """Data without padded rows."""
        parts = parts_of(data)
        return data.changed(
            **{
                name: jax.tree.map(lambda a, name=name: a[: self.sizes[name]], part)
                for name, part in parts.items()
            }
        )

    def _labels(self, *, made: bool) -> list[tuple[str, bool]]:
        slots = zip(self._leaves, self.staged.slots, strict=True)
        return [label for label, slot in slots if slot is made]

    @cached_property
    def _leaves(self) -> list[tuple[str, bool]]:
        """Of each leaf of (data, frozen): its part, empty if none, and whether it is weights."""
        n = len(self.staged.slots)
        found: list[tuple[str, bool]] = [("", False)] * n
        data, _ = jax.tree.unflatten(self.staged.tree, range(n))
        for name, part in parts_of(data).items():
            weights = th_data.weights_of(part)
            for k in jax.tree.leaves(part):
                found[k] = (name, k == weights)
        return found

    def _padded(self, leaf: Any, name: str, weight: bool, axis: int = 0) -> Any:
        """A leaf with copies of its first row added, which weigh nothing."""
        if not name or leaf.shape[axis] == self.rows[name]:
            return leaf
        shape = (*leaf.shape[:axis], self.rows[name], *leaf.shape[axis + 1 :])
        if not isinstance(leaf, (np.ndarray, jax.Array)):
            return jax.ShapeDtypeStruct(shape, leaf.dtype)
        n, array = leaf.shape[axis], np.asarray(leaf)
        first = (slice(None),) * axis
        padded = np.empty(shape, array.dtype)
        padded[(*first, slice(None, n))] = array
        padded[(*first, slice(n, None))] = 0 if weight else array[(*first, slice(0, 1))]
        return padded


def padding_of(staged: Staged) -> Padding | None:
    """The padding of a Task's parts; None where they keep their own sizes."""
    if not _possible(staged):
        return None
    data, _ = jax.tree.unflatten(staged.tree, _shapes(staged))
    parts = parts_of(data)
    sizes = {name: th_data.n_observations(part) for name, part in parts.items()}
    alike = staged.largest or {}
    most = {name: max(n, alike.get(name, 0)) for name, n in sizes.items()}
    longest = SIZES[-1] if SIZES else 0
    small = most["train"] <= longest and _row_bytes(parts) * longest <= BYTES
    if not small and not alike:
        return None

    def up(n: int) -> int:
        return next((size for size in SIZES if small and n <= size), n)

    plan = _plan(staged, most["train"], up, SIZES[-1] if small else most["train"])
    rows = {name: up(n) for name, n in most.items()}
    if small and "test" in rows:
        rows["test"] = next((size for size in TEST_SIZES if rows["test"] <= size), rows["test"])
    rows["train"] = plan.n if plan.full else SIZES[-1] if small else most["train"]
    wasted = 3 * (plan.batch - staged.plan.batch) + rows.get("val", 0) - sizes.get("val", 0)
    if small and wasted * staged.n_params > WASTE:
        return None
    return Padding(staged, plan, sizes, rows)


def _plan(staged: Staged, most: int, up: Callable[[int], int], room: int) -> MemberPlan:
    """The plan of the padded training part, for ``most`` rows; for ``room``, if in batches."""
    exact, asked = staged.plan, staged.task.batch_size
    if exact.sampling == "full" or asked is None:
        batch = places = up(most)
    else:
        batch = min(int(asked), max(up(most), exact.batch))
        places = batch if room <= batch else -(-room // batch) * batch
    # The order of the real rows comes from outside.
    return replace(exact, n=places, batch=batch, n_batches=places // batch, order_seed=0)


def _possible(staged: Staged) -> bool:
    """Whether numbers stay what they are: for data in memory, in an order that comes from outside,
    where nothing sees a whole part."""
    plan, task = staged.plan, staged.task
    if staged.streamed or plan.sampling == "replacement" or plan.random != plan.shared_order:
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
