"""Telling trackers: they are functions of events, and change nothing in training."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

from thetahat.core import Event, Notice, Started, ThetahatError, Tracker

FAULTS = (ThetahatError, OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)
"""What a broken tracker raises. Before anything ran it stops the fit; later it is said once."""


@dataclass
class Audience:
    """The trackers of a fit; one that failed is not asked again."""

    trackers: Sequence[Tracker]
    lost: list[str] = field(default_factory=list)
    """What each failed tracker said."""

    def tell(self, event: Event) -> None:
        """Send an event to every tracker that still works.

        Raises:  whatever a tracker raises at Started: nothing has run yet, so nothing is lost.
        """
        for tracker in list(self.trackers):
            try:
                tracker(event)
            except FAULTS as error:
                if isinstance(event, Started):
                    raise
                self.trackers = [t for t in self.trackers if t is not tracker]
                self.lost.append(str(error))
                name = getattr(tracker, "__name__", type(tracker).__name__)
                warnings.warn(
                    f"the tracker {name} failed and is left out from here on: {error}."
                    " The fit goes on; what was tracked before stands",
                    Notice,
                    stacklevel=2,
                )
