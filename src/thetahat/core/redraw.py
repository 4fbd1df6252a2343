"""Training points that are drawn anew while a Task is fitted, from paths of its own hypothesis."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from thetahat.core.arguments import arguments_named
from thetahat.core.errors import ConfigError
from thetahat.core.numbers import whole


@arguments_named
@dataclass(frozen=True, eq=False)
class Redraw:
    """Draw the training points anew every few epochs: ``Task(redraw=th.Redraw(simulate, 50))``.

    The first ``every`` epochs train on the points of the Task. All draws are part of the one
    compiled program, and depend on the seed of the Task and the epoch alone, so that a fit that is
    resumed draws what it would have drawn.

    Args:    simulate: ``simulate(h, key) -> points``, a function of JAX: as many points as the
             training part has, in its structure. ``h`` is the hypothesis as it is now, ``key`` a
             JAX key, another one at each draw. If the data are blocks: name to points, of the
             blocks to draw anew.
             every: epochs between two draws, at least 1.
    Raises:  ConfigError: ``simulate`` does not take (h, key).
    """

    simulate: Callable[[Any, Any], Any]
    every: int = 50

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", whole("every", self.every, of="Redraw"))
        try:
            inspect.signature(self.simulate).bind(None, None)
        except TypeError as error:
            raise ConfigError(
                f"Redraw(simulate={self.simulate!r:.80}): {error}; give a function"
                " simulate(h, key) that returns the points"
            ) from None
