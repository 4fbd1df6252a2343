"""A second backend, of NumPy alone: linear models, squared loss, the gradient by hand.

It shows what the Protocol asks of a backend, and passes the same conformance suite as JAX's. It
refuses the fields of a Task that it does not obey. A model chooses it by naming ``prepare`` as its
``thetahat_backend``.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import thetahat as th
from thetahat.core import CheckpointError, ConfigError
from thetahat.data import Data, Observations, content_hash, n_observations, weights_of
from thetahat.risk import inputs_and_target
from thetahat.train import (
    DIVERGED,
    FIRST_RULE,
    RUNNING,
    STOPPED,
    UNMOVED,
    CohortStatus,
    Hyper,
    Record,
    check_obeyed,
    encoded,
    sort_rules,
)

UNMOVED_AFTER = 10
OBEYED = ("data", "optimizer", "epochs", "batch_size", "stopping", "seed", "dtype")
PARTS = ("train", "val", "test")
SAMPLINGS = ("shuffle", "sequential")


def prepare(build: Callable[..., th.Task], hyper: Hyper, size: int, mode: str) -> NumpyProgram:
    """The backend: members' Tasks are made at once, one by one."""
    return NumpyProgram(build, hyper, size, mode)


@dataclass(frozen=True)
class NumpyLinear:
    """h(x) = x @ b + a, started at ``start``."""

    d: int
    start: float = 0.0
    thetahat_backend = staticmethod(prepare)


@dataclass(frozen=True)
class Descent:
    """Gradient descent at a rate."""

    lr: Any


