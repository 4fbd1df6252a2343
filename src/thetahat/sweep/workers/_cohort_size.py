"""How many runs to ask for together: doubled as long as a run's epoch then costs less.

What more members of a program bring is measured and not computed: a GPU is hardly busy with 64
small nets, and a CPU's cache may be too small for 128. So one worker tries twice as many, when the
runs that are left would pay for it; what it measures decides for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thetahat.sweep.workers._messages import Timed

Key = Any
"""A static part: runs with the same share a program."""
Cut = tuple[int, int]
"""Runs that train together, and how many were to, at most."""

MARGIN = 0.1
"""Share of its seconds that a run's epoch must spare for twice as many runs to pay."""
LARGER = 1.5
"""Times the members that a cohort must have to tell what more of them bring."""
ROUNDS = 4
"""Of cohorts of a new width, what must be left for each worker: a slower one costs no more than
its share of that."""


def pays(few: Timed, many: Timed) -> bool:
    """Whether the larger of two cohorts spares enough of a run's epoch."""
    return many.size >= LARGER * few.size and many.each_s < (1 - MARGIN) * few.each_s


def settled(timed: Mapping[int, Timed], start: int) -> int:
    """The width to stay at: from the first on, doubled as long as that paid.

    >>> settled({64: Timed(64, "vmap", 0.064), 128: Timed(128, "vmap", 0.070)}, 64)
    128
    >>> settled({64: Timed(64, "vmap", 0.064), 128: Timed(128, "vmap", 0.127)}, 64)
    64
    """
    width = start
    while width in timed and 2 * width in timed and pays(timed[width], timed[2 * width]):
        width *= 2
    return width


