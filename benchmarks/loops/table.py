"""The answer as a table for the terminal, dated Markdown, and JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from benchmarks.loops.contestants import OURS, OURS_MANY
from benchmarks.loops.problems import PROBLEMS
from benchmarks.loops.rounds import Contestant
from benchmarks.machine import said

HEADER = ("loop", "CPU us/step", "lowest - highest", "wall us/step", "of ours", "first call, s")


def entry(contestant: Contestant, ours: float) -> dict[str, Any]:
    """One contestant on one problem, for the JSON."""
    wall = sorted(contestant.wall_us)
    return {
        "cpu_us_step": contestant.median,
        "cpu_us_step_rounds": contestant.cpu_us,
        "wall_us_step": wall[len(wall) // 2],
        "ratio_to_ours": contestant.median / ours,
        "first_call_s": contestant.first_call_s,
        "epochs_a_round": contestant.epochs,
        "val_risk_first_last": list(contestant.val_risk),
    }


def entries(contestants: Mapping[str, Contestant]) -> dict[str, dict[str, Any]]:
    """All contestants of a problem, fastest first."""
    ours = contestants[OURS if OURS in contestants else OURS_MANY].median
    ranked = sorted(contestants.items(), key=lambda item: item[1].median)
    return {name: {"title": c.name, **entry(c, ours)} for name, c in ranked}


def lines(name: str, found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A problem's table in Markdown."""
    rows = [HEADER, tuple("---" for _ in HEADER)]
    for e in found.values():
        rounds = e["cpu_us_step_rounds"]
        rows.append(
            (
                e["title"],
                f"{e['cpu_us_step']:.4g}",
                f"{min(rounds):.4g} - {max(rounds):.4g}",
                f"{e['wall_us_step']:.4g}",
                f"{e['ratio_to_ours']:.3g}",
                f"{e['first_call_s']:.2g}",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    body = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return [f"## {name}: {PROBLEMS[name].said}", "", *body, ""]


def bar_lines(bars: list[dict[str, Any]]) -> list[str]:
    """The bars, met or not."""
    rows = [
        f"| {b['problem']} | {b['ratio']} | {b['bar']} | {b['measured']:.3g}"
        f" | {'met' if b['met'] else '**NOT met**'} |"
        for b in bars
    ]
    return [
        "## Bars",
        "",
        "| problem | ratio | bar | measured | |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


def markdown(answer: Mapping[str, Any]) -> str:
    """The whole page."""
    page = ["# What does a training step cost?", ""]
    page += ["Every epoch's train and validation risk on the host, a new order in every epoch. CPU"]
    page += [f"time of all threads, warm, the median of {answer['rounds']} interleaved rounds."]
    page += ["`of ours` above 1 is slower than thetahat, below 1 is faster.", ""]
    page += [*said(answer["facts"]), ""]
    for name, found in answer["problems"].items():
        page += lines(name, found)
    page += bar_lines(answer["bars"])
    if answer["skipped"]:
        page += [f"Not installed, so left out: {', '.join(answer['skipped'])}.", ""]
    return "\n".join(page)


def check(answer: Mapping[str, Any]) -> None:
    """The JSON has the shape that readers rely on.

    Raises:  ValueError: it has not.
    """
    again = json.loads(json.dumps(answer, allow_nan=False))
    for key in ("question", "facts", "rounds", "problems", "bars", "skipped"):
        if key not in again:
            raise ValueError(f"the answer has no {key!r}")
    for name, found in again["problems"].items():
        for contestant, e in found.items():
            if len(e["cpu_us_step_rounds"]) != again["rounds"] or not e["cpu_us_step"] > 0:
                raise ValueError(f"{name}, {contestant}: {e}")
