"""Models that are linear in their parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from thetahat.core.arguments import arguments_named
from thetahat.core.errors import ConfigError, check_choice
from thetahat.core.numbers import whole
from thetahat.models._shapes import lecun_normal, one_observation, outputs

if TYPE_CHECKING:
    from jax.typing import ArrayLike
    from jaxtyping import Array, Float, PRNGKeyArray, Shaped

BASES = ("monomial", "chebyshev", "legendre")
STARTS = ("lecun_normal", "zeros")


@arguments_named
@dataclass(frozen=True)
class Linear:
    """Linear in the inputs: ``h(x) = x . kernel + bias``.

    Args:    d: inputs.
             out: "scalar" (kernel (d,), bias (), output ()) or k (kernel (d, k), bias (k,)).
             bias: whether to add an intercept, which starts at zero.
             seed: initialises the kernel; None is the Task's seed. An int, or traced.
             start: "lecun_normal", or "zeros": from zero, gradient descent finds the least squares
             solution of least norm if there are several.
    Raises:  ConfigError: a field outside its range.
    >>> Linear(3).n_params
    4
    """

    d: int
    out: str | int = "scalar"
    bias: bool = True
    seed: Any = None
    start: str = "lecun_normal"

    def __post_init__(self) -> None:
        whole("d", self.d, of="Linear")
        outputs("Linear", self.out)
        check_start("Linear", self.start)

    @property
    def n_params(self) -> int:
        """Number of parameters."""
        return (self.d + bool(self.bias)) * (outputs("Linear", self.out) or 1)

    def init(self, key: PRNGKeyArray) -> dict[str, Float[Array, "*shape"]]:
        """Draw parameters ``{"kernel", "bias"}``."""
        k = outputs("Linear", self.out)
        kernel = started(self.start, key, (self.d, k or 1))
        params = {"kernel": kernel[:, 0] if k is None else kernel}
        if self.bias:
            params["bias"] = jnp.zeros(() if k is None else (k,))
        return params

    def apply(
        self, params: dict[str, Float[Array, "*shape"]], x: Shaped[ArrayLike, "*shape"]
    ) -> Float[Array, "*shape"]:
        """Predict at one ``x`` of shape (d,): shape (), or (k,)."""
        x = one_observation("Linear", self.d, x, params["kernel"])
        product = x @ params["kernel"]
        return product + params["bias"] if self.bias else product


@arguments_named
@dataclass(frozen=True)
class Polynomial:
    """A polynomial in one variable: ``h(x) = sum_n coefficients[n] * b_n(t)``.

    The basis is evaluated by its recurrence, with b_0 = 1, b_1 = t and

        monomial   b_{n+1} = t b_n
        chebyshev  b_{n+1} = 2 t b_n - b_{n-1}
        legendre   (n + 1) b_{n+1} = (2n + 1) t b_n - n b_{n-1}

    where t = x, or, with a domain, x mapped from [lo, hi] onto [-1, 1], on which Chebyshev and
    Legendre polynomials are bounded by one: give the domain of the data.

    Args:    degree: at least 0.   basis: "monomial", "chebyshev" or "legendre".
             seed: initialises the coefficients; None is the Task's seed.
             domain: (lo, hi), or None.   start: "lecun_normal" or "zeros".
    Raises:  ConfigError: a field outside its range.
    Source:  NIST Digital Library of Mathematical Functions, 18.9.
    >>> [round(float(v), 3) for v in Polynomial(3, "chebyshev").terms(jnp.array(0.5))]
    [1.0, 0.5, -0.5, -1.0]
    """

    degree: int
    basis: str = "monomial"
    seed: Any = None
    domain: tuple[Any, Any] | None = None
    start: str = "lecun_normal"

    def __post_init__(self) -> None:
        whole("degree", self.degree, least=0, of="Polynomial")
        check_start("Polynomial", self.start)
        check_choice("basis", self.basis, BASES)
        if self.domain is not None:
            lo, hi = self.domain
            traced = any(isinstance(end, Tracer) for end in (lo, hi))
            if not traced and not float(lo) < float(hi):
                raise ConfigError(f"Polynomial(domain={self.domain!r}); give (lo, hi) with lo < hi")

    @property
    def n_params(self) -> int:
        """Number of coefficients."""
        return self.degree + 1

    def init(self, key: PRNGKeyArray) -> dict[str, Float[Array, "*shape"]]:
        """Draw parameters ``{"coefficients": (degree + 1,)}``."""
        return {"coefficients": started(self.start, key, (self.degree + 1, 1))[:, 0]}

    def apply(
        self, params: dict[str, Float[Array, "*shape"]], x: Shaped[ArrayLike, "*shape"]
    ) -> Float[Array, "*shape"]:
        """Predict at one ``x`` of shape () or (1,): shape ()."""
        coefficients = params["coefficients"]
        x = one_observation("Polynomial", 1, x, coefficients)[0]
        return self.terms(x) @ coefficients

    def terms(self, x: Float[Array, ""]) -> Float[Array, " terms"]:
        """Evaluate the basis at a scalar ``x``, shape (degree + 1,)."""
        t = x
        if self.domain is not None:
            lo, hi = self.domain
            t = (2 * x - (lo + hi)) / (hi - lo)
        found = [jnp.ones_like(t), t]
        for n in range(1, self.degree):
            if self.basis == "monomial":
                found.append(t * found[n])
            elif self.basis == "chebyshev":
                found.append(2 * t * found[n] - found[n - 1])
            else:
                found.append(((2 * n + 1) * t * found[n] - n * found[n - 1]) / (n + 1))
        return jnp.stack(found[: self.degree + 1])


@partial(jax.jit, static_argnums=(0, 2))
def started(start: str, key: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Return the initial kernel. JAX keeps its trace."""
    return jnp.zeros(shape) if start == "zeros" else lecun_normal(key, shape)


def check_start(model: str, start: Any) -> None:
    """Raise ConfigError for an unknown start."""
    if start not in STARTS:
        raise ConfigError(f"{model}(start={start!r}); give one of {', '.join(STARTS)}")
