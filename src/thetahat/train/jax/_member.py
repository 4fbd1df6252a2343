"""One member's estimation as pure functions: a step, an epoch, a risk.

They are written for ONE member and no batch axis but the observations'; the program maps them over
a cohort. The Task is rebuilt inside the trace, so its closures over traced parameters work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat import data as th_data, optim, risk
from thetahat.core import ConfigError, Metric, Mode, ShapeError, Task
from thetahat.core.metric import RISKS, read_metrics
from thetahat.core.task import best_mode
from thetahat.data import keys
from thetahat.train import _program as program
from thetahat.train._stopping import Record, Rules, less_is_better, sort_rules
from thetahat.train.jax._metrics import Scores
from thetahat.train.jax._plan import MemberPlan, Real
from thetahat.train.jax._state import TrainState, changed, chosen

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int

UNMOVED_AFTER = 10
"""Epochs after which a fit none of whose parameters ever changed is stopped."""

EVAL_BLOCK = 8192
"""Observations whose risk is evaluated at once: bounds the memory of wide nets on long tables."""

EVAL_AT_ONCE = 1 << 17
"""Observations of all members of a cohort whose risk at the end is evaluated at once."""


@dataclass(frozen=True)
class Member:
    """The pure functions of one member, closed over its Task, data and frozen arrays."""

    task: Task
    adapted: Any
    frozen: Any
    optimizer: Any
    rules: Rules
    loss_at: Callable[[Any, Any], Any]
    residual_at: Callable[[Any, Any], Any] | None
    metrics: Mapping[str, Metric]
    units: Any = None
    """Has y_mean and y_std of a table's target; None where numbers are in its units."""
    real: Real | None = None
    """The real rows of padded parts; None where no part is padded."""

    # -- risk ---------------------------------------------------------------------------------

    def losses(self, params: Any, part: Any) -> Float[Array, " N"]:
        """The loss of each observation at ``params``, in evaluation mode."""
        hypothesis = self.adapted.bind(params, self.frozen)
        return jax.vmap(lambda z: self.loss_at(hypothesis, z))(part)

    def risk(self, params: Any, part: Any, name: str = "") -> Float[Array, ""]:
        """The weighted mean loss over a part, in blocks when it is long.

        Args:    name: of the part, where parts are padded.
        """
        n = th_data.n_observations(part)
        weights = th_data.weights_of(part)
        if n <= EVAL_BLOCK:
            losses = self.losses(params, part)
            if self.real is None or weights is not None:
                return risk.weighted_mean(losses, weights)
            there = jnp.arange(n) < self.real.n(name)
            return jnp.sum(jnp.where(there, losses, 0)) * self.real.one(name)
        index, real = self._blocks(n, name)

        def block(carry: Any, at: Any) -> tuple[Any, None]:
            rows, there = at
            taken = jax.tree.map(lambda a: a[rows], part)
            return self.risk_block(params, carry, taken, there), None

        (total, weight), _ = jax.lax.scan(block, self.risk_zero(), (index, real))
        return total / weight

    def _blocks(self, n: int, name: str) -> tuple[Any, Any]:
        """Rows of each evaluation block and which of them are real: (blocks, EVAL_BLOCK) each."""
        index, real = eval_blocks(n)
        return index, real if self.real is None else real & (index < self.real.n(name))

    def risk_zero(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(weighted loss, weight) before the first block."""
        zero = jnp.zeros((), self.task.dtype)
        return zero, zero

    def risk_block(
        self, params: Any, carry: Any, block: Any, real: Bool[Array, " B"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Add one block of observations, those where ``real``, to (weighted loss, weight)."""
        weights = th_data.weights_of(block)
        w = (real if weights is None else real * weights).astype(self.task.dtype)
        losses = self.losses(params, block)
        return carry[0] + risk.weighted_sum(losses, w), carry[1] + jnp.sum(w)

    # -- risk and metrics -----------------------------------------------------------------------

    @property
    def scores(self) -> Scores:
        """The metrics, as functions of parameters."""
        bind = partial(self.adapted.bind, frozen=self.frozen)
        loss = risk.resolve_loss(self.task.loss)
        pair_at = risk.prediction_and_target(self.task.residual, loss)
        return Scores(self.metrics, bind, self.task.dtype, pair_at, loss, self.units)

    def averages(
        self, params: Any, part: Any, name: str = ""
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """The risk of a part, and its metrics: means over observations, and those of the whole."""
        scores = self.scores
        if not scores.of_observations and not scores.of_parts:
            return self.risk(params, part, name), {}
        n = th_data.n_observations(part)
        if n <= EVAL_BLOCK:
            there = True if self.real is None else jnp.arange(n) < self.real.n(name)
            sums = scores.block(params, scores.zero(), part, there)
            pairs = scores.block_pairs(params, part)
            return self.risk(params, part, name), scores.means(sums) | scores.of_part(pairs)
        index, real = self._blocks(n, name)

        def block(carry: Any, at: Any) -> tuple[Any, Any]:
            rows, there = at
            taken = jax.tree.map(lambda a: a[rows], part)
            return self.block(params, carry, taken, there), scores.block_pairs(params, taken)

        start = (self.risk_zero(), scores.zero())
        ((total, weight), sums), pairs = jax.lax.scan(block, start, (index, real))
        pairs = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:n], pairs)
        return total / weight, scores.means(sums) | scores.of_part(pairs)

    def block(
        self, params: Any, carry: Any, block: Any, real: Bool[Array, " B"]
    ) -> tuple[Any, Any]:
        """Add one block of observations to the sums of the risk and of the metrics."""
        risk_sums, sums = carry
        return (
            self.risk_block(params, risk_sums, block, real),
            self.scores.block(params, sums, block, real),
        )

    def final(self, params: Any, parts: Mapping[str, Any]) -> dict[str, Float[Array, ""]]:
        """Every number of these parts at ``params``, by column."""
        found = {}
        for part, observations in parts.items():
            found[f"{part}_risk"], means = self.averages(params, observations, part)
            found |= {f"{part}_{name}": mean for name, mean in means.items()}
        return found | self.scores.whole(params)

    # -- a step -------------------------------------------------------------------------------

    def step(
        self,
        carry: Any,
        batch: Any,
        weight: Float[Array, " B"] | None,
        share: Any,
        scale: Any,
        key: Any,
    ) -> tuple[Any, Any]:
        """One update of (params, optimizer state, the epoch's summed loss and metrics so far), and
        what metrics of the whole part need of the batch.

        ``weight`` (B,), zero for rows that are not real, or None; ``share`` is that of the batch in
        which rows are real; ``scale`` is 1/B, so that each observation of an epoch weighs the same,
        in a short last batch too.
        """
        params, opt_state, so_far, sums = carry
        size = th_data.n_observations(batch)
        spread = None
        if self.adapted.stochastic:
            spread = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(size))

        def summed(p: Any) -> Any:
            def one(z: Any, k: Any) -> Any:
                return self.loss_at(self.adapted.bind(p, self.frozen, key=k, train=True), z)

            losses = jax.vmap(one)(batch, spread)
            return jnp.sum(losses if weight is None else weight * losses)

        def objective(p: Any) -> tuple[Any, Any]:
            total = summed(p)
            value = total * scale
            if self.task.penalty is not None:
                value = value + share * self._penalty(p)
            return value, total

        # Like the loss: before the step, by the hypothesis that trains.
        scores, training = self.scores, partial(self._training, params)
        sums = scores.add(sums, training, batch, spread, weight)
        pairs = scores.pairs(training, batch, spread, weight)
        (value, total), grads = jax.value_and_grad(objective, has_aux=True)(params)
        sums = scores.stepped(sums, grads)
        updates, opt_state = self.optimizer.update(
            grads,
            opt_state,
            params,
            value=value,
            grad=grads,
            value_fn=lambda p: objective(p)[0],
            residual_fn=self.residual_fn(batch, weight, scale),
        )
        params = jax.tree.map(lambda p, u: (p + u).astype(p.dtype), params, updates)
        return (params, opt_state, so_far + total, sums), pairs

    def _training(self, params: Any, key: Any) -> Any:
        return self.adapted.bind(params, self.frozen, key=key, train=True)

    def _penalty(self, params: Any) -> Any:
        penalty = self.task.penalty
        assert penalty is not None
        value = jnp.asarray(penalty(params))
        if value.shape != ():
            raise ShapeError(
                f"penalty must return a scalar; got shape {value.shape}."
                " Sum it over the parameters."
            )
        return value

    def residual_fn(self, batch: Any, weight: Any, scale: Any) -> Callable[[Any], Any] | None:
        """The residuals of a batch as a function of parameters; None where a loss has none."""
        if self.residual_at is None:
            return None
        residual_at, penalty = self.residual_at, self.task.penalty

        def one(p: Any, z: Any) -> Any:
            return residual_at(self.adapted.bind(p, self.frozen), z)

        root = jnp.sqrt(jnp.asarray(scale if weight is None else weight * scale, self.task.dtype))
        return optim.StackedResiduals(one, batch, root, getattr(penalty, "residuals", None))

    # -- an epoch -----------------------------------------------------------------------------

    def close_epoch(
        self,
        before: TrainState,
        carry: Any,
        train_risk: Float[Array, ""],
        val_risk: Float[Array, ""] | None,
        scores: Mapping[str, Float[Array, ""]],
        *,
        alone: bool = False,
        points: Any = None,
    ) -> tuple[TrainState, dict[str, Any]]:
        """Record an epoch: the best state, the stopping rules, divergence, the alarm.

        Args:    scores: metrics of the parts and of the epoch's steps, by column.
                 alone: an epoch is only run while the member is active, so nothing is frozen.
                 points: the training part of the epoch, where it is drawn anew.
        """
        params, opt_state = carry
        record = {"train_risk": train_risk} | ({} if val_risk is None else {"val_risk": val_risk})
        rate = optim.learning_rate(self.optimizer, opt_state)
        if rate is not None:
            record["learning_rate"] = rate
        record |= {**scores, **self.scores.whole(params)}
        record = Record(record, self.metrics)
        opt_state = optim.end_epoch(opt_state, lambda n: less_is_better(record, n, "plateau"))
        finite = self._in_bounds(record)
        epochs = before.epochs + 1
        # One whose parameters have moved need not be compared again.
        moved = partial(changed, alone=alone)
        moved = jax.lax.cond(before.moved, lambda *_: True, moved, params, before.params)
        outcome = jnp.where(finite, program.RUNNING, program.DIVERGED)
        still = finite & ~moved & (epochs >= UNMOVED_AFTER)
        outcome = jnp.where(still, program.UNMOVED, outcome)
        stoppers = []
        for k, (rule, state) in enumerate(zip(self.rules.inside, before.stoppers, strict=True)):
            state, stop = rule.update(state, record)
            # A rule may keep the record: as the plain mapping that it began with.
            stoppers.append(jax.tree.map(lambda leaf: leaf, state))
            outcome = jnp.where(
                (outcome == program.RUNNING) & stop, program.FIRST_RULE + k, outcome
            )
        # A diverged epoch leaves no trace but its record, and a frozen member none at all.
        kept = finite if alone else finite & before.active
        params, opt_state, stoppers, moved, points = chosen(
            kept,
            (params, opt_state, tuple(stoppers), moved, points),
            (before.params, before.opt_state, before.stoppers, before.moved, before.points),
        )
        ended = (epochs, outcome.astype(jnp.int32), outcome == program.RUNNING)
        if not alone:
            were = (before.epochs, before.outcome, before.active)
            ended = chosen(before.active, ended, were)
        after = replace(
            before,
            params=params,
            opt_state=opt_state,
            stoppers=stoppers,
            moved=moved,
            points=points,
            epochs=ended[0],
            outcome=ended[1],
            active=ended[2],
        )
        return self._with_best(after, kept, record, params, epochs), dict(record)

    def columns(self, data: Any, state: TrainState) -> list[str]:
        """Names of what ``close_epoch`` records."""
        names = ["train_risk", *(["val_risk"] if data.val is not None else [])]
        if optim.learning_rate(self.optimizer, state.opt_state) is not None:
            names.append("learning_rate")
        parts = ["train", *(["val"] if data.val is not None else [])]
        return [*names, *(c for n, m in self.metrics.items() for c in m.columns(n, parts))]

    def _with_best(
        self, after: TrainState, kept: Any, record: Mapping[str, Any], params: Any, epochs: Any
    ) -> TrainState:
        """The state with the best params so far, those of this epoch if it is ``kept``."""
        if after.best is None:
            return after
        value = record[self.task.best_by]
        best, value, at = chosen(
            kept & _better(self.task, value, after.best_value),
            (params, value.astype(after.best_value.dtype), epochs),
            (after.best, after.best_value, after.best_epoch),
        )
        return replace(after, best=best, best_value=value, best_epoch=at)

    def _in_bounds(self, record: Mapping[str, Any]) -> Any:
        """Whether the risks are finite, and within the bound that the user gave."""
        there = [record[k] for k in ("train_risk", "val_risk") if k in record]
        good = [jnp.isfinite(risk) & (risk <= self.rules.bound) for risk in there]
        return jnp.all(jnp.stack(good))


