"""One member that trains alone: its module, whose parameters are views of one flat vector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from thetahat import risk
from thetahat.core import ConfigError, ShapeError, Task
from thetahat.train.torch._library import torch
from thetahat.train.torch._lightning import OwnOptimizers
from thetahat.train.torch._losses import aligned, need_of, of_torch, thetahats
from thetahat.train.torch._metrics import Sums, TorchScores
from thetahat.train.torch._module import (
    call,
    device_of,
    flattened,
    frozen,
    made,
    parted,
    trained,
)
from thetahat.train.torch._objective import LossObjective, ResidualObjective, objective_of
from thetahat.train.torch._optimizers import ELEMENTWISE, Configured, configure, maker
from thetahat.train.torch._parts import (
    EVAL_BLOCK,
    BatchPlan,
    Part,
    SharedParts,
    copied,
    plan_of,
)
from thetahat.train.torch._replay import Replays
from thetahat.train.torch._scores import check_outputs

PARTS = ("train", "val", "test")
_LOOKED_AT = 64
"""Observations at which a module's outputs are looked at."""
WORTH = 500
"""Steps of a fit from which it pays to record a batch and replay it."""
_add: Any = torch._foreach_add_  # pyright: ignore[reportPrivateImportUsage]
# What ``backward()`` and ``grad()`` call: their checks take as long as a small net's gradient.
run_backward: Any = torch.autograd.Variable._execution_engine.run_backward


@dataclass(frozen=True)
class Saved:
    """What training goes on from: tensors by name, the optimizer's numbers, the random numbers."""

    tensors: Mapping[str, torch.Tensor]
    numbers: str
    generators: tuple[torch.Tensor, ...]


