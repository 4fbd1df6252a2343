"""PyTorch's random numbers from a seed, on every device, while the user's own stay as they were."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def numbers_from(seed: int) -> Iterator[None]:
    """Seed PyTorch's generators as ``torch.manual_seed`` does; the user's go on afterwards.

    A GPU that nothing has used yet stays unused. Its generators begin from the seed that the CPU's
    has, as they would have.
    """
    used, before = torch.cuda.is_initialized(), torch.initial_seed()
    host = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if used else []
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(host)
        if used:
            torch.cuda.set_rng_state_all(cuda)
        elif torch.backends.cuda.is_built():
            torch.cuda.manual_seed_all(before)
        if mps is not None:
            torch.mps.set_rng_state(mps)