def _better(task: Task, value: Any, best: Any) -> Any:
    """Whether ``value`` of what chooses the best state is better; never where it is not finite."""
    if task.best_by in RISKS:  # where it is not finite, the run has diverged
        return value < best
    return jnp.isfinite(value) & (value > best if best_mode(task) == "max" else value < best)


def make_member(
    task: Task, frozen: Any, adapted: Any, units: Any = None, real: Real | None = None
) -> Member:
    """The functions of a member.

    Args:    units, real: as in ``Member``.
    Raises:  ConfigError: an optimizer that needs squared loss or the full batch and has neither.
    """
    loss = risk.resolve_loss(task.loss)
    return Member(
        task=task,
        adapted=adapted,
        frozen=frozen,
        optimizer=optim.resolve(task.optimizer),
        rules=sort_rules(task.stopping),
        loss_at=risk.per_observation(task.residual, loss),
        residual_at=risk.residual_vector(task.residual) if loss.name == "squared" else None,
        metrics=read_metrics(task.metrics),
        units=units,
        real=real,
    )


def replayed(
    member: Member, state: TrainState, records: Mapping[str, Float[Array, " n"]]
) -> TrainState:
    """A member's state as its rules would have it, had they seen its ``records`` (n,) from the
    first epoch on: one that other rules had stopped may go on, and one that ran may be over."""

    def seen(carry: Any, at: Any) -> tuple[Any, None]:
        epoch, row = at
        record = Record(row, member.metrics)
        stoppers, outcome = [], carry[1]
        for k, (rule, before) in enumerate(zip(member.rules.inside, carry[0], strict=True)):
            after, stop = rule.update(before, record)
            stoppers.append(jax.tree.map(lambda leaf: leaf, after))
            stop = (outcome == program.RUNNING) & (epoch < state.epochs) & stop
            outcome = jnp.where(stop, program.FIRST_RULE + k, outcome)
        after = chosen(epoch < state.epochs, tuple(stoppers), carry[0])
        return (after, outcome.astype(jnp.int32)), None

    n = len(next(iter(records.values())))
    first = (state.stoppers, jnp.asarray(program.RUNNING, jnp.int32))
    (stoppers, outcome), _ = jax.lax.scan(seen, first, (jnp.arange(n), dict(records)))
    open_ = (state.outcome == program.RUNNING) | (state.outcome >= program.FIRST_RULE)
    outcome = jnp.where(open_, outcome, state.outcome)
    return replace(state, stoppers=stoppers, outcome=outcome, active=outcome == program.RUNNING)


