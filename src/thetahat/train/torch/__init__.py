"""The PyTorch backend: modules as they are, by PyTorch's own operations and optimizers."""

from thetahat.train.torch._fitted import unpacked as unpacked
from thetahat.train.torch._lightning import from_lightning as from_lightning
from thetahat.train.torch._program import prepare as prepare

__all__ = ["from_lightning", "prepare", "unpacked"]
