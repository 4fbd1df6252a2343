"""A program that says nothing for long: it may wait for a process that has died."""

from __future__ import annotations

from dataclasses import dataclass, field

QUIET_S = 600.0
"""Seconds without output and metrics after which that is said."""


@dataclass
class Silence:
    """How long a program has printed and logged nothing.

    Args:    heard_s: when it began, by a clock in seconds.
    """

    heard_s: float
    received: int = 0
    limit_s: float = field(default_factory=lambda: QUIET_S)

    def look(self, now_s: float, received: int, *, logged: bool) -> str:
        """Return for how long nothing was heard, in words, if that is to be said now; else "".

        It is said after ten minutes, and each time the silence has doubled.

        Args:    received: bytes of output so far.   logged: whether metrics came since then.

        >>> silence = Silence(heard_s=0.0)
        >>> [silence.look(t, 5, logged=False) for t in (1.0, 601.0, 700.0, 1201.0, 1300.0)]
        ['', '10 minutes', '', '20 minutes', '']
        """
        if logged or received != self.received:
            self.heard_s, self.received, self.limit_s = now_s, received, QUIET_S
            return ""
        if now_s - self.heard_s < self.limit_s:
            return ""
        quiet_s, self.limit_s = self.limit_s, 2 * self.limit_s
        return f"{quiet_s / 60:.0f} minutes" if quiet_s < 7200 else f"{quiet_s / 3600:.1f} hours"
