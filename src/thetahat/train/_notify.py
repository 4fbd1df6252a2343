"""Telling trackers: they are functions of events, and change nothing in training."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

from thetahat.core import Ended, Event, Notice, Started, StoreError, ThetahatError, Tracker

FAULTS = (ThetahatError, OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)
"""What a broken tracker raises. Before anything ran it stops the fit; later it is said once."""

PASSING = (StoreError, OSError)
"""What may pass, such as a full disk: the tracker keeps what it could not write, and is told on."""


@dataclass
class Audience:
    """The trackers of a fit; one that is broken is not asked again."""

    trackers: Sequence[Tracker]
    lost: list[str] = field(default_factory=list)
    """What each failed tracker said."""
    _missed: list[tuple[Tracker, Ended]] = field(default_factory=list)
    """Ends that could not be taken in: told again with the next event."""

    def tell(self, event: Event) -> None:
        """Send an event to every tracker that still works.

        Raises:  whatever a tracker raises at Started: nothing has run yet, so nothing is lost.
        """
        missed, self._missed = self._missed, []
        for tracker, end in missed:
            self._tell(tracker, end)
        for tracker in list(self.trackers):
            self._tell(tracker, event)

    def _tell(self, tracker: Tracker, event: Event) -> None:
        try:
            tracker(event)
        except FAULTS as error:
            if isinstance(event, Started):
                raise
            passing = isinstance(error, PASSING)
            if not passing:
                self.trackers = [t for t in self.trackers if t is not tracker]
            elif isinstance(event, Ended):
                self._missed.append((tracker, event))
            if str(error) in self.lost:
                return
            self.lost.append(str(error))
            if passing:
                said = f"{error}. The fit goes on, and what could not be kept is tried again"
            else:
                name = getattr(tracker, "__name__", type(tracker).__name__)
                said = (
                    f"the tracker {name} failed and is left out from here on: {error}."
                    " The fit goes on; what was tracked before stands"
                )
            warnings.warn(said, Notice, stacklevel=3)
