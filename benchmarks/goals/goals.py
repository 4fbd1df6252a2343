"""The goals: what was asked, and where its number stands in the results."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Goal:
    """One line of the table: ``read`` finds the number in the results of a benchmark."""

    what: str
    benchmark: str
    limit: float
    read: Callable[[Answer], float]
    unit: str = ""
    at_most: bool = True
    also: Callable[[Answer], str] | None = None
    """What both sides lost or took: shown beside the number."""

    def met(self, measured: float) -> bool:
        """Tell whether the goal is reached."""
        return measured <= self.limit if self.at_most else measured >= self.limit


def _warm(problem: str) -> Goal:
    def both(answer: Answer) -> list[float]:
        return answer["warm_ms"][problem]["reused"]

    return Goal(
        f"warm fit of one epoch, until it trains, {problem}",
        "fits",
        {"P3": 12, "P4": 8}[problem],
        lambda answer: both(answer)[0],
        "ms",
        also=lambda answer: f"{both(answer)[1]:.1f} ms in all",
    )


def _cold(problem: str, way: str, limit: float) -> Goal:
    def took(answer: Answer, which: str) -> float:
        return answer["cold"][problem][which]

    return Goal(
        f"{way.removeprefix('thetahat, ')}, to its first result, over a script by hand, {problem}",
        "fits",
        limit,
        lambda answer: took(answer, way) / took(answer, "by hand"),
        also=lambda a: f"{took(a, way):.2f} against {took(a, 'by hand'):.2f} CPU s",
    )


def _sweep(name: str, what: str, limit: float) -> Goal:
    def each(answer: Answer, which: str) -> float:
        row = answer["found"][which]
        return row["wall_s"] / row["runs"]

    def also(answer: Answer) -> str:
        mine, peer = (answer["found"][which] for which in (name, f"{name}, processes"))
        ratio = peer["cpu_s"] / peer["runs"] / (mine["cpu_s"] / mine["runs"])
        return f"{mine['wall_s']:.1f} s; of CPU time {ratio:.0f}"

    return Goal(
        f"{what}, cold, against one process each",
        "sweeps",
        limit,
        lambda answer: each(answer, f"{name}, processes") / each(answer, name),
        "times",
        at_most=False,
        also=also,
    )


def _reading(what: str, name: str, limit: float) -> Goal:
    def middle(answer: Answer, place: int) -> float:
        return statistics.median(one[name][place] for one in answer["rounds"])

    return Goal(
        what,
        "reading",
        limit,
        lambda answer: middle(answer, 0),
        "s",
        also=lambda answer: f"{middle(answer, 1):.2f} CPU s",
    )


def _many(answer: Answer) -> tuple[float, float]:
    ways = (answer["many"][way] for way in ("thetahat", "a scan by hand"))
    mine, peer = (statistics.median(way["cpu_s"]) for way in ways)
    return mine, peer


def _many_losses(answer: Answer) -> str:
    ours, hand = (answer["many"][way]["val_risk"] for way in ("thetahat", "a scan by hand"))
    return f"median validation risk {ours:.3g} against {hand:.3g}"


def _long_losses(answer: Answer) -> str:
    ours, hand = (answer["long"][way]["val_risk"] for way in ("thetahat", "by hand"))
    return f"validation risk {ours:.3g} against {hand:.3g}"


def _own(answer: Answer) -> float:
    return answer["wide"]["own data and order"] / answer["wide"]["shared data and order"]


def _own_by_hand(answer: Answer) -> str:
    hand = answer["wide"]["the last, by hand"] / answer["wide"]["own data and order"]
    return f"vmap of a scan by hand takes {hand:.1f} times as long as ours"


def _logged(answer: Answer, way: str) -> float:
    took = answer["found"]["logged"]["cpu_s_of_a_run"]
    return took[way] / took["bare"]


GOALS = (
    _warm("P3"),
    _warm("P4"),
    Goal(
        "100 fits of P3 on other data each, 60 epochs, over the scan by hand",
        "fits",
        1.3,
        lambda answer: _many(answer)[0] / _many(answer)[1],
        also=_many_losses,
    ),
    _cold("P3", "thetahat, cold", 1.2),
    _cold("P4", "thetahat, cold", 1.3),
    _cold("P3", "thetahat, second process", 0.8),
    _cold("P4", "thetahat, second process", 0.8),
    Goal(
        "P1, 20,000 epochs: the whole fit as a scan by hand, over ours",
        "fits",
        0.98,
        lambda answer: answer["long"]["by hand"]["cpu_s"] / answer["long"]["thetahat"]["cpu_s"],
        at_most=False,
        also=_long_losses,
    ),
    Goal(
        "own data and order, over shared, P4",
        "fits",
        2,
        _own,
        also=_own_by_hand,
    ),
    Goal(
        "memory that a wide cohort of P3 adds",
        "fits",
        300,
        lambda answer: answer["memory"][1],
        "MB",
        also=lambda answer: f"{answer['memory'][0]:,} members",
    ),
    Goal(
        "60 fits of other (N, d): programs compiled",
        "fits",
        12,
        lambda answer: answer["sizes"]["programs"],
        also=lambda answer: f"{answer['sizes']['cpu_s']:.1f} CPU s",
    ),
    _sweep("mlp", "MLP sweep of 12", 25),
    _sweep("shapes", "60 random runs of 9 shapes, 100 epochs", 40),
    _sweep("seeds", "100 seeds at width 64", 150),
    Goal(
        "CPU of a program with one th.log over bare Python, in a sweep of 60",
        "sweeps",
        14,
        lambda answer: _logged(answer, "sweep"),
    ),
    Goal(
        "the same without an agent",
        "sweeps",
        14,
        lambda answer: _logged(answer, "alone"),
    ),
    _reading("runs --sort --limit 10 of 100,000", "runs --sort val_risk --limit 10", 0.6),
    _reading("report of 10,000", "report of a tenth of the runs", 2),
    _reading("page of 100,000 usable", "page usable", 2.5),
)