class TorchMember:
    """A Task, with its module, its data as tensors and its functions."""

    def __init__(self, task: Task, shared: SharedParts) -> None:
        self.task, self.module = task, made(task)
        self.device = device_of(self.module)
        there = {name: getattr(task.data, name) for name in PARTS}
        self.parts: dict[str, Part] = {
            name: shared.of(part, task.dtype, self.device)
            for name, part in there.items()
            if part is not None
        }
        self.plan: BatchPlan = plan_of(task)
        self.objective = objective_of(task)
        loss = thetahats(task.loss)
        loss = None if of_torch(loss) else risk.resolve_loss(loss)
        units = task.data.transform
        units = None if units is None or (loss and loss.of == risk.PREDICTION) else units
        self.scores = TorchScores(
            task.metrics, loss or risk.resolve_loss("squared"), units, task.dtype
        )
        self.columns = self._columns()
        self._try_out()
        self.params = trained(self.module)
        self.frozen = frozen(self.module)

    def _columns(self) -> tuple[str, ...]:
        there = [name for name in ("train", "val") if name in self.parts]
        own = [c for n, m in self.task.metrics.items() for c in m.columns(n, there)]
        return (*(f"{name}_risk" for name in there), "learning_rate", *own)

    def _try_out(self) -> None:
        """Evaluate some observations, so that wrong shapes, classes and outputs are told before
        training.

        Raises:  ShapeError, ConfigError, DataError.
        """
        part = self.parts["train"]
        self.module.eval()
        try:
            self._check_scores(part)
            with torch.no_grad():
                self.objective(self.module, self._first(part, 2))
        except (RuntimeError, TypeError, ValueError, LookupError) as error:
            shapes = ", ".join(str(tuple(leaf.shape[1:])) for leaf in part.leaves)
            raise ConfigError(
                f"{type(self.module).__name__} failed on a batch of observations of the shapes"
                f" {shapes}: {error}"
            ) from error

    def _first(self, part: Part, n: int) -> Any:
        """Return the first observations of a part, at most n."""
        rows = torch.arange(min(n, part.n), device=self.device)
        return part.observations(part.taken(rows).leaves)

    def _check_scores(self, part: Part) -> None:
        """Check that the module's outputs, and the classes, are what the loss takes.

        Raises:  ConfigError, DataError.
        """
        objective, loss = self.objective, thetahats(self.task.loss)
        made = None if of_torch(loss) else risk.resolve_loss(loss)
        need = need_of(loss) if made is None else made.needs
        if need is None or (made is not None and made.of == risk.RESIDUAL):
            return
        few, z = (self._first(part, n) for n in (2, _LOOKED_AT))
        if isinstance(objective, ResidualObjective):
            outputs = objective.pairs(self.module, z)[0]
        elif isinstance(objective, LossObjective):
            pairs = map(risk.inputs_and_target, (few, z))  # wrong shapes are told of two rows
            outputs = [aligned(call(self.module, x), y, classes=objective.classes)
                       for x, y in pairs][1]  # fmt: skip
        else:
            return
        check_outputs(outputs, made, objective.name)
        k = outputs.shape[1] if need is risk.CLASSES and outputs.ndim == 2 else None
        if k is None and isinstance(objective, LossObjective):
            return
        for name in self.parts:
            y = self._targets(name)
            risk.check_targets(objective.name, need, f"the target of data.{name}", y, k)

    def _targets(self, name: str) -> np.ndarray:
        """Return the targets of a part: its y, or those that the residual returns."""
        part, objective = self.parts[name], self.objective
        if isinstance(objective, LossObjective):
            y = risk.inputs_and_target(part.observations(part.leaves))[1]
            return y.detach().cpu().numpy()
        with torch.no_grad():
            found = [
                objective.pairs(self.module, part.observations(leaves))[1]
                for leaves, _ in part.blocks(EVAL_BLOCK)
            ]
        return torch.cat(found).cpu().numpy()

    def configured(self) -> Configured:
        """Return an optimizer of this module's parameters."""
        if isinstance(self.task.optimizer, OwnOptimizers):
            return configure(lambda _: self.task.optimizer(self.module), (), of_lightning=True)
        return configure(maker(self.task.optimizer), list(self.params.values()))

    def penalty(self, flat: torch.Tensor) -> torch.Tensor:
        """Return the penalty of the parameters that a flat vector holds. Raises ShapeError."""
        penalty = self.task.penalty
        assert penalty is not None
        params = parted(flat, self.params)
        if isinstance(penalty, risk.Ridge):
            taken = [p for name, p in params.items() if name.split(".")[-1] not in penalty.skip]
            return float(penalty.alpha) / 2 * torch.stack([p.square().sum() for p in taken]).sum()
        value = penalty(params)
        if not isinstance(value, torch.Tensor) or value.shape != ():
            raise ShapeError(
                f"penalty must return a scalar tensor; got {getattr(value, 'shape', value)!r}. It"
                " gets the parameters by name; sum over them"
            )
        return value

    def averages(self, h: Any, name: str) -> tuple[np.generic, dict[str, float]]:
        """Return the risk of a part and its metrics, by the hypothesis h."""
        part, scale = self.parts[name], np.dtype(self.task.dtype).type
        sums, totals, own = Sums(self.scores), [], bool(self.scores.of("observation"))
        with torch.no_grad():
            for leaves, weight in part.blocks(EVAL_BLOCK):
                given = copied(leaves) if own else leaves
                values, *pair = self.objective(h, part.observations(given))
                totals.append(values.sum() if weight is None else (values * weight).sum())
                if self.scores.by_part:
                    sums.add(h, leaves, part.tree, weight, pair)
        return scale(torch.stack(totals).sum().item() / part.n), sums.means()


