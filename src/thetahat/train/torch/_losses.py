"""Losses in PyTorch: of thetahat's names, of ``torch.nn``, and of the user's own functions.

All give one number per observation, so that every observation of an epoch weighs the same, in a
short last batch too. No shape is broadcast.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

from thetahat import risk
from thetahat.core import ConfigError, ShapeError
from thetahat.train.torch._library import torch

functional: Any = torch.nn.functional
nn: Any = torch.nn
_mse: Any = torch.ops.aten.mse_loss.default  # without the checks of shapes, which ``aligned`` does

_NONE_IGNORED = -100  # PyTorch's default of ignore_index, which no class has


def thetahats(loss: Any) -> Any:
    """Return the loss of thetahat that a loss of PyTorch is; other losses as they are.

    Raises:  ConfigError: a loss whose mean is not one over observations.
    """
    if isinstance(loss, type) and issubclass(loss, nn.Module):
        raise ConfigError(f"loss is the class {loss.__name__}; call it: {loss.__name__}()")
    same: dict[Any, Any] = {
        functional.mse_loss: "squared",
        functional.l1_loss: "absolute",
        functional.huber_loss: "huber",
        functional.cross_entropy: "cross_entropy",
        functional.binary_cross_entropy_with_logits: "logistic",
    }
    held = vars(loss) if isinstance(loss, nn.Module) else getattr(loss, "keywords", {})
    if held.get("ignore_index", _NONE_IGNORED) != _NONE_IGNORED:
        raise ConfigError(
            f"loss with ignore_index={held['ignore_index']} divides by the observations of each"
            " batch that it does not ignore; give these the weight 0:"
            " th.Observations(x, y, weight)"
        )
    if (reduction := held.get("reduction", "mean")) in ("sum", "batchmean"):
        raise ConfigError(
            f"loss={called(loss)}(reduction={reduction!r}): a risk is a mean over observations and"
            " outputs; leave reduction out"
        )
    if getattr(loss, "weight", held.get("weight")) is not None:
        raise ConfigError(
            f"loss={called(loss)}(weight=...) divides by the weights of each batch's"
            " classes, so that observations weigh otherwise in every batch; give weights of"
            " observations: th.Observations(x, y, weight)"
        )
    if not isinstance(loss, nn.Module):
        return same.get(loss, loss) if callable(loss) else loss
    plain = {nn.MSELoss: "squared", nn.L1Loss: "absolute"}
    if type(loss) is nn.HuberLoss:
        return risk.huber(loss.delta)
    if type(loss) is nn.BCEWithLogitsLoss and loss.pos_weight is None:
        return "logistic"
    if type(loss) is nn.CrossEntropyLoss and (loss.label_smoothing, loss.ignore_index) == (0, -100):
        return "cross_entropy"
    return plain.get(type(loss), loss)


def of_torch(loss: Any) -> bool:
    """Whether a loss is PyTorch's own kind, of (prediction, target): it has a reduction."""
    if isinstance(loss, nn.Module):
        return True
    try:
        return "reduction" in inspect.signature(loss).parameters
    except (TypeError, ValueError):
        return False


def called(loss: Any) -> str:
    """Return the name of a loss of PyTorch, also of a partial one."""
    function = getattr(loss, "func", loss)
    return getattr(function, "__name__", type(function).__name__)


def need_of(loss: Any) -> risk.Need | None:
    """Return what a loss of PyTorch needs of its targets; None if any numbers will do."""
    logs = getattr(loss, "log_target", getattr(loss, "keywords", {}).get("log_target", False))
    return None if logs else _NEEDS.get(called(loss))


def _to_signs(values: list[float], k: int | None) -> str:
    return "give 2 * y - 1" if values == [0, 1] else "give -1 and 1"


_SIGNS = risk.Need(lambda k: "-1 or 1", lambda y, k: (y == -1) | (y == 1), _to_signs)
_AT_LEAST_0 = risk.Need(lambda k: "numbers of at least 0", lambda y, k: y >= 0)
_NEEDS: dict[str, risk.Need] = {
    **dict.fromkeys(("CrossEntropyLoss", "cross_entropy", "NLLLoss", "nll_loss"), risk.CLASSES),
    **dict.fromkeys(("MultiMarginLoss", "multi_margin_loss"), risk.CLASSES),
    **dict.fromkeys(("BCELoss", "binary_cross_entropy"), risk.SHARES),
    **dict.fromkeys(("BCEWithLogitsLoss", "binary_cross_entropy_with_logits"), risk.SHARES),
    **dict.fromkeys(("MultiLabelSoftMarginLoss", "multilabel_soft_margin_loss"), risk.SHARES),
    **dict.fromkeys(("SoftMarginLoss", "soft_margin_loss"), _SIGNS),
    **dict.fromkeys(("HingeEmbeddingLoss", "hinge_embedding_loss"), _SIGNS),
    **dict.fromkeys(("PoissonNLLLoss", "poisson_nll_loss"), _AT_LEAST_0),
    **dict.fromkeys(("KLDivLoss", "kl_div"), _AT_LEAST_0),
}
"""Targets that losses of PyTorch need, and do not check; class -100 they leave out in silence."""