class NumpyProgram:
    """C members, each of them a loop. See ``thetahat.train.Program``."""

    max_chunk = 5
    compile_s = 0.0

    def __init__(self, build: Callable[..., th.Task], hyper: Hyper, size: int, mode: str) -> None:
        self.build, self.hyper, self.size, self.traces = build, hyper, size, 1
        self.mode = "exact" if size == 1 else mode
        self.tasks = [checked(build(hyper.member(k))) for k in range(size)]
        self.task = self.tasks[0]
        self.dtype, self.n_params = self.task.dtype, self.task.model.d + 1
        self.best_mode = None if self.task.data.val is None else "min"

    @property
    def columns(self) -> tuple[str, ...]:
        risks = ["train_risk", "val_risk"] if self.task.data.val is not None else ["train_risk"]
        return (*risks, "learning_rate")

    @property
    def batch_order(self) -> Any:
        return "own" if self.task.sampling == "shuffle" and self.task.batch_size else ""

    def fits(self, share: float) -> int:
        return self.size if share else 1

    # -- training ---------------------------------------------------------------------------------

    def init(self) -> list[dict[str, Any]]:
        return [self._first(task) for task in self.tasks]

    def _first(self, task: th.Task) -> dict[str, Any]:
        params = np.full(task.model.d + 1, task.model.start, self.dtype)
        numbers = {"best_value": np.inf, "best_epoch": 0, "epochs": 0, "outcome": RUNNING}
        rules = [rule.init() for rule in sort_rules(task.stopping).inside]
        return {"params": params, "best": params, "moved": False, "rules": rules, **numbers}

    def advance(self, state: Any, epoch: int, n: int) -> tuple[Any, Mapping[str, np.ndarray]]:
        members, rows = list(state), []
        for k, task in enumerate(self.tasks):
            for e in range(epoch, epoch + n):
                row = dict.fromkeys(self.columns, np.nan)
                if members[k]["outcome"] == RUNNING:
                    with np.errstate(all="ignore"):  # it may diverge
                        members[k], row = self._epoch(task, dict(members[k]), e)
                rows.append(row)
        shape = (self.size, n)
        return members, {c: np.reshape([row[c] for row in rows], shape) for c in self.columns}

    def _epoch(self, task: th.Task, state: dict[str, Any], e: int) -> tuple[Any, Any]:
        train, before = task.data.train, state["params"]
        n = n_observations(train)
        size, order = min(task.batch_size or n, n), np.arange(n)
        if task.sampling == "shuffle" and size < n:
            order = np.random.default_rng((int(task.seed), e)).permutation(n)
        weight = np.ones(n) if train.weight is None else train.weight * n / train.weight.sum()
        params, losses = before, np.zeros(n)
        for start in range(0, n, size):
            rows = order[start : start + size]
            r = predict(params, train.x[rows]) - train.y[rows]
            losses[rows] = r**2
            slope = 2 * weight[rows] * r @ np.column_stack([train.x[rows], np.ones(len(rows))])
            params = (params - task.optimizer.lr * slope / size).astype(self.dtype)
        record: dict[str, Any] = {"train_risk": np.average(losses, weights=weight)}
        if task.data.val is not None:
            record["val_risk"] = risk(params, task.data.val)
        record["learning_rate"] = task.optimizer.lr
        state["epochs"] = state["epochs"] + 1
        state["moved"] = state["moved"] or bool((params != before).any())
        return self._judged(task, state, Record(record, {}), params), record

    def _judged(self, task: th.Task, state: dict[str, Any], record: Record, params: Any) -> Any:
        """The state after an epoch: one that diverged leaves nothing but its record."""
        rules = sort_rules(task.stopping)
        risks = [record[name] for name in ("train_risk", "val_risk") if name in record]
        if not all(np.isfinite(value) and value <= rules.bound for value in risks):
            return {**state, "outcome": DIVERGED}
        outcome = RUNNING
        if not state["moved"] and state["epochs"] >= UNMOVED_AFTER:
            outcome = UNMOVED
        after = [r.update(s, record) for r, s in zip(rules.inside, state["rules"], strict=True)]
        for k, (_, stop) in enumerate(after):
            outcome = FIRST_RULE + k if stop and outcome == RUNNING else outcome
        state |= {"params": params, "outcome": outcome, "rules": [rule for rule, _ in after]}
        if self.best_mode is not None and record["val_risk"] < state["best_value"]:
            value = record["val_risk"]
            state |= {"best": params, "best_value": value, "best_epoch": state["epochs"]}
        return state

    def status(self, state: Any) -> CohortStatus:
        names = ("outcome", "epochs", "best_epoch", "best_value", "moved")
        found = {name: np.array([member[name] for member in state]) for name in names}
        return CohortStatus(active=found["outcome"] == RUNNING, **found)

    def stop(self, state: Any, which: np.ndarray) -> Any:
        ended = which & self.status(state).active
        return [
            {**m, "outcome": STOPPED} if end else m for m, end in zip(state, ended, strict=True)
        ]

    def evaluate(self, state: Any, parts: tuple[str, ...]) -> Mapping[str, np.ndarray]:
        found: dict[str, list[float]] = {}
        for task, member in zip(self.tasks, state, strict=True):
            params = self._best(member)
            for part in parts:
                if getattr(task.data, part) is not None:
                    value = risk(params, getattr(task.data, part))
                    found.setdefault(f"{part}_risk", []).append(value)
        return {name: np.array(values) for name, values in found.items()}

    def _best(self, member: Mapping[str, Any]) -> np.ndarray:
        return member["params"] if self.best_mode is None else member["best"]

    def fitted(self, state: Any, k: int, config: Mapping[str, Any]) -> NumpyFitted:
        return NumpyFitted(self.tasks[k], self._best(state[k]))

    def again(self, hyper: Hyper, data: Any = None) -> NumpyProgram:
        other = copy.copy(self)
        if data is not None:
            other.build = lambda values: dataclasses.replace(self.build(values), data=data)
        other.hyper, other.traces = hyper, 0
        other.tasks = [checked(other.build(hyper.member(k))) for k in range(self.size)]
        other.task = other.tasks[0]
        return other

    def remapped(self, mode: str) -> NumpyProgram:
        return NumpyProgram(self.build, self.hyper, self.size, mode)

    # -- checkpoints ------------------------------------------------------------------------------

    def pack(self, state: Any) -> dict[str, np.ndarray]:
        arrays = {}
        for k, member in enumerate(state):
            arrays |= {
                f"{k}.{name}": np.asarray(v) for name, v in member.items() if name != "rules"
            }
            for i, rule in enumerate(member["rules"]):
                arrays |= {f"{k}.rules.{i}.{j}": np.asarray(v) for j, v in enumerate(rule)}
        return arrays

    def unpack(
        self, arrays: Mapping[str, np.ndarray], first: Any = None, *, new_rules: bool = False
    ) -> Any:
        first = self.init() if first is None else first
        state = []
        for k, member in enumerate(first):
            found = {name: arrays[f"{k}.{name}"] for name in member if name != "rules"}
            if found["params"].shape != member["params"].shape:
                raise CheckpointError("the checkpoint belongs to another task")
            rules = [
                rule if new_rules else tuple(arrays[f"{k}.rules.{i}.{j}"] for j in range(len(rule)))
                for i, rule in enumerate(member["rules"])
            ]
            state.append({**found, "rules": rules})
        return state

    def replay(self, state: Any, records: Mapping[str, np.ndarray]) -> Any:
        after = []
        for k, (task, member) in enumerate(zip(self.tasks, state, strict=True)):
            states, outcome = list(member["rules"]), RUNNING
            for e in range(int(member["epochs"])):
                record = Record({name: c[k, e] for name, c in records.items()}, {})
                for i, rule in enumerate(sort_rules(task.stopping).inside):
                    states[i], stop = rule.update(states[i], record)
                    outcome = FIRST_RULE + i if stop and outcome == RUNNING else outcome
            open_ = member["outcome"] == RUNNING or member["outcome"] >= FIRST_RULE
            after.append({**member, "rules": states, **({"outcome": outcome} if open_ else {})})
        return after

    # -- what the numbers depend on ---------------------------------------------------------------

    def facts(self, state: Any) -> list[dict[str, Any]]:
        found = []
        for task, member in zip(self.tasks, state, strict=True):
            parts = {name: getattr(task.data, name) for name in ("train", "val", "test")}
            hashes = {f"data_{n}": content_hash(p) for n, p in parts.items() if p is not None}
            init = content_hash(member["params"])
            found.append({"dtype": self.dtype, "device": "numpy", **hashes, "init": init})
        return found

    def mathematics(self) -> Mapping[str, str]:
        return {"loss": "squared", "model": f"linear {self.n_params}"}

    def used(self) -> frozenset[str]:
        return self.hyper.names


