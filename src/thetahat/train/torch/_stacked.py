"""Members that train as one: their parameters are the rows of one matrix, mapped by ``vmap``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from thetahat.train.torch._alone import TorchMember, replays_of, run_backward
from thetahat.train.torch._library import torch
from thetahat.train.torch._module import generators, parted, set_generators
from thetahat.train.torch._optimizers import ELEMENTWISE, LINEAR, Configured
from thetahat.train.torch._parts import EVAL_BLOCK, copied


def stackable(members: Sequence[TorchMember]) -> bool:
    """Whether members can train as one: modules, data and optimizers of one kind.

    A module whose operations ``vmap`` does not know trains one by one.
    """
    first = members[0]
    if first.task.metrics or first.task.penalty is not None or first.task.residual is not None:
        return False
    if getattr(first.objective, "name", "") == "training_step":
        return False
    shapes = [[(n, p.shape) for n, p in m.params.items()] for m in members]
    sizes = [
        [(n, len(p.leaves), *(f.shape for f in p.leaves)) for n, p in m.parts.items()]
        for m in members
    ]
    plans = [(m.plan.n, m.plan.batch, m.plan.sampling) for m in members]
    alike = [(repr(m.module), m.objective.name, m.device) for m in members]
    for of in (shapes, sizes, plans, alike):
        if any(one != of[0] for one in of):
            return False
    return _one_kind([m.configured() for m in members]) and _maps(members)


def _one_kind(made: Sequence[Configured]) -> bool:
    """Whether optimizers differ in their learning rates alone, over all parameters at once."""
    groups = [c.optimizer.param_groups for c in made]
    kind = type(made[0].optimizer)
    known = kind.__module__.startswith("torch.optim") and kind.__name__ in ELEMENTWISE
    if not known or any(len(group) != 1 for group in groups):
        return False
    if any(c.by_step or _cycles(c) for c in made):
        return False
    skipped = ("params", "lr", "initial_lr")
    options = [{k: v for k, v in group[0].items() if k not in skipped} for group in groups]
    if any(o != options[0] for o in options):
        return False
    same = all(c.rate == made[0].rate and not c.schedules for c in made)
    return same or kind.__name__ in LINEAR


def _cycles(configured: Configured) -> bool:
    return any(getattr(s.scheduler, "cycle_momentum", False) for s in configured.schedules)


def _maps(members: Sequence[TorchMember]) -> bool:
    """Whether ``vmap`` knows the operations of a module."""
    tried = Stacked(members)
    part = tried.parts["train"]
    few = min(2, members[0].plan.batch)
    rows = copied([leaf.narrow(tried.axis, 0, few) for leaf in part])
    state, device = generators(members[0].device), members[0].device
    try:
        for module_trains in (True, False):
            tried.module.train(module_trains)
            tried.totals(tried.flat, rows, "train").sum().backward()
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        return False
    finally:
        set_generators(state, device)
    return True


class Stacked:
    """The training of many members as one.

    The parameters are (C, P); whatever of the data is the same for all is held once.
    """

    def __init__(self, members: Sequence[TorchMember]) -> None:
        self.members, first = list(members), members[0]
        self.size, self.module, self.objective = len(members), first.module, first.objective
        vectors = [torch.cat([p.detach().reshape(-1) for p in m.params.values()]) for m in members]
        self.flat = torch.nn.Parameter(torch.stack(vectors))
        self.frozen = {
            name: torch.stack([m.frozen[name].detach() for m in members]) for name in first.frozen
        }
        self.configured = [m.configured() for m in members]
        self.stepping = first.configured()
        self.optimizer = self.stepping.optimizer
        self.optimizer.param_groups[0]["params"] = [self.flat]
        begun = {k: v for k, v in self.optimizer.state.items() if v}
        self.optimizer.state.clear()
        if begun:
            one = next(iter(begun.values()))
            self.optimizer.state[self.flat] = {
                key: torch.full_like(self.flat, float(v.reshape(-1)[0])) if v.ndim else v
                for key, v in one.items()
            }
        for c in self.configured:
            c.check(first.columns)
        self.own_order = len({m.plan.seed for m in members}) > 1 and first.plan.random
        self.own_data = not all(_same(m, first) for m in members)
        self.axis = 1 if self.own_data else 0
        self.parts = {name: self._stack(name) for name in first.parts}
        batch = first.plan.batch
        self.scale = self.flat.new_full((self.size,), 1.0 / batch)
        self._rates: torch.Tensor | None = None
        self.step = self.stepping.bare_step()
        self.replays = replays_of(first, self.module, [self.flat], self._gradient)

    def _stack(self, name: str) -> list[torch.Tensor]:
        """Return the leaves of a part, then its weights: (N, ...), or (C, N, ...) if own."""
        each = []
        for m in self.members[: None if self.own_data else 1]:
            part = m.parts[name]
            each.append([*part.leaves, *([] if part.weight is None else [part.weight])])
        return [
            torch.stack(leaves) if self.own_data else leaves[0]
            for leaves in zip(*each, strict=True)
        ]

    # -- state ------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return copies of everything that training changes, by name."""
        found = {"params": self.flat.detach().clone()}
        found |= {f"frozen/{name}": t.clone() for name, t in self.frozen.items()}
        for key, value in self.optimizer.state.get(self.flat, {}).items():
            if isinstance(value, torch.Tensor):
                found[f"optimizer/{key}"] = value.clone()
        return found

    def set_tensors(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Set what ``tensors`` gave."""
        self.set_state(tensors)
        self.optimizer.state.clear()
        for name, t in tensors.items():
            if name.startswith("optimizer/"):
                key = name.removeprefix("optimizer/")
                self.optimizer.state[self.flat][key] = self.stepping.held(self.flat, key, t)

    def set_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Set parameters and buffers alone."""
        with torch.no_grad():
            self.flat.copy_(tensors["params"])
        for name in self.frozen:
            self.frozen[name] = tensors[f"frozen/{name}"].clone()

    def keep(self, kept: np.ndarray, before: Mapping[str, torch.Tensor]) -> None:
        """Undo an epoch of members that are not ``kept`` (C,)."""
        now = self.tensors()
        self.set_tensors(
            {
                name: self._chosen(kept, t, before[name]) if name in before else t
                for name, t in now.items()
            }
        )

    def _chosen(self, which: np.ndarray, this: torch.Tensor, that: torch.Tensor) -> torch.Tensor:
        if this.shape[:1] != (self.size,):
            return this  # a count that members share
        where = torch.from_numpy(which).to(this.device)
        return torch.where(where.reshape(-1, *[1] * (this.ndim - 1)), this, that)

    def best_of(
        self, better: np.ndarray, best: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the best states: copies of these where they are ``better`` (C,)."""
        if not better.any():
            return best
        now = {"params": self.flat.detach().clone()}
        now |= {f"frozen/{name}": t.clone() for name, t in self.frozen.items()}
        return now if not best else {n: self._chosen(better, t, best[n]) for n, t in now.items()}

    def moved(self, before: Mapping[str, torch.Tensor]) -> np.ndarray:
        """Return whether any parameter has changed, (C,)."""
        return (self.flat.detach() != before["params"]).any(1).cpu().numpy()

    def numbers(self) -> str:
        """Return the numbers of the members' optimizers and schedulers as text."""
        return "\n".join(c.numbers() for c in self.configured)

    def set_numbers(self, text: str) -> None:
        """Set what ``numbers`` gave."""
        for c, line in zip(self.configured, text.split("\n"), strict=True):
            c.set_numbers(line)
        self._read_rates()

    def step_schedules(self, records: list[Mapping[str, Any]], kept: np.ndarray) -> None:
        """Step the schedulers of the members that go on."""
        for c, record, on in zip(self.configured, records, kept, strict=True):
            if on:
                c.step_schedules(by_step=False, record=record)
        if any(c.schedules for c in self.configured):
            self._read_rates()

    def _read_rates(self) -> None:
        """Let the optimizer step at the members' rate: theirs, or 1 and scaled afterwards."""
        rates = [c.rate for c in self.configured]
        same = all(rate == rates[0] for rate in rates)
        self.optimizer.param_groups[0]["lr"] = rates[0] if same else 1.0
        self._rates = None if same else self.flat.new_tensor(rates)[:, None]

    # -- training ---------------------------------------------------------------------------------

    def orders(self, epoch: int, n: int) -> Iterator[Any]:
        """Yield the orders of epochs: (N,), or (C, N) where members have their own."""
        if not self.own_order:
            for row in self.members[0].plan.orders(epoch, n):
                yield None if row is None else torch.from_numpy(row).to(self.flat.device)
            return
        for rows in zip(*(m.plan.orders(epoch, n) for m in self.members), strict=True):
            yield torch.from_numpy(np.stack(rows)).to(self.flat.device)

    def _gathered(self, order: torch.Tensor | None) -> tuple[list[torch.Tensor], int]:
        """The training part in an epoch's order, and the axis of its observations."""
        leaves = self.parts["train"]
        if order is None:
            return list(copied(leaves)), self.axis
        if order.ndim == 1:
            return [leaf.index_select(self.axis, order) for leaf in leaves], self.axis
        if self.own_data:
            at = torch.arange(self.size, device=order.device)[:, None]
            return [leaf[at, order] for leaf in leaves], 1
        return [leaf[order] for leaf in leaves], 1

    def totals(self, flat: torch.Tensor, leaves: Sequence[torch.Tensor], name: str) -> torch.Tensor:
        """Return the summed loss of a batch, (C,)."""
        part = self.members[0].parts[name]
        weighted, own = part.weight is not None, leaves[0].ndim > part.leaves[0].ndim

        def one(row: torch.Tensor, frozen: Any, *batch: torch.Tensor) -> torch.Tensor:
            held = parted(row, self.members[0].params) | frozen
            h = _Called(self.module, held)
            taken = batch[:-1] if weighted else batch
            values = self.objective(h, part.observations(taken))[0]
            return (values * batch[-1]).sum() if weighted else values.sum()

        dims = (0, 0, *[0 if own else None] * len(leaves))
        return torch.vmap(one, in_dims=dims, randomness="different")(flat, self.frozen, *leaves)

    def _gradient(self, leaves: Any, weight: None = None) -> tuple[Any, ...]:
        """Return the summed loss of a batch, (C,), and its gradient, (C, P), by autograd."""
        del weight  # the last leaf is
        total = self.totals(self.flat, leaves, "train")
        found = run_backward((total,), (self.scale,), False, False, (self.flat,), True, False)
        return total.detach(), found[0]

    def _update(self, slope: torch.Tensor) -> None:
        """Take the members' steps, each at its own rate."""
        rates = self._rates
        with torch.no_grad():
            if self.stepping.descends:
                if rates is None:
                    self.flat.add_(slope, alpha=-self.stepping.rate)
                else:
                    self.flat.addcmul_(slope, rates, value=-1)
                return
            self.flat.grad = slope
            before = None if rates is None else self.flat.clone()
            self.step()
            if before is not None and rates is not None:
                self.flat.sub_(before).mul_(rates).add_(before)

    def epoch(self, order: Any) -> list[dict[str, Any]]:
        """Train one epoch; return the members' records."""
        first = self.members[0]
        self.module.train()
        leaves, axis = self._gathered(order)
        totals = []
        rates = [c.rate for c in self.configured]
        if self.replays is not None:
            self.replays.begin()
        for batch in zip(*(leaf.split(first.plan.batch, axis) for leaf in leaves), strict=True):
            found = None if self.replays is None else self.replays.of(batch, None, self.scale)
            total, slope = self._gradient(batch) if found is None else found
            self._update(slope)
            totals.append(total)
        n = first.plan.n
        found = {"train_risk": (torch.stack(totals).sum(0) / n).cpu().numpy()}
        self.module.eval()
        if "val" in self.parts:
            found["val_risk"] = self._risk("val")
        found["learning_rate"] = np.array(rates, first.task.dtype)
        return [{c: values[k] for c, values in found.items()} for k in range(self.size)]

    def _risk(self, name: str) -> np.ndarray:
        n, totals = self.members[0].parts[name].n, []
        with torch.no_grad():
            blocks = (leaf.split(EVAL_BLOCK, self.axis) for leaf in copied(self.parts[name]))
            totals = [self.totals(self.flat, block, name) for block in zip(*blocks, strict=True)]
        return (torch.stack(totals).sum(0) / n).cpu().numpy()

    def final(self, tensors: Mapping[str, torch.Tensor], parts: tuple[str, ...]) -> Any:
        """Return the risks of parts at a state, by column: (C,)."""
        self.set_state(tensors)
        self.module.eval()
        return {f"{name}_risk": self._risk(name) for name in parts if name in self.parts}

    def row(self, tensors: Mapping[str, torch.Tensor], k: int) -> dict[str, torch.Tensor]:
        """Return parameters and buffers of member k, by name."""
        params = parted(tensors["params"][k], self.members[0].params)
        return params | {name: tensors[f"frozen/{name}"][k] for name in self.frozen}


class _Called:
    """A module at given parameters and buffers, as a function."""

    def __init__(self, module: Any, held: Mapping[str, torch.Tensor]) -> None:
        self.module, self.held = module, held

    def __call__(self, *args: Any, **named: Any) -> Any:
        return torch.func.functional_call(self.module, dict(self.held), args, named)


def _same(one: TorchMember, other: TorchMember) -> bool:
    """Whether two members have the same data."""
    if one is other:
        return True
    for name, part in one.parts.items():
        pairs = zip(part.leaves, other.parts[name].leaves, strict=True)
        if not all(a is b or torch.equal(a, b) for a, b in pairs):
            return False
        weights = part.weight, other.parts[name].weight
        if (weights[0] is None) != (weights[1] is None):
            return False
    return True
