"""The average of several fits of one hypothesis class, as one model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from thetahat.core.errors import check_choice
from thetahat.core.numbers import whole
from thetahat.models._adapted import Adapted

SCALES = ("output", "logistic", "softmax")


@dataclass(frozen=True)
class Average:
    """Average of ``n`` members of a hypothesis class.

        output     h(x) = mean_k h_k(x)
        logistic   h(x) = logit(mean_k 1 / (1 + exp(-h_k(x))))
        softmax    h(x) = log(mean_k softmax(h_k(x)))

    The last two average probabilities, and give the score of the mean.

    Args:    model: any model that a Task takes.   n: members.   of: what is averaged.
    Raises:  ConfigError: a field outside its range.
    """

    model: Any
    n: int
    of: str = "output"

    def __post_init__(self) -> None:
        whole("n", self.n, of="Average")
        check_choice("of", self.of, SCALES)


@dataclass(frozen=True)
class Averaged:
    """Members at their parameters, which have a leading axis n: callable at one observation."""

    bind: Callable[[Any, Any], Any]
    params: Any
    frozen: Any
    of: str

    def __call__(self, x: Any) -> Any:
        """Average all members."""
        n = jax.tree.leaves(self.params)[0].shape[0]
        return self.weighted(x, jnp.full(n, 1 / n))

    def weighted(self, x: Any, share: Any) -> Any:
        """Average members by shares (n,) that sum to one."""
        out = jax.vmap(lambda p, f: self.bind(p, f)(x))(self.params, self.frozen)
        share = share.astype(out.dtype).reshape(-1, *[1] * (out.ndim - 1))
        if self.of == "output":
            return jnp.sum(share * out, 0)
        log_mean = _log_mean(share)
        if self.of == "softmax":
            return log_mean(jax.nn.log_softmax(out, axis=-1))
        return log_mean(jax.nn.log_sigmoid(out)) - log_mean(jax.nn.log_sigmoid(-out))


def _log_mean(share: Any) -> Callable[[Any], Any]:
    return lambda logs: jax.nn.logsumexp(logs, axis=0, b=share)


def averaged(inner: Adapted, model: Average) -> Adapted:
    """Adapt an average, given its adapted hypothesis class."""

    def each(leaf: Any) -> Any:
        return jnp.broadcast_to(leaf, (model.n, *jnp.shape(leaf)))

    def join(params: Any, frozen: Any, key: Any, train: bool) -> Averaged:
        del key, train
        return Averaged(lambda p, f: inner.join(p, f, None, False), params, frozen, model.of)

    return Adapted(
        jax.tree.map(each, inner.params),
        jax.tree.map(each, inner.frozen),
        kind=inner.kind,
        stochastic=False,
        join=join,
        joined=inner.parameters,
    )