def worth_trying(timed: Mapping[int, Timed], start: int, left: float) -> bool:
    """Whether runs that are left would pay for trying twice as many together.

    It costs compiling. It is expected to spare what the last doubling did, the first one what it
    must. Members that train one by one gain nothing from each other.

    Args:    left: runs for each worker.
    """
    width = settled(timed, start)
    if width not in timed or timed[width].mode != "vmap" or left < ROUNDS * 2 * width:
        return False
    now, spared = timed[width], MARGIN
    if width > start:
        spared = 1 - now.each_s / timed[width // 2].each_s
    price_s = max(one.compile_s for one in timed.values())
    return spared * now.each_s * now.epochs * left > price_s


def fair(width: int, start: int, left: float) -> int:
    """A width at which no worker takes what another could begin: halved towards a sweep's end."""
    while width > start and width > left:
        width //= 2
    return max(width, start)


def better(old: Timed | None, new: Timed) -> Timed:
    """Of two measurements at one width the one to believe: of more members, else the faster.

    Whatever else a machine does makes an epoch slower, and never faster.
    """
    if old is None or new.size > old.size:
        return new
    if new.size < old.size:
        return old
    fast = min(old, new, key=lambda one: one.each_s)
    price_s = max(old.compile_s, new.compile_s)
    epochs = max(old.epochs, new.epochs)
    return Timed(fast.size, fast.mode, fast.epoch_s, epochs, price_s)


def cut(n: int, width: int, parts: int) -> list[int]:
    """Runs of one program as cohorts: for each of so many workers one, if they are no wider."""
    share = max(1, min(width, -(-n // parts)))
    return [min(share, n - at) for at in range(0, n, share)]


def _endless() -> float:
    return float("inf")


@dataclass
class Widths:
    """What is known of the widths of one sweep's programs, each for itself.

    Args:
        start: runs that a worker is given together at first.
        most: and at most; by default no more.
        left: runs left for each worker, after this agent has taken so many.
    """

    start: int
    most: int = 0
    left: Callable[[int], float] = field(default=lambda taken: _endless())
    timed: dict[Key, dict[int, Timed]] = field(default_factory=dict)
    """By static part, and by the width at which a cohort was cut."""
    fits: dict[Key, int] = field(default_factory=dict)
    """How many with a static part fit into a worker's memory, where not all do."""
    _tried: set[tuple[Key, int]] = field(default_factory=set)
    _due: dict[Key, int] = field(default_factory=dict)
    """What was asked for to be tried."""
    _now: Sequence[Key] = ()
    """The static parts of the runs that came last: the next will be like them."""
    _taken: int = 0

    def of(self, key: Key) -> int:
        """Runs with this static part that train together, at most."""
        width = self._settled(key)
        return min(width, self.fits.get(key, width))

    def ask(self) -> int:
        """Runs that a worker is given together now."""
        width = max((self.of(key) for key in self._now), default=self.start)
        return max(width, self.start)

    def room(self, loads: Sequence[int]) -> int:
        """Runs to ask for: for workers half of whose places are free, by what all of them train."""
        width, self._due = self.ask(), {}
        open_ = [key for key in self._now if self._untried(key)]
        if (width > self.start or open_) and min(loads, default=width) <= width // 2:
            left = self.left(self._taken)
            width = fair(width, self.start, left)
            share = left / len(self._now)
            self._due = {
                key: 2 * self._settled(key)
                for key in open_
                if worth_trying(self.timed[key], self.start, share)
            }
        free = [load for load in loads if load <= width // 2]
        more = 0
        if free and self._due:
            # Whole, whatever the worker that takes it trains besides: a smaller one tells little.
            more = max(self._due.values()) - width + min(free)
        return sum(width - load for load in free) + max(0, more)

    def cut(self, groups: Mapping[Key, Sequence[Any]], free: int) -> dict[Key, list[Cut]]:
        """The runs of each static part as cohorts: how many, and the width that they stand for.

        Args:    free: workers that are to have some.
        """
        # A program for each worker, until there are fewer programs than workers.
        parts = max(1, free // max(1, len(groups)))
        self._now = tuple(groups)
        self._taken += sum(map(len, groups.values()))
        cuts = {}
        for key, group in groups.items():
            width, first = self._settled(key), self._trial(key, len(group), parts)
            rest = max(1, parts - 1 if first else parts)
            sizes = cut(len(group) - first, self.of(key), rest)
            cuts[key] = ([(first, 2 * width)] if first else []) + [(size, width) for size in sizes]
        self._due = {}
        return cuts

    def learn(self, key: Key, width: int, new: Timed) -> str:
        """Take in what a cohort's epochs took; what is to be said of it, or nothing."""
        if width < 1 or new.size < 2:
            return ""
        of = self.timed.setdefault(key, {})
        first, before = width not in of, settled(of, self.start)
        of[width] = better(of.get(width), new)
        now = settled(of, self.start)
        if now == before and (not first or width == self.start or now not in of):
            return ""
        other = before if now != before else width
        return (
            f"asks for {now} runs{self._which(key)} together: {_written(of[now].each_s)} a run and"
            f" epoch, {_written(of[other].each_s)} at {other}"
        )

    # -- parts ------------------------------------------------------------------------------------

    def _settled(self, key: Key) -> int:
        return settled(self.timed.get(key, {}), self.start)

    def _untried(self, key: Key) -> bool:
        width = 2 * self._settled(key)
        fits = width <= min(self.most, self.fits.get(key, width))
        return fits and key in self.timed and (key, width) not in self._tried

    def _trial(self, key: Key, n: int, parts: int) -> int:
        """Runs of a group for a wider cohort; 0 where too few came, or others would be idle."""
        wide = self._due.get(key, 0)
        size = min(wide, n - (parts - 1) * wide // 4)
        if not wide or size < LARGER * self.timed[key][wide // 2].size:
            return 0
        self._tried.add((key, wide))
        return size

    def _which(self, key: Key) -> str:
        """What sets a program apart from the others of its sweep."""
        known = [set(other) for other in self.timed]
        common = set.intersection(*known)
        own = [f"{name}={value}" for name, value in key if (name, value) not in common]
        return f" of {', '.join(own)}" if own else ""


def _written(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
