"""Notes on the origin of numbers: data, splits, looks at the test part, versions, machine."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thetahat.format._numbers import word

if TYPE_CHECKING:
    from thetahat.store import Origin

_PARTS = ("train", "val", "test")
_PART_WORDS = {"train": "training", "val": "validation", "test": "test"}
_SHOWN = 3


@dataclass
class Origins:
    """Counts over the provenances of many runs."""

    n: int = 0
    looks: int = 0
    looked: int = 0
    recorded: int = 0
    """Runs that recorded how often they looked at the test part."""
    versions: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    machine: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    commits: Counter[str] = field(default_factory=Counter)
    dirty: int = 0
    data: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    files: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Hashes of data files when runs read them, by name."""
    code: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Hashes of the program's files, by name."""

    def add(self, origin: Origin) -> None:
        """Count the runs of one origin."""
        known, detail = _section(origin.provenance), _section(origin.detail)
        if not known and not detail:
            return
        n = origin.runs
        self.n += n
        looks = detail.get("test_looks")
        if isinstance(looks, int):
            self.recorded += n
            self.looks += n * looks
            self.looked += n * (looks > 0)
        for name, version in {
            **({"python": known["python"]} if known.get("python") else {}),
            **_section(known.get("versions")),
        }.items():
            self.versions[str(name)][str(version)] += n
        for name in ("platform", "device", "dtype", "prng_impl"):
            if known.get(name):
                self.machine[name][str(known[name])] += n
        git = _section(known.get("git"))
        if git.get("commit"):
            self.commits[str(git["commit"])[:12]] += n
            self.dirty += n * bool(git.get("dirty"))
        for name, digest in _section(known.get("data_files")).items():
            self.files[str(name)][str(digest)] += n
        for name, digest in _section(known.get("code")).items():
            self.code[str(name)][str(digest)] += n
        for part in _PARTS:
            if known.get(f"data_{part}"):
                self.data[part][str(known[f"data_{part}"])] += n

    def changed_files(self) -> list[str]:
        """Name the data files that held different data for different runs."""
        return sorted(name for name, seen in self.files.items() if len(seen) > 1)

    def changed_code(self) -> dict[str, Counter[str]]:
        """Count the runs of each version of the program's files that changed, by name."""
        return {name: seen for name, seen in sorted(self.code.items()) if len(seen) > 1}

    def notes(self, *, looks: bool = True) -> list[tuple[str, str]]:
        """Return labels and sentences about what the store knows."""
        lines: list[tuple[str, str]] = []
        if self.data:
            lines.append(("Splits", self._splits()))
        if looks and self.n:
            lines.append(("Looks at the test part", self._looks()))
        if self.versions:
            lines.append(("Versions", ", ".join(_one(k, v) for k, v in self.versions.items())))
        if self.machine:
            lines.append(("Computed", "; ".join(_one(k, v) for k, v in self.machine.items())))
        if self.commits:
            commits = _some(self.commits)
            changed = f"; {self.dirty} of {self.n} with changes in no commit" if self.dirty else ""
            lines.append(("Code", f"git commit {commits}{changed}"))
        return lines

    def _splits(self) -> str:
        parts = [_PART_WORDS[p] for p in _PARTS if p in self.data]
        words = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
        kinds = len(self.data.get("train", ()))
        noun = "parts" if len(parts) > 1 else "part"
        if self.n == 1:
            return f"{words} {noun}"
        if kinds <= 1:
            return f"{words} {noun}; the same data in every run"
        return f"{words} {noun}; {kinds} different data sets (data or splits differ between runs)"

    def _looks(self) -> str:
        if not self.looks:
            some = f" by {self.n - self.recorded} of {self.n} runs" if self.recorded else ""
            return "none" if self.recorded == self.n else f"not recorded{some}"
        if self.n == 1:
            return f"{self.looks}, after training, at the best epoch"
        who = f"{self.looked} of {self.n} runs" if self.looked < self.n else f"{self.n} runs"
        many = "once in each of" if self.looks == self.looked else f"{self.looks} in all, by"
        return f"{many} {who}, after training, at the best epoch"


def count_origins(found: Iterable[Origin]) -> Origins:
    """Count the provenances of many runs."""
    counted = Origins()
    for origin in found:
        counted.add(origin)
    return counted


def _one(name: str, seen: Counter[str]) -> str:
    return f"{word(name)} {_some(seen)}"


def _some(seen: Counter[str]) -> str:
    if len(seen) == 1:
        return word(next(iter(seen)))
    shown = ", ".join(f"{word(value)} ({n} runs)" for value, n in seen.most_common(_SHOWN))
    return shown + (f", and {len(seen) - _SHOWN} others" if len(seen) > _SHOWN else "")


def _section(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
