"""PyTorch modules: run on JAX arrays, operator by operator."""

from thetahat.models.torch._generators import numbers_from as numbers_from
from thetahat.models.torch._module import adapt_torch as adapt_torch, made as made

__all__ = ["adapt_torch", "made", "numbers_from"]
