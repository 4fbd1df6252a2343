"""The plan of an epoch: the sizes of its batches, and which rows of padded parts are real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jax.core import Tracer

from thetahat import data as th_data
from thetahat.core import Task
from thetahat.data.keys import check_seed

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class MemberPlan:
    """What is static about a member's data: counts, batches, order."""

    n: int
    batch: int
    n_batches: int
    sampling: str
    order_seed: Any
    weighted: bool

    @property
    def pad(self) -> int:
        """Empty places in the last batch."""
        return self.n_batches * self.batch - self.n

    @property
    def random(self) -> bool:
        """Whether the order of the observations is drawn, and matters."""
        return self.sampling in ("shuffle", "replacement") and not self.full

    @property
    def shared_order(self) -> bool:
        """Whether all members visit the observations in one order that the host may name."""
        return self.random and not isinstance(self.order_seed, Tracer)

    @property
    def own_order(self) -> bool:
        """Whether each member has an order of its own, from a traced seed."""
        return self.random and not self.shared_order

    @property
    def full(self) -> bool:
        """Whether one batch, in the table's order, is the whole part."""
        return self.n_batches == 1 and self.sampling in ("full", "sequential", "shuffle")


def make_plan(task: Task, train: Any) -> MemberPlan:
    """The plan of a Task over its training part."""
    n = th_data.n_observations(train)
    sampling, seed = task.sampling, 0
    if isinstance(sampling, th_data.Shuffle):
        sampling, seed = "shuffle", sampling.seed if sampling.seed is not None else task.seed
        check_seed(seed)
    # An epoch is n observations, drawn with replacement or not: a batch holds n of them at most.
    batch = n if sampling == "full" or task.batch_size is None else min(int(task.batch_size), n)
    n_batches = -(-n // batch)
    return MemberPlan(n, batch, n_batches, sampling, seed, th_data.weights_of(train) is not None)


@dataclass(frozen=True)
class Real:
    """The real rows of padded parts: numbers that a program takes as data.

    Args:    plan: of the padded training part; its sizes are the program's.
             counts: rows of train, val and test; steps of an epoch; 1 if no batch is short.
             shares: of one row of train, val and test; of one place in a batch; and the inputs of
             the model that are real.
    """

    plan: MemberPlan
    counts: Int[Array, 5]
    shares: Float[Array, 5]

    def n(self, part: str) -> Int[Array, ""]:
        """Rows of a part; they come first."""
        return self.counts[PARTS.index(part)]

    def one(self, part: str) -> Float[Array, ""]:
        """1/N: a mean is multiplied by it, as XLA multiplies where N is a constant."""
        return self.shares[PARTS.index(part)]

    @property
    def steps(self) -> Int[Array, ""]:
        """Batches of an epoch that have real rows."""
        return self.counts[3]

    @property
    def even(self) -> Any:
        """Whether every batch is full of real rows, or all of them are one batch."""
        return self.counts[4] == 1

    @property
    def scale(self) -> Float[Array, ""]:
        """1/B."""
        return self.shares[3]

    @property
    def inputs(self) -> Float[Array, ""]:
        """Inputs of the model that are not always zero."""
        return self.shares[4]
