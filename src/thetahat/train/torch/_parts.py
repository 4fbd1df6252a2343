"""The parts of the data as tensors, and the batches of an epoch, in thetahat's own orders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from thetahat import data as th_data
from thetahat.core import DataError, Task
from thetahat.data.keys import check_seed
from thetahat.train.torch._library import torch

EVAL_BLOCK = 8192
"""Observations whose risk is evaluated at once."""

GATHER_AT_ONCE = 64 * 2**20
"""Bytes of a training part up to which the shuffled copy of an epoch is made in one go."""

_ORDERS = 1 << 20
"""Indices of the orders that are made at once."""


Batch = tuple[tuple[torch.Tensor, ...], torch.Tensor | None]
"""The leaves of a batch, and its weights."""


@dataclass(frozen=True)
class Part:
    """Observations as tensors.

    Args:    leaves: (N, ...) each.   tree: of the user's structure.
             weight: (N,), of mean one, or None.
    """

    leaves: tuple[torch.Tensor, ...]
    tree: Any
    weight: torch.Tensor | None

    @property
    def n(self) -> int:
        """How many observations there are."""
        return len(self.leaves[0])

    def observations(self, leaves: Any) -> Any:
        """Give leaves the user's structure."""
        return jax.tree.unflatten(self.tree, leaves)

    def taken(self, rows: torch.Tensor) -> Part:
        """Return the part in another order."""
        leaves = tuple(leaf.index_select(0, rows) for leaf in self.leaves)
        weight = None if self.weight is None else self.weight.index_select(0, rows)
        return Part(leaves, self.tree, weight)

    def blocks(self, size: int) -> Iterator[Batch]:
        """Yield the leaves and weights of batches, copies: a ``forward`` may change its inputs.

        The last may be shorter.
        """
        for leaves, weight in self._views(size):
            yield copied(leaves), weight

    def _views(self, size: int) -> Iterator[Batch]:
        leaves = zip(*(leaf.split(size) for leaf in self.leaves), strict=True)
        if self.weight is None:
            for block in leaves:
                yield block, None
        else:
            yield from zip(leaves, self.weight.split(size), strict=True)

    def batches(self, order: torch.Tensor | None, size: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, gathered ahead where they are not too large.

        Args:    order: (N,) rows; None for the part's own.
        """
        if order is None:
            yield from self.blocks(size)
            return
        if sum(leaf.nbytes for leaf in self.leaves) <= GATHER_AT_ONCE:
            yield from self.taken(order)._views(size)
            return
        for rows in order.split(size):
            batch = self.taken(rows)
            yield batch.leaves, batch.weight


def part_of(part: Any, dtype: str, device: torch.device) -> Part:
    """Return observations as tensors: floats in the dtype of the Task, all others as they are.

    Observations of weight zero become copies of one that counts: where their loss is infinite,
    zero times its gradient would be NaN.

    Raises:  DataError: data that are streamed from a disk.
    """
    if th_data.is_streamed(part):
        raise DataError(
            "the PyTorch backend holds data in memory, and these are streamed from a disk; read the"
            ' table with th.read_table, or give backend="jax"'
        )
    weights = th_data.weights_of(part)
    found, tree = jax.tree.flatten(part)
    leaves = []
    for leaf in found:
        array = np.array(leaf)
        if weights is not None and leaf is not weights:
            weight = np.asarray(weights)
            array[weight == 0] = array[int(np.argmax(weight))]
        tensor = torch.from_numpy(array.astype(dtype) if array.dtype.kind == "f" else array)
        leaves.append(tensor.to(device))
    relative = None
    if weights is not None:
        weight = np.asarray(weights, np.float64)
        relative = torch.from_numpy((weight * (len(weight) / weight.sum())).astype(dtype))
        relative = relative.to(device)
    return Part(tuple(leaves), tree, relative)


def copied(leaves: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Return copies of leaves: a ``forward`` may change its inputs, as ``x -= 1`` does."""
    return tuple(leaf.clone() for leaf in leaves)


class SharedParts:
    """Parts that members of one program share: data that are the same object are held once."""

    def __init__(self) -> None:
        self._held: dict[Any, tuple[Any, Part]] = {}

    def of(self, part: Any, dtype: str, device: torch.device) -> Part:
        """Return ``part_of`` these, made once. Raises DataError."""
        key = (id(part), dtype, device)
        if key not in self._held:
            self._held[key] = (part, part_of(part, dtype, device))  # keeps the id in use
        return self._held[key][1]


@dataclass(frozen=True)
class BatchPlan:
    """The sizes and orders of a member's batches."""

    n: int
    batch: int
    sampling: str
    seed: int

    @property
    def random(self) -> bool:
        """Whether an order is drawn, and matters."""
        full = self.batch >= self.n and self.sampling != "replacement"
        return self.sampling in ("shuffle", "replacement") and not full

    def orders(self, epoch: int, n: int) -> Iterator[np.ndarray | None]:
        """Yield the orders of ``n`` epochs, those of JAX's engine; None for the part's own."""
        if not self.random:
            yield from [None] * n
            return
        step = max(1, _ORDERS // self.n)
        for first in range(epoch, epoch + n, step):
            count = min(step, epoch + n - first)
            rows = th_data.host_orders(self.seed, first, count, self.n, self.sampling)
            if rows is None:
                each = range(first, first + count)
                rows = [th_data.order(self.seed, e, self.n, self.sampling) for e in each]
            yield from (np.asarray(row, np.int64) for row in rows)


def plan_of(task: Task) -> BatchPlan:
    """Return the plan of a Task over its training part."""
    n, sampling, seed = th_data.n_observations(task.data.train), task.sampling, 0
    if isinstance(sampling, th_data.Shuffle):
        sampling, seed = "shuffle", task.seed if sampling.seed is None else sampling.seed
        check_seed(seed)
    whole = sampling == "full" or task.batch_size is None
    return BatchPlan(n, n if whole else min(int(task.batch_size or n), n), sampling, int(seed))