def eval_blocks(
    n: int,
) -> tuple[Int[np.ndarray, "blocks B"], Bool[np.ndarray, "blocks B"]]:
    """Rows of each evaluation block and which of them are real: (blocks, EVAL_BLOCK) each."""
    blocks = -(-n // EVAL_BLOCK)
    index = np.arange(blocks * EVAL_BLOCK, dtype=np.int32).reshape(blocks, EVAL_BLOCK)
    return np.minimum(index, n - 1), index < n


def check_batches(task: Task, plan: MemberPlan) -> None:
    """Refuse minibatches for optimizers that want the whole risk.

    Raises:  ConfigError.
    """
    if plan.full or not optim.wants_full_batch(optim.resolve(task.optimizer)):
        return
    if plan.n_batches > 1:
        raise ConfigError(
            f"this optimizer searches along the full risk, and stalls on batches of {plan.batch};"
            " give batch_size=None"
        )
    raise ConfigError(
        "this optimizer searches along the full risk, and sampling='replacement' draws another"
        " one each epoch; give sampling='full'"
    )


def dropout_key(member: Member, state: TrainState, epoch: Any, index: Any) -> Any:
    """The key of one step: new every step, the same in every replay; None where nothing draws."""
    if not member.adapted.stochastic:
        return None
    base_key = jax.random.wrap_key_data(state.key)
    key = jax.random.fold_in(base_key, keys.DROPOUT)
    return jax.random.fold_in(jax.random.fold_in(key, epoch), index)


def parts_of(data: Any) -> Mapping[str, Any]:
    """The parts that are there, by name."""
    parts = {"train": data.train, "val": data.val, "test": data.test}
    return {name: part for name, part in parts.items() if part is not None}


def choosing_mode(task: Task, data: Any) -> Mode | None:
    """The direction of the column that chooses the best state; None where the last state counts.

    Raises:  ConfigError: it is a column of the validation part, and there is none.
    """
    if task.best_by in read_metrics(task.metrics) or data.val is not None:
        return best_mode(task)
    if task.best_by != "val_risk":
        raise ConfigError(
            f"best_by={task.best_by!r}: the task does not record it; give the data a validation"
            " part"
        )
    return None
