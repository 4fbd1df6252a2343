"""Choose how many runs train together: double a cohort as long as a run's epoch then costs less.

The gain of more members is measured and not computed: a GPU is hardly busy with 64 small nets, and
a CPU's cache may be too small for 128. So one worker tries twice as many, if the runs that are left
would pay for it; its measurement decides for all workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from thetahat.sweep.workers._messages import Timed

Key = Any
"""A static part: runs with the same one share a program."""
Cut = tuple[int, int]
"""Runs of a cohort, and the cohort size that they were cut for."""

MARGIN = 0.1
"""A doubling pays if a run's epoch takes less than this share of its seconds off."""
LARGER = 1.5
"""Times the members that a cohort must have to show what more of them bring."""
ROUNDS = 4
"""Cohorts of a new size that must be left for each worker: a slower size costs at most its share
of these."""


def pays(few: Timed, many: Timed) -> bool:
    """Whether the larger of two cohorts saves enough of a run's epoch."""
    return many.size >= LARGER * few.size and many.each_s < (1 - MARGIN) * few.each_s


def settled(timed: Mapping[int, Timed], start: int) -> int:
    """Return the size to stay at: the first one, doubled as long as that paid.

    >>> settled({64: Timed(64, "vmap", 0.064), 128: Timed(128, "vmap", 0.070)}, 64)
    128
    >>> settled({64: Timed(64, "vmap", 0.064), 128: Timed(128, "vmap", 0.127)}, 64)
    64
    """
    size = start
    while size in timed and 2 * size in timed and pays(timed[size], timed[2 * size]):
        size *= 2
    return size


