"""A naive backend: a plain loop, step by step, in Python. What the engine must agree with.

It shares the description of a Task (the loss per observation, the optimizer, the order of an epoch)
and nothing of the engine's: no scan, no padding, no chunks, no state of arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import thetahat as th
from thetahat import data as th_data, models, optim, risk
from thetahat.core.task import best_mode
from thetahat.train import (
    DIVERGED,
    FIRST_RULE,
    RUNNING,
    UNMOVED,
    CohortStatus,
    Record,
    sort_rules,
)

LOOP = {"xla_cpu_use_fusion_emitters": False}
READ = LOOP | {"xla_backend_optimization_level": 0}


def compiled(fn, options=LOOP):
    """As ``jax.jit``, with the compiler options of the engine: bits depend on them."""
    return jax.jit(fn, compiler_options=options)


class NaiveProgram:
    """One member, trained by a Python loop. See ``thetahat.train.Program``."""

    size = 1
    max_chunk = 7

    def __init__(self, task: th.Task) -> None:
        self.task = task
        self.data = jax.tree.map(
            lambda a: jnp.asarray(a, task.dtype) if np.asarray(a).dtype.kind == "f" else a,
            task.data,
        )
        adapted = models.adapt(task.model, task.seed)
        loss_at = risk.per_observation(task.residual, risk.resolve_loss(task.loss))
        self.optimizer = optim.resolve(task.optimizer)
        self.rules = sort_rules(task.stopping)
        self.adapted = adapted

        def losses(params: Any, part: Any) -> Any:
            hypothesis = adapted.bind(params, adapted.frozen)
            return jax.vmap(lambda z: loss_at(hypothesis, z))(part)

        def step(params: Any, opt_state: Any, so_far: Any, batch: Any, weight: Any) -> Any:
            def objective(p: Any) -> Any:
                each = losses(p, batch)
                total = jnp.sum(each if weight is None else weight * each)
                value = total * (1.0 / len(each))
                if task.penalty is not None:
                    share = 1.0 if weight is None else jnp.sum(weight > 0) * (1.0 / len(each))
                    value = value + share * task.penalty(p)
                return value, total

            (_, total), grads = jax.value_and_grad(objective, has_aux=True)(params)
            updates, opt_state = self.optimizer.update(grads, opt_state, params)
            return optax.apply_updates(params, updates), opt_state, so_far + total

        self.step = compiled(step)

        def mean_loss(params: Any, part: Any) -> Any:
            return _mean(losses(params, part), th_data.weights_of(part))

        self.mean_loss, self.mean_loss_at_end = compiled(mean_loss), compiled(mean_loss, READ)
        n = th_data.n_observations(task.data.train)
        self.close = compiled(lambda total, s: (total / n, optim.learning_rate(self.optimizer, s)))
        plain = {k: m.function for k, m in task.metrics.items() if m.kind == "hypothesis"}
        self.scored = {k: m.function for k, m in task.metrics.items() if m.kind == "observation"}

        def measure(params: Any) -> dict[str, Any]:
            return {k: f(adapted.bind(params, adapted.frozen)) for k, f in plain.items()}

        def score(params: Any, part: Any) -> dict[str, Any]:
            h = adapted.bind(params, adapted.frozen)
            each = {k: jax.vmap(lambda z, f=f: f(h, z))(part) for k, f in self.scored.items()}
            return {k: v.astype(task.dtype) for k, v in each.items()}

        self.measure, self.measure_at_end = compiled(measure), compiled(measure, READ)

        def mean_scores(params: Any, part: Any) -> dict[str, Any]:
            weights = th_data.weights_of(part)
            w = jnp.ones(th_data.n_observations(part)) if weights is None else weights
            each = score(params, part)
            return {k: jnp.sum(jnp.where(w > 0, w * v, 0)) / jnp.sum(w) for k, v in each.items()}

        self.score = compiled(score)
        self.mean_scores, self.mean_scores_at_end = (
            compiled(mean_scores),
            compiled(mean_scores, READ),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        parts = ["train", *(["val"] if self.data.val is not None else [])]
        risks = [f"{part}_risk" for part in parts]
        own = [c for k, m in self.task.metrics.items() for c in m.columns(k, parts)]
        return tuple(sorted(("learning_rate", *risks, *own)))

    def init(self) -> dict[str, Any]:
        params = jax.tree.map(jnp.asarray, self.adapted.params)
        return {
            "params": params,
            "opt": self.optimizer.init(params),
            "best": params,
            "best_value": -np.inf if self.sign < 0 else np.inf,
            "best_epoch": 0,
            "epochs": 0,
            "outcome": RUNNING,
            "moved": False,
            "stoppers": [rule.init() for rule in self.rules.inside],
        }

    def advance(self, state: Any, epoch: int, n: int) -> tuple[Any, Mapping[str, np.ndarray]]:
        rows = []
        for e in range(epoch, epoch + n):
            if state["outcome"] != RUNNING:
                rows.append(dict.fromkeys(self.columns, np.nan))
                continue
            state, record = self.epoch(dict(state), e)
            rows.append(record)
        return state, {k: np.array([[row[k] for row in rows]]) for k in self.columns}

    def epoch(self, state: Any, e: int) -> tuple[Any, dict[str, float]]:
        before = state["params"], state["opt"]
        train, n = self.data.train, th_data.n_observations(self.data.train)
        size = min(self.task.batch_size or n, n)
        order = np.asarray(th_data.order(0, e, n, self.task.sampling)) if size < n else np.arange(n)
        weights = th_data.weights_of(train)
        params, opt_state, summed = *before, jnp.float32(0)
        seen: list[tuple[dict[str, Any], Any]] = []
        for start in range(0, n, size):
            rows = order[start : start + size]
            short = size - len(rows)  # the last batch is filled up with observations of weight zero
            real = np.arange(size) < len(rows)
            rows = np.concatenate([rows, np.zeros(short, rows.dtype)])
            weight = None if weights is None else (weights * (n / jnp.sum(weights)))[rows]
            if n % size:
                weight = real.astype(np.float32) * (1 if weight is None else weight)
            batch = jax.tree.map(lambda a, rows=rows: a[rows], train)
            # As the loss, by the parameters before the step.
            seen.append((self.score(params, batch), np.ones(size) if weight is None else weight))
            params, opt_state, summed = self.step(params, opt_state, summed, batch, weight)
        mean, rate = self.close(summed, opt_state)
        record = {"train_risk": float(mean)}
        if self.data.val is not None:
            record["val_risk"] = float(self.mean_loss(params, self.data.val))
        record["learning_rate"] = float(rate)
        for k in self.scored:
            total = sum(np.sum(np.where(w > 0, w * v[k], 0)) for v, w in seen)
            record[f"train_{k}"] = float(total / sum(np.sum(w) for _, w in seen))
        if self.data.val is not None:
            means = self.mean_scores(params, self.data.val)
            record |= {f"val_{k}": float(v) for k, v in means.items()}
        record |= {k: float(v) for k, v in self.measure(params).items()}
        state["epochs"] += 1
        state["moved"] |= any(
            bool((a != b).any())
            for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(before[0]), strict=True)
        )
        watched = [record[k] for k in ("train_risk", "val_risk") if k in record]
        if not all(np.isfinite(v) and v <= self.rules.bound for v in watched):
            state["outcome"] = DIVERGED
            return state, record
        if not state["moved"] and state["epochs"] >= 10:
            state["outcome"] = UNMOVED
        for k, rule in enumerate(self.rules.inside):
            arrays = Record({n: jnp.float32(v) for n, v in record.items()}, self.task.metrics)
            state["stoppers"][k], stop = rule.update(state["stoppers"][k], arrays)
            if bool(stop) and state["outcome"] == RUNNING:
                state["outcome"] = FIRST_RULE + k
        state["params"], state["opt"] = params, opt_state
        value = record.get(self.task.best_by, np.nan)
        if self.sign * value < self.sign * state["best_value"] and np.isfinite(value):
            state |= {"best": params, "best_value": value, "best_epoch": state["epochs"]}
        return state, record

    def status(self, state: Any) -> CohortStatus:
        return CohortStatus(
            active=np.array([state["outcome"] == RUNNING]),
            outcome=np.array([state["outcome"]]),
            epochs=np.array([state["epochs"]]),
            best_epoch=np.array([state["best_epoch"]]),
            best_value=np.array([state["best_value"]]),
            moved=np.array([state["moved"]]),
        )

    def evaluate(self, state: Any, parts: tuple[str, ...]) -> Mapping[str, np.ndarray]:
        chosen = self.data.val is not None or self.task.best_by in self.task.metrics
        params = state["best"] if chosen else state["params"]
        there = {p: getattr(self.data, p) for p in parts if getattr(self.data, p) is not None}
        found = {f"{name}_risk": self.mean_loss_at_end(params, p) for name, p in there.items()}
        for name, p in there.items():
            means = self.mean_scores_at_end(params, p)
            found |= {f"{name}_{k}": v for k, v in means.items()}
        return {k: np.array([v]) for k, v in (found | self.measure_at_end(params)).items()}

    @property
    def sign(self) -> int:
        return -1 if best_mode(self.task) == "max" else 1

    def pack(self, state: Any) -> dict[str, np.ndarray]:
        return {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}

    def unpack(self, arrays: Mapping[str, np.ndarray]) -> Any:
        tree = jax.tree.structure(self.init())
        leaves = [arrays[str(i)] for i in range(len(arrays))]
        state = jax.tree.unflatten(tree, leaves)
        for name, kind in {
            "epochs": int,
            "outcome": int,
            "moved": bool,
            "best_epoch": int,
            "best_value": float,
        }.items():
            state[name] = kind(state[name])
        return state


def _mean(losses: Any, weights: Any) -> Any:
    if weights is None:
        return jnp.mean(losses)
    return jnp.average(jnp.where(weights == 0, 0, losses), weights=weights)
