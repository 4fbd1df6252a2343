"""A cohort whose data stay on disk: the same steps, orders and risks, batch by batch.

segment(carry, batches) -> carry          a few hundred batches at a time, gathered by the host
close(before, carry, risks) -> state      as in memory, once an epoch
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from thetahat import data as th_data
from thetahat.core import ConfigError, Metric
from thetahat.core.metric import read_metrics
from thetahat.train.jax import _member
from thetahat.train.jax._member import Member
from thetahat.train.jax._metrics import Scores
from thetahat.train.jax._precision import ON_DISK, cast_leaf, precision
from thetahat.train.jax._program import CohortProgram, best_params
from thetahat.train.jax._state import TrainState

SEGMENT_BYTES = 16 * 2**20
"""Bytes of the batches that are gathered and sent to the device together."""


class StreamedProgram(CohortProgram):
    """As ``CohortProgram``, for data larger than memory. See ``train._program.Program``."""

    def trace(self) -> None:
        """Trace and lower the parts of an epoch, abstractly.

        Raises:  JAX's concretization errors; ConfigError: no batch size.
        """
        if self._lowered is not None:
            return
        self.max_chunk = 16
        plan = self.staged.plan
        if plan.full:
            raise ConfigError(
                f"the {plan.n} training observations stay on disk, and a full batch would need them"
                " all in memory; give a batch_size, such as 512"
            )
        if isinstance(plan.order_seed, Tracer):
            raise ConfigError(
                "streamed members share the order of their batches, and th.Shuffle(seed=...) got a"
                " traced seed; give sampling='shuffle', or mark the seed static"
            )
        whole = [name for name, metric in self._metrics.items() if metric.kind == "part"]
        if whole:
            raise ConfigError(
                f"the metric {whole[0]!r} is a function of a whole part, and these observations"
                " stay on disk; give a metric f(h, z) of one observation, or read the table into"
                " memory with th.read_table"
            )
        # What is on disk reaches the compiled functions as batches, never as an argument.
        self._given = tuple(None if isinstance(g, ON_DISK) else g for g in self._given)
        row = sum(int(np.prod(a.shape[1:])) * 4 for a in jax.tree.leaves(self._disk.train))
        self._together = int(np.clip(SEGMENT_BYTES // max(1, row * plan.batch), 1, plan.n_batches))
        with precision(self.dtype):
            state, made = self._beginning.shapes(dict(self.hyper.own), self._shared)
            fixed = (*self._hyper, made, self._given)
            index = np.zeros((self._together, plan.batch), np.int32)
            taken = self._gather(index, None)
            first, zero = np.int32(0), np.zeros((self.size,), self.dtype)
            carry = (state.params, state.opt_state, zero, self._score_zero())
            segment = self._each(self._segment)
            close = self._each(self._close)
            ended = (state, carry, *self._averages())
            self._lowered = (
                self._timed(lambda: segment.lower(*fixed, (state, carry), taken, first, first)),
                self._timed(lambda: close.lower(*fixed, ended)),
            )

    def advance(
        self, state: TrainState, epoch: int, n: int
    ) -> tuple[TrainState, Mapping[str, np.ndarray]]:
        """Train ``n`` epochs more."""
        rows = []
        with precision(self.dtype):
            for e in range(epoch, epoch + n):
                state, record = self._epoch(state, e)
                rows.append(jax.device_get(record))
        return state, {name: np.stack([row[name] for row in rows], axis=1) for name in rows[0]}

    def evaluate(self, state: TrainState, parts: tuple[str, ...]) -> Mapping[str, np.ndarray]:
        """The risk and the metrics of each part at the best state."""
        params, there = best_params(state), _member.parts_of(self._disk)
        found: dict[str, Any] = {}
        with precision(self.dtype):
            for part in parts:
                if part in there:
                    risk, means = self._timed(lambda part=part: self._means(params, there[part]))
                    found[f"{part}_risk"] = risk
                    found |= {f"{part}_{name}": mean for name, mean in means.items()}
            if any(m.kind in ("hypothesis", "norm") for m in self._metrics.values()):
                whole = self._each(lambda member, _, params: member.scores.whole(params))
                found |= self._timed(lambda: whole(*self._fixed, params))
        return {name: np.asarray(value) for name, value in found.items()}

    def _compiled(self) -> Any:
        segment, close = self._lowered
        return segment.compile(), close.compile()

    # -- an epoch, from the host -----------------------------------------------------------------

    def _epoch(self, state: TrainState, epoch: int) -> tuple[TrainState, Any]:
        plan = self.staged.plan
        segment, close = self._chunk
        fixed = self._fixed
        index = _order(plan.order_seed, epoch, plan.n, plan.sampling)
        padded = np.concatenate([index, np.zeros(plan.pad, index.dtype)])
        padded = padded.reshape(plan.n_batches, plan.batch)
        real = np.arange(padded.size).reshape(padded.shape) < plan.n if plan.pad else None
        zero = np.zeros((self.size,), self.dtype)
        carry = (state.params, state.opt_state, zero, self._score_zero())
        for start in range(0, plan.n_batches, self._together):
            some = slice(start, start + self._together)
            taken = self._gather(padded[some], None if real is None else real[some])
            first = (state, carry)
            args = (*fixed, first, taken, np.int32(epoch), np.int32(start))
            fits = len(padded[some]) == self._together
            carry = (segment if fits else self._rest)(*args)
        val = self._averages()
        if self._disk.val is not None:
            val = self._means(carry[0], self._disk.val)
        return close(*fixed, (state, carry, *val))

    def _gather(self, index: np.ndarray, real: np.ndarray | None) -> tuple[Any, Any, Any]:
        """Batches (m, B, ...) from disk, their weights and which are real: (m, B) or None."""
        flat = th_data.gather(self._disk.train, self._counted(index.ravel()))
        batches = jax.tree.map(
            lambda a: cast_leaf(np.asarray(a), self.dtype).reshape(*index.shape, *a.shape[1:]), flat
        )
        weight = self._relative[index] if self.staged.plan.weighted else None
        if self.staged.plan.pad:
            real = np.ones(index.shape, bool) if real is None else real
            weight = real.astype(self.dtype) * (1 if weight is None else weight)
        return batches, weight, real

    def _counted(self, rows: np.ndarray) -> np.ndarray:
        """Rows, of which those of weight zero are one that counts, as in memory."""
        if not self.staged.plan.weighted:
            return rows
        weight = self._relative
        return np.where(weight[rows] == 0, weight.argmax(), rows)

    @cached_property
    def _relative(self) -> np.ndarray:
        """Weights with mean one, (N,): one column is small enough to keep."""
        weight = np.asarray(th_data.weights_of(self._disk.train)).astype(self.dtype)
        n = self.staged.plan.n
        return np.asarray(jax.jit(lambda w: w * (n / jnp.sum(w)))(weight))

    @cached_property
    def _rest(self) -> Any:
        """The segment function for the last, shorter segment of an epoch."""
        return self._each(self._segment)

    @cached_property
    def _blocks(self) -> tuple[Any, Any]:
        """The risk and metrics of a block and of a whole part, compiled once for each shape."""
        block = self._each(lambda member, _, first, *part: member.block(*first, *part))
        whole = self._each(lambda member, _, params, part: member.averages(params, part))
        return block, whole

    @cached_property
    def _disk(self) -> Any:
        """The data, where those on disk are not arrays yet."""
        return self.staged.inputs([None] * sum(self.staged.slots), self.staged.given)[0]

    def _means(self, params: Any, part: Any) -> tuple[Any, dict[str, Any]]:
        """The members' risk and metrics over a part on disk, in the blocks of those in memory."""
        n = th_data.n_observations(part)
        block, whole = self._blocks
        fixed = self._fixed

        def read(rows: np.ndarray) -> Any:
            taken = th_data.gather(part, rows)
            return jax.tree.map(lambda a: cast_leaf(np.asarray(a), self.dtype), taken)

        if n <= _member.EVAL_BLOCK:
            return whole(*fixed, params, read(np.arange(n)))
        zero = np.zeros((self.size,), self.dtype)
        carry = ((zero, zero), self._score_zero())
        for rows, real in zip(*_member.eval_blocks(n), strict=True):
            carry = block(*fixed, (params, carry), read(rows), real)
        (total, weight), sums = carry
        sums = sums or {}
        means = {k: v / sums["weight"] for k, v in sums.get("of", {}).items()}
        return total / weight, means

    @property
    def _metrics(self) -> Mapping[str, Metric]:
        return read_metrics(self.staged.task.metrics)

    def _score_zero(self) -> Any:
        """The members' sums of metrics before the first observation."""
        zero = Scores(self._metrics, lambda params: params, self.dtype).zero()
        return jax.tree.map(lambda _: np.zeros((self.size,), self.dtype), zero)

    def _averages(self) -> tuple[Any, dict[str, Any]]:
        """What ``_means`` gives, in shape: all zero."""
        sums = self._score_zero()
        return np.zeros((self.size,), self.dtype), {} if sums is None else sums.get("of", {})

    # -- the compiled parts ------------------------------------------------------------------------

    def _segment(
        self, member: Member, _: Any, first: Any, taken: Any, epoch: Any, start: Any
    ) -> Any:
        self.traces += 1
        state, carry = first
        scale = 1.0 / self.staged.plan.batch

        def step(carry: Any, at: Any) -> Any:
            (batch, weight, real), i = at
            key = _member.dropout_key(member, state, epoch, i)
            return member.step(carry, batch, weight, real, scale, key)

        m = jax.tree.leaves(taken)[0].shape[0]
        return jax.lax.scan(step, carry, (taken, start + jnp.arange(m)))[0]

    def _close(self, member: Member, _: Any, first: Any) -> Any:
        before, (params, opt_state, summed, sums), val, means = first
        scores = {f"train_{name}": mean for name, mean in member.scores.means(sums).items()}
        has_val = self._disk.val is not None
        scores |= {f"val_{name}": mean for name, mean in means.items() if has_val}
        scores |= member.scores.gradient(sums)
        train_risk, val_risk = summed / self.staged.plan.n, val if has_val else None
        state, record = member.close_epoch(
            before, (params, opt_state), train_risk, val_risk, scores
        )
        self._columns = sorted(record)
        return state, record


_compiled_order = jax.jit(th_data.order, static_argnums=(2, 3))


def _order(seed: Any, epoch: int, n: int, sampling: str) -> np.ndarray:
    return np.asarray(_compiled_order(seed, np.int32(epoch), n, sampling))