def replays_of(
    member: TorchMember, module: Any, params: list[torch.Tensor], gradient: Any
) -> Replays | None:
    """Return the batches that are replayed; None where all run in Python."""
    plain = isinstance(member.objective, LossObjective) and member.objective.plain
    steps = member.task.epochs * -(-member.plan.n // member.plan.batch)
    if not plain or member.scores.by_part or member.task.penalty is not None:
        return None
    if member.device.type != "cpu" or steps < WORTH:
        return None
    return Replays(module, params, gradient)


class Alone:
    """The training of one member."""

    size = 1

    def __init__(self, member: TorchMember) -> None:
        self.member, self.module = member, member.module
        self.flat, self.slope = flattened(list(member.params.values()))
        self.configured = member.configured()
        self.leaves = self._flat_leaves()
        self.configured.check(member.columns)
        batch = member.plan.batch
        self.scale = self.flat.new_full((), 1.0 / batch)
        self.step = self.configured.bare_step()
        self.params = tuple(member.params.values())
        stored = member.task.penalty is not None or member.scores.grad_norms
        self.descends = self.configured.descends and not stored
        self.replays = replays_of(member, self.module, list(self.params), self._gradient)

    def _gradient(self, leaves: Any, weight: torch.Tensor | None) -> tuple[Any, ...]:
        """Return the summed loss of a batch, and the gradient of each parameter, by autograd."""
        member = self.member
        values, *_ = member.objective(self.module, member.parts["train"].observations(leaves))
        total = values.sum() if weight is None else torch.dot(values, weight)
        found = run_backward((total,), (self.scale,), False, False, self.params, True, False)
        return (total.detach(), *found)

    def _replayed(self, leaves: Any, weight: torch.Tensor | None, rate: float) -> Any:
        """Take the step of a batch by its record, and return its summed loss; None without one."""
        found = None if self.replays is None else self.replays.of(leaves, weight, self.scale)
        if found is None:
            return None
        total, *slopes = found
        with torch.no_grad():
            if self.descends:
                _add(list(self.params), slopes, alpha=-rate)
                return total
            torch.cat([slope.reshape(-1) for slope in slopes], out=self.slope)
        self.step()
        return total

    def _flat_leaves(self) -> list[torch.Tensor]:
        """Let an optimizer whose update is elementwise update one parameter: the flat vector."""
        optimizer, params = self.configured.optimizer, list(self.member.params.values())
        groups = optimizer.param_groups
        own = [p for group in groups for p in group["params"]]
        kind = type(optimizer)
        plain = kind.__module__.startswith("torch.optim") and kind.__name__ in ELEMENTWISE
        if not plain or len(groups) > 1 or [*map(id, own)] != [*map(id, params)]:
            return own
        leaf = torch.nn.Parameter(self.flat)
        leaf.data, leaf.grad = self.flat, self.slope
        begun = [optimizer.state[p] for p in params if optimizer.state.get(p)]
        optimizer.state.clear()
        if begun:
            optimizer.state[leaf] = {
                key: torch.cat([state[key].reshape(-1) for state in begun]) if value.ndim else value
                for key, value in begun[0].items()
            }
        groups[0]["params"] = [leaf]
        return [leaf]

    # -- state ------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return copies of everything that training changes, by name."""
        found = {"params": self.flat.clone()}
        found |= {f"frozen/{name}": t.clone() for name, t in self.member.frozen.items()}
        state = self.configured.optimizer.state
        for k, leaf in enumerate(self.leaves):
            for key, value in state.get(leaf, {}).items():
                if isinstance(value, torch.Tensor):
                    found[f"optimizer/{k}/{key}"] = value.clone()
                elif isinstance(value, (int, float)):
                    found[f"optimizer/{k}/{key}#"] = torch.tensor(value)
        return found

    def set_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Set what ``tensors`` gave; of the optimizer's where they are there."""
        with torch.no_grad():
            self.flat.copy_(tensors["params"])
            for name, t in self.member.frozen.items():
                t.copy_(tensors[f"frozen/{name}"])
        state = self.configured.optimizer.state
        state.clear()
        for name, t in tensors.items():
            kind, _, rest = name.partition("/")
            if kind == "optimizer":
                k, _, key = rest.partition("/")
                leaf = self.leaves[int(k)]
                value = t.item() if key.endswith("#") else self.configured.held(leaf, key, t)
                state[leaf][key.removesuffix("#")] = value

    def keep(self, kept: np.ndarray, before: Mapping[str, torch.Tensor]) -> None:
        """Undo an epoch of members that are not ``kept`` (1,)."""
        if not kept[0]:
            self.set_tensors(before)

    def best_of(
        self, better: np.ndarray, best: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the best state: a copy of this one where it is ``better`` (1,)."""
        if not better[0]:
            return best
        return {"params": self.flat.clone()} | {
            f"frozen/{name}": t.clone() for name, t in self.member.frozen.items()
        }

    def moved(self, before: Mapping[str, torch.Tensor]) -> np.ndarray:
        """Return whether any parameter has changed, (1,)."""
        return np.array([not torch.equal(self.flat, before["params"])])

    def numbers(self) -> str:
        """Return the numbers of the optimizer and the schedulers as text."""
        return self.configured.numbers()

    def set_numbers(self, text: str) -> None:
        """Set what ``numbers`` gave."""
        self.configured.set_numbers(text)

    def step_schedules(self, records: list[Mapping[str, Any]], kept: np.ndarray) -> None:
        """Step the schedulers that step after each epoch."""
        if kept[0]:
            self.configured.step_schedules(by_step=False, record=records[0])

    # -- training ---------------------------------------------------------------------------------

    def orders(self, epoch: int, n: int) -> Iterator[Any]:
        """Yield the orders of epochs."""
        for row in self.member.plan.orders(epoch, n):
            yield None if row is None else torch.from_numpy(row).to(self.flat.device)

    def epoch(self, order: Any) -> list[dict[str, Any]]:
        """Train one epoch; return its record, the members' in their order."""
        member, module, part = self.member, self.module, self.member.parts["train"]
        objective, configured, batch = member.objective, self.configured, member.plan.batch
        by_step, scored, rate = configured.by_step, member.scores.by_part, configured.rate
        own = bool(member.scores.of("observation"))
        norms = [] if member.scores.grad_norms else None
        sums, losses = Sums(member.scores), []
        module.train()
        if self.replays is not None:
            self.replays.begin()
        for leaves, weight in part.batches(order, batch):
            rate = configured.rate if by_step else rate
            total = self._replayed(leaves, weight, rate)
            if total is not None:
                if by_step:
                    configured.step_schedules(by_step=True)
                losses.append(total)
                continue
            given = copied(leaves) if own else leaves
            values, *pair = objective(module, part.observations(given))
            total = values.sum() if weight is None else torch.dot(values, weight)
            if scored:
                module.train(not own)  # a metric must neither draw numbers nor move a buffer
                sums.add(module, leaves, part.tree, weight, pair)
                module.train()
            if self.descends:
                self._descend(total, rate)
            else:
                self._backward(total, values.shape[0] / batch)
                if norms is not None:
                    norms.append(torch.linalg.vector_norm(self.slope))
                self.step()
            if by_step:
                configured.step_schedules(by_step=True)
            losses.append(total.detach())
        scale = np.dtype(member.task.dtype).type
        record = {"train_risk": scale(torch.stack(losses).sum().item() / part.n)}
        means = {f"train_{name}": value for name, value in sums.means().items()}
        if norms is not None:
            norm = float(torch.stack(norms).mean())
            means |= dict.fromkeys(member.scores.grad_norms, norm)
        module.eval()
        if "val" in member.parts:
            record["val_risk"], val = member.averages(module, "val")
            means |= {f"val_{name}": value for name, value in val.items()}
        means |= member.scores.whole(module, self.flat)
        record["learning_rate"] = scale(rate)
        return [record | {name: scale(value) for name, value in means.items()}]

    def _descend(self, total: torch.Tensor, rate: float) -> None:
        """Take a step of gradient descent."""
        found = run_backward((total,), (self.scale,), False, False, self.params, True, False)
        used = [(p, g) for p, g in zip(self.params, found, strict=True) if g is not None]
        with torch.no_grad():
            _add(*map(list, zip(*used, strict=True)), alpha=-rate)

    def _backward(self, total: torch.Tensor, share: float) -> None:
        """Add the gradient of the objective of one batch to ``slope``.

        Args:    total: the summed loss.
                 share: of the batch's places, those that hold an observation.
        """
        if self.member.task.penalty is not None:
            flat = torch.cat([p.reshape(-1) for p in self.member.params.values()])
            total = total + share / self.scale * self.member.penalty(flat)
        self.slope.zero_()
        run_backward((total,), (self.scale,), False, False, (), True, True)

    # -- the best state ---------------------------------------------------------------------------

    def final(self, tensors: Mapping[str, torch.Tensor], parts: tuple[str, ...]) -> Any:
        """Return every number of parts at a state, by column: (1,)."""
        self.set_state(tensors)
        self.module.eval()
        found: dict[str, Any] = {}
        for name in parts:
            if name in self.member.parts:
                found[f"{name}_risk"], means = self.member.averages(self.module, name)
                found |= {f"{name}_{key}": value for key, value in means.items()}
        found |= self.member.scores.whole(self.module, self.flat)
        return {name: np.array([value], self.member.task.dtype) for name, value in found.items()}

    def set_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Set parameters and buffers alone."""
        with torch.no_grad():
            self.flat.copy_(tensors["params"])
            for name, t in self.member.frozen.items():
                t.copy_(tensors[f"frozen/{name}"])

    def row(self, tensors: Mapping[str, torch.Tensor], k: int) -> dict[str, torch.Tensor]:
        """Return parameters and buffers of member k, by name."""
        del k
        params = parted(tensors["params"], self.member.params)
        return params | {name: tensors[f"frozen/{name}"] for name in self.member.frozen}
