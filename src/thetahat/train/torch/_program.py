"""The program of PyTorch: members that train alone, one by one, or stacked as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import numpy as np

from thetahat import risk
from thetahat.core import CheckpointError, ConfigError, Mode, Task
from thetahat.core.task import best_mode
from thetahat.data import Data, Transform, content_hash, with_y
from thetahat.train._obeyed import check_obeyed
from thetahat.train._program import (
    DIVERGED,
    FIRST_RULE,
    RUNNING,
    STOPPED,
    UNMOVED,
    Build,
    CohortStatus,
    Hyper,
    WithData,
)
from thetahat.train._stopping import Record, check_rules, sort_rules
from thetahat.train._tables import table_columns, whole_columns, with_verdicts
from thetahat.train.torch._alone import PARTS, Alone, Saved, TorchMember
from thetahat.train.torch._fitted import TorchFitted
from thetahat.train.torch._library import torch
from thetahat.train.torch._losses import called, need_of, of_torch, thetahats
from thetahat.train.torch._metrics import hypothesis_of_arrays, residuals_of
from thetahat.train.torch._module import free_on, random_numbers, seeded, trained_layout
from thetahat.train.torch._parts import SharedParts
from thetahat.train.torch._stacked import Stacked, stackable

UNMOVED_AFTER = 10
OBEYED = (
    *("data", "residual", "loss", "penalty", "metrics", "optimizer", "epochs", "batch_size"),
    *("sampling", "stopping", "best_by", "seed", "dtype", "tables", "accept"),
)
_COPIES = 8
"""Arrays of the size of the parameters that a member holds: gradient, optimizer, best, before."""


@dataclass(frozen=True)
class MemberProgress:
    """The numbers of one member."""

    rules: tuple[Any, ...]
    best_value: float
    best_epoch: int = 0
    epochs: int = 0
    outcome: int = RUNNING
    moved: bool = False


@dataclass(frozen=True)
class EngineState:
    """The state of members that train in one go: one alone, or all of them stacked."""

    saved: Saved
    best: Mapping[str, torch.Tensor]
    """Parameters and buffers of the best epoch so far."""
    rows: tuple[MemberProgress, ...]


State = list[EngineState]


def prepare(build: Build, hyper: Hyper, size: int, mode: str) -> TorchProgram:
    """The backend of PyTorch. See ``train._program.Prepare``."""
    return TorchProgram(build, hyper, size, mode)


def checked(task: Task) -> Task:
    """Return a Task with its data as parts; refuse what would be ignored.

    Raises:  ConfigError, DataError.
    """
    check_obeyed(task, *OBEYED, backend=("auto", "torch"))
    if isinstance(task.residual, risk.BlockResidual):
        raise ConfigError(
            f"PyTorch trains {type(task.model).__name__}, and does not support residual= by block;"
            " give backend='jax', or a model of JAX such as th.models.MLP"
        )
    data = task.data if isinstance(task.data, Data) else Data(task.data)
    loss = thetahats(task.loss)
    made = None if of_torch(loss) else risk.resolve_loss(loss)
    name = called(loss) if made is None else made.name
    need = need_of(loss) if made is None else made.needs if made.of == risk.PREDICTION else None
    if need is None:
        if data.classes is not None:
            raise ConfigError(
                f"the target is one of {len(data.classes)} classes, and the loss {name} needs"
                ' numbers; give loss="logistic" or loss="cross_entropy"'
            )
        return replace(task, data=data.changed(targets=None))
    if data.targets is not None and isinstance(data.transform, Transform):
        there = {n: p for n in PARTS if (p := getattr(data, n)) is not None}
        own = {n: replace(p, y=data.targets[n]) for n, p in there.items()}
        data = data.changed(**own, transform=data.transform.of_scores(), targets=None)
    if task.residual is None:
        parts = {}
        for part_name in PARTS:
            if (part := getattr(data, part_name)) is not None:
                y = np.asarray(risk.inputs_and_target(part)[1])
                hint = "drop those of -100, PyTorch's ignore_index" if (y == -100).any() else ""
                risk.check_targets(name, need, f"y of data.{part_name}", y, None, hint)
                if made is None and (as_type := _type_of(need, y)) is not None:
                    parts[part_name] = with_y(part, y.astype(as_type))
        data = data.changed(**parts)
    return replace(task, data=data)


def _type_of(need: risk.Need, y: np.ndarray) -> Any:
    """Return the type in which a loss of PyTorch takes checked targets; None as they are."""
    if need is risk.CLASSES:
        return np.int64 if y.ndim == 1 and y.dtype.kind != "i" else None
    return np.float64 if y.dtype.kind != "f" else None


class TorchProgram:
    """C members of one estimation. See ``thetahat.train.Program``."""

    max_chunk = 512
    compile_s = 0.0
    why = ""
    """Why JAX does not train it, where it was asked first."""

    def __init__(self, build: Build, hyper: Hyper, size: int, mode: str) -> None:
        self.build, self.hyper, self.size, self.traces = build, hyper, size, 1
        given = [{k: np.asarray(v).item() for k, v in hyper.member(n).items()} for n in range(size)]
        self.tasks = [checked(build(values)) for values in given]
        shared = SharedParts()
        members = [TorchMember(task, shared) for task in self.tasks]
        self.task = members[0].task
        self.dtype = self.task.dtype
        self.n_params = sum(p.numel() for p in members[0].params.values())
        self.columns = members[0].columns
        self.best_mode = self._best_mode()
        for task in self.tasks:
            check_rules(sort_rules(task.stopping), dict.fromkeys(self.columns), task.metrics)
        stacked = mode == "vmap" and size > 1 and stackable(members)
        self.mode = "vmap" if stacked else "exact"
        self.engines: list[Any] = (
            [Stacked(members)] if stacked else [Alone(member) for member in members]
        )
        self._first = [self._begin(engine) for engine in self.engines]

    def _best_mode(self) -> Mode | None:
        task = self.task
        if task.best_by in task.metrics or task.data.val is not None:
            return best_mode(task)
        if task.best_by != "val_risk":
            raise ConfigError(
                f"best_by={task.best_by!r}: the task does not record it; give the data a validation"
                " part"
            )
        return None

    @property
    def members(self) -> list[TorchMember]:
        """The members in their order."""
        return [m for e in self.engines for m in (e.members if e.size > 1 else [e.member])]

    @property
    def batch_order(self) -> Literal["", "own", "shared"]:
        """Whether members share an order: where no seed of their own makes it."""
        plans = [member.plan for member in self.members]
        if not plans[0].random:
            return ""
        return "own" if len({plan.seed for plan in plans}) > 1 else "shared"

    def fits(self, share: float) -> int:
        """How many members fit into a share of the free memory."""
        width, members = np.dtype(self.dtype).itemsize, self.members
        parts = [part for member in members for part in member.parts.values()]
        own = len({id(part) for part in parts}) > len(members[0].parts)
        data = sum(leaf.nbytes for part in members[0].parts.values() for leaf in part.leaves)
        free = share * free_on(members[0].device) - (0 if own else data)
        most = free // (_COPIES * width * self.n_params + (data if own else 0))
        return int(min(self.size, max(1, most)))

    # -- training ---------------------------------------------------------------------------------

    def _begin(self, engine: Any) -> EngineState:
        tensors, members = engine.tensors(), engine.members if engine.size > 1 else [engine.member]
        state = seeded(int(members[0].task.seed), members[0].device)
        worst = -np.inf if self.best_mode == "max" else np.inf
        rows = tuple(
            MemberProgress(tuple(rule.init() for rule in sort_rules(m.task.stopping).inside), worst)
            for m in members
        )
        saved = Saved(tensors, engine.numbers(), tuple(state))
        return EngineState(saved, engine.best_of(np.ones(engine.size, bool), {}), rows)

    def init(self) -> State:
        """The state before the first epoch."""
        return list(self._first)

    def advance(self, state: State, epoch: int, n: int) -> tuple[State, Mapping[str, np.ndarray]]:
        """Train ``n`` epochs more."""
        found = [
            self._advance(engine, group, epoch, n)
            for engine, group in zip(self.engines, state, strict=True)
        ]
        records = {c: np.concatenate([r[c] for _, r in found]) for c in self.columns}
        return [group for group, _ in found], records

    def _advance(
        self, engine: Any, group: EngineState, epoch: int, n: int
    ) -> tuple[EngineState, Any]:
        records = {c: np.full((engine.size, n), np.nan, self.dtype) for c in self.columns}
        rows, best = list(group.rows), group.best
        if not any(row.outcome == RUNNING for row in rows):
            return group, records
        engine.set_tensors(group.saved.tensors)
        engine.set_numbers(group.saved.numbers)
        first = engine.members[0] if engine.size > 1 else engine.member
        numbers = random_numbers(list(group.saved.generators), first.device)
        with trained_layout(first.device), numbers as after:
            for i, order in enumerate(engine.orders(epoch, n)):
                if not any(row.outcome == RUNNING for row in rows):
                    break
                before = engine.tensors()
                record = engine.epoch(order)
                active = np.array([row.outcome == RUNNING for row in rows])
                changed = engine.moved(before)
                rows, kept, better = self._judged(engine, rows, record, changed)
                for k in np.flatnonzero(active):
                    for c in self.columns:
                        records[c][k, i] = record[k][c]
                if not kept.all():
                    engine.keep(kept, before)
                best = engine.best_of(better, best)
                engine.step_schedules(record, kept)
        saved = Saved(engine.tensors(), engine.numbers(), tuple(after))
        return EngineState(saved, best, tuple(rows)), records

    def _judged(
        self,
        engine: Any,
        rows: Sequence[MemberProgress],
        records: Sequence[Any],
        changed: np.ndarray,
    ) -> tuple[list[MemberProgress], np.ndarray, np.ndarray]:
        """The rows after an epoch, which members keep it, and whose state is the best so far."""
        after, kept, better = [], np.zeros(len(rows), bool), np.zeros(len(rows), bool)
        members = engine.members if engine.size > 1 else [engine.member]
        for k, (row, member) in enumerate(zip(rows, members, strict=True)):
            if row.outcome != RUNNING:
                after.append(row)
                continue
            record = Record(records[k], member.task.metrics)
            row, kept[k], better[k] = self._judge(member.task, row, record, bool(changed[k]))
            after.append(row)
        return after, kept, better

    def _judge(
        self, task: Task, row: MemberProgress, record: Record, changed: bool
    ) -> tuple[MemberProgress, bool, bool]:
        rules, epochs = sort_rules(task.stopping), row.epochs + 1
        risks = [record[name] for name in ("train_risk", "val_risk") if name in record]
        if not all(np.isfinite(value) and value <= rules.bound for value in risks):
            return replace(row, epochs=epochs, outcome=DIVERGED), False, False
        moved, outcome = row.moved or changed, RUNNING
        if not moved and epochs >= UNMOVED_AFTER:
            outcome = UNMOVED
        states, outcome = _ruled(rules, row.rules, record, outcome)
        row = replace(row, epochs=epochs, moved=moved, rules=states, outcome=outcome)
        if self.best_mode is None:
            return row, True, True  # the last state counts
        value = float(record[task.best_by])
        ahead = value > row.best_value if self.best_mode == "max" else value < row.best_value
        if not ahead or not np.isfinite(value):
            return row, True, False
        return replace(row, best_value=value, best_epoch=epochs), True, True

    def status(self, state: State) -> CohortStatus:
        """The state of the members."""
        rows = [row for group in state for row in group.rows]
        names = ("outcome", "epochs", "best_epoch", "best_value", "moved")
        found = {name: np.array([getattr(row, name) for row in rows]) for name in names}
        return CohortStatus(active=found["outcome"] == RUNNING, **found)

    def stop(self, state: State, which: np.ndarray) -> State:
        """End the members ``which``."""
        ended = iter(which & self.status(state).active)
        return [
            replace(
                group,
                rows=tuple(replace(r, outcome=STOPPED) if next(ended) else r for r in group.rows),
            )
            for group in state
        ]

    def evaluate(self, state: State, parts: tuple[str, ...]) -> Mapping[str, np.ndarray]:
        """The risk and the metrics of each part at the best state."""
        found = []
        for engine, group in zip(self.engines, state, strict=True):
            first = engine.members[0] if engine.size > 1 else engine.member
            numbers = random_numbers(list(group.saved.generators), first.device)
            with trained_layout(first.device), numbers:
                found.append(engine.final(group.best, parts))
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    def tables(self, state: State) -> list[dict[str, dict[str, np.ndarray]]]:
        """The tables of every member at the best state, one by one: each has its own Task."""
        found = []
        for k, member in enumerate(self.members):
            module = self.fitted(state, k, {}).model
            h = hypothesis_of_arrays(module, member.device)
            made = table_columns(member.task, h, residuals_of(member.task, h, member.device))
            tables = {name: whole_columns(_on_host(c)) for name, c in made.items()}
            found.append(with_verdicts(tables))
        return found

    def _place(self, k: int) -> tuple[int, int]:
        """The group of member k, and its row there."""
        return (0, k) if self.engines[0].size > 1 else (k, 0)

    def fitted(self, state: State, k: int, config: Mapping[str, Any]) -> TorchFitted:
        """The function that member k has estimated."""
        del config
        group, row = self._place(k)
        found = self.engines[group].row(state[group].best, row)
        arrays = {name: t.detach().cpu().numpy().copy() for name, t in found.items()}
        return TorchFitted(self.members[k], arrays)

    # -- other programs ---------------------------------------------------------------------------

    def again(self, hyper: Hyper, data: Any = None) -> TorchProgram:
        """The same program for other values or data."""
        build = self.build if data is None else WithData(self.build, data)
        other = TorchProgram(build, hyper, self.size, self.mode)
        other.traces = 0
        return other

    def remapped(self, mode: str) -> TorchProgram:
        """The same members in the other mode."""
        return TorchProgram(self.build, self.hyper, self.size, mode)

    # -- checkpoints ------------------------------------------------------------------------------

    def pack(self, state: State) -> dict[str, np.ndarray]:
        """The state as named arrays."""
        arrays: dict[str, np.ndarray] = {}
        for g, group in enumerate(state):
            found = {f"tensors/{name}": t for name, t in group.saved.tensors.items()}
            found |= {f"best/{name}": t for name, t in group.best.items()}
            found |= {f"generators/{i}": t for i, t in enumerate(group.saved.generators)}
            arrays |= {f"{g}/{name}": t.detach().cpu().numpy().copy() for name, t in found.items()}
            arrays[f"{g}/numbers"] = np.frombuffer(group.saved.numbers.encode(), np.uint8)
            for k, row in enumerate(group.rows):
                for name in ("best_value", "best_epoch", "epochs", "outcome", "moved"):
                    arrays[f"{g}/{k}/{name}"] = np.asarray(getattr(row, name))
                for i, leaf in enumerate(jax.tree.leaves(row.rules)):
                    arrays[f"{g}/{k}/rules/{i}"] = np.asarray(leaf)
        return arrays

    def unpack(
        self, arrays: Mapping[str, np.ndarray], first: Any = None, *, new_rules: bool = False
    ) -> State:
        """The state that ``pack`` gave. Raises CheckpointError: arrays of another task."""
        first = self.init() if first is None else first
        try:
            return [_unpacked(arrays, f"{g}/", group, new_rules) for g, group in enumerate(first)]
        except (LookupError, ValueError) as error:
            raise CheckpointError(
                f"the checkpoint belongs to another task ({error}). Give the config it was made"
                " with, or another checkpoint path"
            ) from error

    def replay(self, state: State, records: Mapping[str, np.ndarray]) -> State:
        """The state after the stopping rules have seen the records from the start."""
        after, members, at = [], self.members, 0
        for group in state:
            rows = []
            for row in group.rows:
                columns = {name: c[at] for name, c in records.items()}
                rows.append(_replayed(members[at].task, row, columns))
                at += 1
            after.append(replace(group, rows=tuple(rows)))
        return after

    # -- what the numbers depend on ---------------------------------------------------------------

    def facts(self, state: State) -> list[dict[str, Any]]:
        """The provenance of every member at the first state."""
        found = []
        for k, member in enumerate(self.members):
            group, row = self._place(k)
            data = member.task.data
            parts = {name: getattr(data, name) for name in ("train", "val", "test")}
            hashes = {f"data_{n}": content_hash(p) for n, p in parts.items() if p is not None}
            params = self.engines[group].row(state[group].saved.tensors, row)
            init = content_hash([t.detach().cpu().numpy() for t in params.values()])
            device = member.device
            kind = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
            shared = {"backend": "torch", "dtype": self.dtype, "device": f"torch: {kind}"}
            if self.why:
                shared["backend_why"] = self.why
            found.append({**shared, **hashes, "init": init})
        return found

    def mathematics(self) -> Mapping[str, str]:
        """What is computed, by part."""
        member = self.members[0]
        optimizer = self.engines[0].configured
        optimizer = (optimizer[0] if isinstance(optimizer, list) else optimizer).optimizer
        return {"model": repr(member.module), "optimizer": type(optimizer).__qualname__}

    def used(self) -> frozenset[str]:
        """The traced parameters that a number depends on: any."""
        return self.hyper.names


def _ruled(
    rules: Any, states: Sequence[Any], record: Record, outcome: int
) -> tuple[tuple[Any, ...], int]:
    """The states of stopping rules after an epoch, and the outcome."""
    after = []
    for k, (rule, state) in enumerate(zip(rules.inside, states, strict=True)):
        state, stop = rule.update(state, record)
        after.append(jax.tree.map(lambda leaf: leaf, state))
        if stop and outcome == RUNNING:
            outcome = FIRST_RULE + k
    return tuple(after), outcome


def _replayed(task: Task, row: MemberProgress, columns: Mapping[str, np.ndarray]) -> MemberProgress:
    states, outcome = row.rules, RUNNING
    for e in range(row.epochs):
        record = Record({name: c[e] for name, c in columns.items()}, task.metrics)
        states, outcome = _ruled(sort_rules(task.stopping), states, record, outcome)
    open_ = row.outcome == RUNNING or row.outcome >= FIRST_RULE
    return replace(row, rules=states, outcome=outcome if open_ else row.outcome)


def _unpacked(
    arrays: Mapping[str, np.ndarray], start: str, first: EngineState, new_rules: bool
) -> EngineState:
    mine = {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
    device = first.saved.tensors["params"].device

    def tensors(kind: str, like: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        found = {
            n.removeprefix(kind): torch.from_numpy(np.array(a))
            for n, a in mine.items()
            if n.startswith(kind)
        }
        for name, t in like.items():
            if name not in found or found[name].shape != t.shape or found[name].dtype != t.dtype:
                raise ValueError(f"{name} needs {t.dtype!s} {list(t.shape)}")
        # The steps of an optimizer are counted on the CPU.
        return {n: t if n.endswith("/step") else t.to(device) for n, t in found.items()}

    rows = []
    for k, row in enumerate(first.rows):
        leaves, tree = jax.tree.flatten(row.rules)
        if not new_rules:
            leaves = [mine[f"{k}/rules/{i}"] for i in range(len(leaves))]
        names = ("best_value", "best_epoch", "epochs", "outcome", "moved")
        own = {name: mine[f"{k}/{name}"].item() for name in names}
        rows.append(replace(row, rules=jax.tree.unflatten(tree, leaves), **own))
    saved = Saved(
        tensors("tensors/", first.saved.tensors),
        mine["numbers"].tobytes().decode(),
        tuple(
            torch.from_numpy(np.array(mine[f"generators/{i}"]))
            for i in range(len(first.saved.generators))
        ),
    )
    return EngineState(saved, tensors("best/", first.best), tuple(rows))


def _on_host(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        for name, value in columns.items()
    }
