"""A fit that is only described: what can be known of it before anything is compiled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from thetahat.train._memory import check_possible
from thetahat.train._static import CONCRETE
from thetahat.train.backends.jax import Hyper, stage


def try_out(experiment: Callable[..., Any], config: Mapping[str, Any]) -> None:
    """Make an experiment's Task abstractly, and see that this machine can hold it.

    Nothing is compiled. Where Python has to know what is drawn, nothing is seen either.

    Raises:  InputError: there is no such Task, or no memory for it.
    """
    with contextlib.suppress(*CONCRETE):
        check_possible(stage(lambda _: experiment(**config), Hyper({}, {})))