def worth_trying(timed: Mapping[int, Timed], start: int, left: float) -> bool:
    """Whether the runs that are left would pay for compiling a cohort of twice the size.

    The expected saving is that of the last doubling, and MARGIN for the first one. Members that
    train one by one save nothing together.

    Args:    left: runs for each worker.
    """
    size = settled(timed, start)
    if size not in timed or timed[size].mode != "vmap" or left < ROUNDS * 2 * size:
        return False
    now, saved = timed[size], MARGIN
    if size > start:
        saved = 1 - now.each_s / timed[size // 2].each_s
    return saved * now.each_s * now.epochs * left > max(one.compile_s for one in timed.values())


def fair(size: int, start: int, left: float) -> int:
    """Halve a size towards a sweep's end, so that no worker takes runs that another could begin."""
    while size > start and size > left:
        size //= 2
    return max(size, start)


def better(old: Timed | None, new: Timed) -> Timed:
    """Choose of two measurements at one size the one of more members, else the faster.

    Other work on the machine makes an epoch slower, and never faster.
    """
    if old is None or new.size > old.size:
        return new
    if new.size < old.size:
        return old
    fast = min(old, new, key=lambda one: one.each_s)
    compile_s = max(old.compile_s, new.compile_s)
    return replace(fast, epochs=max(old.epochs, new.epochs), compile_s=compile_s)


def cut(n: int, size: int, parts: int) -> list[int]:
    """Cut runs of one program into cohorts: one for each of the workers, if that is not larger."""
    share = max(1, min(size, -(-n // parts)))
    return [min(share, n - at) for at in range(0, n, share)]


@dataclass
class CohortSizes:
    """The cohort sizes of one sweep's programs, each measured for itself.

    Args:
        start: runs that a worker is given together at first.
        most: and at most; by default no more.
        left: runs left for each worker, after this agent has taken so many.
    """

    start: int
    most: int = 0
    left: Callable[[int], float] = field(default=lambda taken: float("inf"))
    fixed: bool = False
    """Whether the user has said how many train together, on whatever devices."""
    timed: dict[Key, dict[int, Timed]] = field(default_factory=dict)
    """By static part, and by the size that a cohort was cut for."""
    fits: dict[Key, int] = field(default_factory=dict)
    """Members that fit into a worker's memory, by static part, if not all do."""
    _tried: set[tuple[Key, int]] = field(default_factory=set)
    _due: dict[Key, int] = field(default_factory=dict)
    """Sizes to try with the runs that were asked for."""
    _now: Sequence[Key] = ()
    """Static parts of the latest runs: the next ones will be like them."""
    taken: int = 0
    """Runs that were handed out."""

    def of(self, key: Key) -> int:
        """Runs with this static part that train together, at most."""
        size = self._settled(key)
        return min(size, self.fits.get(key, size))

    def ask(self) -> int:
        """Runs that a worker is given together now."""
        return max([self.start, *map(self.of, self._now)])

    def room(self, loads: Sequence[int]) -> int:
        """Return how many runs to ask for, by the load of every worker.

        A worker gets new runs when half of its places are free.
        """
        size, self._due = self.ask(), {}
        untried = [key for key in self._now if self._is_untried(key)]
        if (size > self.start or untried) and min(loads, default=size) <= size // 2:
            left = self.left(self.taken)
            size = fair(size, self.start, left)
            share = left / len(self._now)
            self._due = {
                key: 2 * self._settled(key)
                for key in untried
                if worth_trying(self.timed[key], self.start, share)
            }
        free = [load for load in loads if load <= size // 2]
        more = 0
        if free and self._due:
            # A whole cohort, whatever its worker trains besides: a smaller one shows little.
            more = max(self._due.values()) - size + min(free)
        return sum(size - load for load in free) + max(0, more)

    def cut(self, groups: Mapping[Key, Sequence[Any]], free: int) -> dict[Key, list[Cut]]:
        """Cut the runs of each static part into cohorts.

        Args:    free: workers that should get some.
        """
        # A program for each worker, until there are fewer programs than workers.
        parts = max(1, free // max(1, len(groups)))
        self._now = tuple(groups)
        self.taken += sum(map(len, groups.values()))
        cuts = {}
        for key, group in groups.items():
            size, first = self._settled(key), self._trial(key, len(group), parts)
            rest = max(1, parts - 1 if first else parts)
            sizes = cut(len(group) - first, self.of(key), rest)
            cuts[key] = ([(first, 2 * size)] if first else []) + [(n, size) for n in sizes]
        self._due = {}
        return cuts

    def learn(self, key: Key, size: int, new: Timed) -> str:
        """Take in the speed of a cohort that was cut for a size; return a line for users, or ""."""
        if size < 1 or new.size < 2:
            return ""
        of = self.timed.setdefault(key, {})
        first, before = size not in of, settled(of, self.start)
        of[size] = better(of.get(size), new)
        now = settled(of, self.start)
        if now == before and (not first or size == self.start or now not in of):
            return ""
        other = before if now != before else size
        return (
            f"asks for {now} runs{self._which(key)} together: {in_seconds(of[now].each_s)} a run"
            f" and epoch, {in_seconds(of[other].each_s)} at {other}"
        )

    def steady(self) -> tuple[Timed, float] | None:
        """The speed of the one program of the latest runs, and the runs that are left.

        None while there are several programs, or another size of it is being tried or should be.
        """
        if len(self._now) != 1:
            return None
        (key,) = self._now
        timed = self.timed.get(key, {})
        now, left = timed.get(self._settled(key)), self.left(self.taken)
        if now is None or self._due or (key, 2 * self._settled(key)) in self._measuring:
            return None
        if self._is_untried(key) and worth_trying(timed, self.start, left):
            return None
        return now, left

    def on(self, devices: int, workers: int) -> CohortSizes:
        """The sizes of one worker's cohorts over so many devices, each with as many as are best.

        Args:    workers: for how many ``left`` counts the runs.
        """
        if self.fixed:
            return self
        size = max([self.start, *map(self.of, self._now)])
        return CohortSizes(
            devices * size,
            devices * self.most,
            lambda taken: workers * self.left(self.taken + taken),
        )

    def take(self, other: CohortSizes) -> None:
        """Count the runs that were taken in other sizes."""
        self.taken += other.taken

    @property
    def _measuring(self) -> set[tuple[Key, int]]:
        """Sizes whose first cohort has not told its speed yet."""
        return {(key, size) for key, size in self._tried if size not in self.timed.get(key, {})}

    def _settled(self, key: Key) -> int:
        return settled(self.timed.get(key, {}), self.start)

    def _is_untried(self, key: Key) -> bool:
        size = 2 * self._settled(key)
        fits = size <= min(self.most, self.fits.get(key, size))
        return fits and key in self.timed and (key, size) not in self._tried

    def _trial(self, key: Key, n: int, parts: int) -> int:
        """Runs of a group for a larger cohort; 0 if too few came, or other workers would idle."""
        large = self._due.get(key, 0)
        size = min(large, n - (parts - 1) * large // 4)
        if not large or size < LARGER * self.timed[key][large // 2].size:
            return 0
        self._tried.add((key, large))
        return size

    def _which(self, key: Key) -> str:
        """The parameters that distinguish a program from the others of its sweep."""
        common = set.intersection(*(set(other) for other in self.timed))
        own = [f"{name}={value}" for name, value in key if (name, value) not in common]
        return f" of {', '.join(own)}" if own else ""


def in_seconds(seconds: float) -> str:
    """A duration in words: ``1.3 ms``."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
