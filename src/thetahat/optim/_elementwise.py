"""Optimizers whose update of one number depends on no other but through sums of squares."""

from __future__ import annotations

from typing import Any

from thetahat.optim._rates import closure, closure_values, qualname, remembered

_KNOWN = {
    *("with_extra_args_support", "chain", "identity", "scale", "trace", "add_decayed_weights"),
    *("scale_by_learning_rate", "scale_by_schedule", "scale_by_adam", "scale_by_rms"),
    *("scale_by_rss", "scale_by_lion", "clip", "clip_by_global_norm", "masked", "stateless"),
}


def is_elementwise(optimizer: Any) -> bool:
    """Return whether parameters that are zero and have no gradient stay zero, and change no other.

    Args:    optimizer: an optax transformation, or one of ours.
    Returns: True only for what is known; False for functions of a user's.
    >>> import optax
    >>> is_elementwise(optax.adam(0.1)), is_elementwise(optax.adafactor(0.1))
    (True, False)
    """
    return remembered(optimizer.update, _all_known)


def _all_known(update: Any) -> bool:
    return all(_known(value) for value in closure_values(update) if callable(value))


def _known(function: Any) -> bool:
    module, maker = str(getattr(function, "__module__", "")), qualname(function).split(".")[0]
    if module.startswith("optax.schedules"):
        return True
    eps = closure(function).get("eps", 1.0)
    if not isinstance(eps, (int, float)) or eps <= 0:  # zero over zero
        return False
    nesterov = module == "thetahat.optim._descent" and maker == "nesterov"
    return (
        nesterov
        or module == "thetahat.optim._tabular"
        or (module.startswith("optax.") and maker in _KNOWN)
    )