@dataclass(frozen=True)
class NumpyFitted:
    """See ``thetahat.train.Estimate``."""

    task: th.Task
    params: np.ndarray

    @property
    def data(self) -> Any:
        return self.task.data

    @property
    def model(self) -> Any:
        table = self.data.transform
        if table is None:
            return lambda x: predict(self.params, x)
        return lambda x: table.decode(predict(self.params, table.encode_row(x)))

    def predict(self, x: Any) -> np.ndarray:
        y, table = predict(self.params, encoded(self.data, x)), self.data.transform
        return y if table is None else table.decode(y)

    def risk(self, part: str) -> float:
        return risk(self.params, getattr(self.data, part))


def checked(task: th.Task) -> th.Task:
    """The task, with its data as parts; what would be ignored is refused."""
    check_obeyed(task, *OBEYED, sampling=SAMPLINGS)
    if not isinstance(task.optimizer, Descent):
        raise ConfigError(f"optimizer={task.optimizer!r}; the NumPy backend takes a Descent(lr)")
    data = task.data if isinstance(task.data, Data) else Data(task.data)
    if data.classes is not None:
        raise ConfigError("the NumPy backend fits numbers, and the target is one of classes")
    given = {name: getattr(data, name) for name in PARTS}
    if any(not isinstance(part, Observations | None) for part in given.values()):
        data = data.changed(**{name: observations(part) for name, part in given.items()})
    return dataclasses.replace(task, data=data)


def observations(part: Any) -> Observations | None:
    """A part in one form: users give pairs and dicts too."""
    if part is None:
        return None
    x, y = inputs_and_target(part)
    return Observations(np.asarray(x), np.asarray(y), weights_of(part))


def predict(params: np.ndarray, x: Any) -> Any:
    """x @ b + a."""
    return np.asarray(x) @ params[:-1] + params[-1]


def risk(params: np.ndarray, part: Any) -> float:
    """The weighted mean of squared residuals."""
    return float(np.average((predict(params, part.x) - part.y) ** 2, weights=weights_of(part)))