def pair_loss(loss: Any) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return a loss as a function of predictions and targets (B, ...) to numbers (B, ...).

    Args:    loss: as ``thetahats`` gives it.
    """
    if of_torch(loss):
        if not isinstance(loss, nn.Module):
            return lambda h, y: loss(h, y, reduction="none")
        alone = copy.deepcopy(loss)
        alone.reduction = "none"
        return alone
    made = risk.resolve_loss(loss)
    held = inspect.getclosurevars(made.function).nonlocals if callable(made.function) else {}
    if made.name == "huber":
        delta = float(held["delta"])
        return lambda h, y: _huber(h - y, delta)
    if made.name == "pinball":
        tau = float(held["tau"])
        return lambda h, y: torch.maximum((1 - tau) * (h - y), -tau * (h - y))
    known = {
        "squared": lambda h, y: _mse(h, y.to(h.dtype), 0),
        "absolute": lambda h, y: torch.abs(h - y),
        "logistic": _logistic,
        "fractional_logit": _logistic,
        "cross_entropy": _cross_entropy,
    }
    return known.get(made.name, lambda h, y: made.function(h - y))


def _huber(r: torch.Tensor, delta: float) -> torch.Tensor:
    inside = r.clamp(-delta, delta)
    return inside * (r - inside / 2)


def _logistic(h: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(h, y.to(h.dtype), reduction="none")


def _cross_entropy(h: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    y = y.to(h.dtype) if y.shape == h.shape else y.long()
    return functional.cross_entropy(h, y, reduction="none")


def cross_entropy_or_nan(h: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Compute the cross-entropy, NaN of a class that does not exist: PyTorch leaves -100 out."""
    if y.shape == h.shape:
        return _cross_entropy(h, y)
    k = h.shape[1]
    known = (y >= 0) & (y < k) & (y == y.long())
    values = functional.cross_entropy(h, y.long().clamp(0, k - 1), reduction="none")
    return torch.where(known, values, torch.nan)


def aligned(h: Any, y: torch.Tensor, *, classes: bool) -> torch.Tensor:
    """Return predictions in the shape that the loss compares with targets: (B, 1) become (B,).

    Args:    classes: whether h are logits (B, k) of classes.
    Raises:  ShapeError: shapes that differ; no shape is broadcast.
    """
    if not isinstance(h, torch.Tensor) or not h.ndim:
        raise ShapeError(
            f"the module returned a {type(h).__name__}; it must return one tensor of shape (B, ...)"
        )
    if h.shape == (*y.shape, 1):
        return h.view(y.shape) if h.is_contiguous() else h[..., 0]
    if h.shape[:1] != y.shape[:1]:
        raise ShapeError(
            f"the module returned shape {tuple(h.shape)} for a batch of {len(y)} observations; the"
            " first axis must be that of the batch"
        )
    if h.shape == y.shape or (classes and h.ndim == 2 and h.shape[1] > 1):
        return h
    if h.shape == y.shape[:-1]:
        fix = "Give y as (N,), not (N, 1)."
    elif y.ndim == 1:
        fix = "Use a last layer with one output, or give a loss of classes."
    else:
        fix = "Use a module with as many outputs as targets."
    raise ShapeError(
        f"h(x) has shape {tuple(h.shape)} and y has shape {tuple(y.shape)}; they must be equal, no"
        f" shape is broadcast. {fix}"
    )


def per_row(values: Any, n: int, what: str) -> torch.Tensor:
    """Return one number per observation, (n,): the mean over the components of each.

    Raises:  ShapeError: the first axis is not that of the observations.
    """
    if isinstance(values, torch.Tensor) and values.shape == (n,):
        return values
    if not isinstance(values, torch.Tensor) or values.shape[:1] != (n,):
        came = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
        raise ShapeError(
            f"the loss {what} gave {came} for {n} observations; return one number per observation,"
            f" ({n},)"
        )
    return values.reshape(n, -1).mean(1)
