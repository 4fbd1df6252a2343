"""python -m benchmarks.sweeps: see the package."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import benchmarks.sweeps
from benchmarks import machine
from benchmarks.sweeps.processes import logged, ours, peers, trivial

PACKAGES = ("thetahat", "jax", "jaxlib", "flax", "optax", "optuna", "numpy", "sqlalchemy", "wandb")
GOALS = {"mlp": 25, "seeds": 150, "shapes": 40}
"""Wall seconds of one process for each run, over ours: what the project wants."""
OVER_PYTHON = 14
"""CPU seconds of a program with one ``th.log``, over those of bare Python."""
RATE = 1_000
SOME = 5
"""Processes that stand for those of all runs, where all would take too long."""
ROUNDS = 4
"""How often the MLP sweep is timed, with three of its processes beside each. Four times, it is also
timed against its processes two at a time."""
TOGETHER = 128
"""Runs claimed at a time: what two workers with cohorts of 64 take."""


def main() -> int:
    """Measure, print the page, write it if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sweeps",
        description=benchmarks.sweeps.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--smoke", action="store_true", help="few runs; the bars mean nothing")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of the MLP sweep")
    parser.add_argument("--some", type=int, default=SOME, help="processes that stand for all runs")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    asked.rounds, asked.some = (1, 1) if asked.smoke else (asked.rounds, asked.some)
    answer = measure(asked.rounds, asked.some, smoke=asked.smoke)
    page = markdown(answer)
    print(page)
    if asked.write:
        machine.write_results("sweeps", answer["facts"], page, answer)
    return 0


def measure(rounds: int, some: int, *, smoke: bool) -> dict[str, Any]:
    """Every contest, one after the other, peers next to ours."""
    machine.as_installed()
    found = _Found()
    n = 500 if smoke else 10_000
    for method in ("grid", "random"):
        found[f"trivial, {method}"] = trivial(n, TOGETHER, method)
    if not smoke:
        found["trivial, one at a time"] = trivial(n // 10, 1, "grid")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        few = ("--count=2",) if smoke else ()
        found["logged"] = logged(4 if smoke else 60, _new(folder / "logged"))
        for name in ("seeds", "shapes"):
            found[name] = ours(f"{name}_sweep.yaml", _new(folder / name), *few)
            given = found[name].pop("configs")[:some]
            found[f"{name}, processes"] = peers(given, folder / f"beside-{name}")
        found["mlp"], found["mlp, processes"] = in_turn(folder, few, rounds)
        configs = found["mlp"].pop("configs")
        if rounds == ROUNDS:
            found["mlp, two processes at a time"] = peers(configs, folder / "peers2", 2)
    return {
        "question": "How much faster is a sweep here than as processes of the lecture's program?",
        "facts": machine.facts(PACKAGES),
        "smoke": smoke,
        "rounds": rounds,
        "some": some,
        "found": found,
        "bars": bars(found),
    }


def in_turn(folder: Path, few: Sequence[str], rounds: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The MLP sweep several times, each with its share of one sweep's processes beside it.

    How fast the machine is changes within minutes: both have it as often fast as slow.
    """
    mine, theirs = [], []
    for k in range(rounds):
        words = (f"--seed={k}", *few)
        mine.append(ours("mlp_sweep.yaml", _new(folder / f"mlp{k}"), *words))
        share = mine[-1]["configs"][k::ROUNDS] if rounds > 1 else mine[-1]["configs"][:1]
        theirs.append(peers(share, folder / f"beside-mlp{k}"))
    return _mean(mine), _sum(theirs)


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One sweep of several: seconds are the mean, each wall time is kept."""
    times = {name: sum(row[name] for row in rows) / len(rows) for name in ("wall_s", "cpu_s")}
    return {**rows[0], **times, "each_wall_s": [row["wall_s"] for row in rows]}


def _sum(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The processes of several rounds as one after the other."""
    times = {name: sum(row[name] for row in rows) for name in ("wall_s", "cpu_s", "runs")}
    losses = [loss for row in rows for loss in row["last_test_loss"]]
    return {**rows[0], **times, "last_test_loss": losses}


class _Found(dict[str, Any]):
    """What was measured; each is said as soon as it is known, since all of it takes minutes."""

    def __setitem__(self, name: str, row: Any) -> None:
        super().__setitem__(name, row)
        if "wall_s" not in row:
            return
        rate = f", {row['runs_per_s']:,.0f} runs/s" if "runs_per_s" in row else ""
        print(f"{name}: {row['runs']} runs in {row['wall_s']:.1f} s{rate}", file=sys.stderr)


def bars(found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the project set itself; never asserted. Peers are scaled to as many runs as ours."""
    verdicts = []
    for name, bar in GOALS.items():
        mine, peer = found[name], found[f"{name}, processes"]
        ratio = _each(peer) / _each(mine)
        verdicts.append(_bar(f"{name}: processes over ours", f"{bar} times", ratio, ratio >= bar))
    for method in ("grid", "random"):
        rate = found[f"trivial, {method}"]["runs_per_s"]
        what = f"10,000 trivial runs ({method})"
        verdicts.append(_bar(what, f"{RATE:,} runs/s", rate, rate >= RATE))
    cpu = found["logged"]["cpu_s_of_a_run"]
    for way, what in (("sweep", "in a sweep of 60"), ("alone", "without an agent")):
        what = f"CPU of a program with one th.log over bare Python, {what}"
        ratio = cpu[way] / cpu["bare"]
        verdicts.append(_bar(what, f"at most {OVER_PYTHON}", ratio, ratio <= OVER_PYTHON))
    memory = found["trivial, grid"]["resident_mb"]
    grown = memory[-1] / memory[1]
    verdicts.append(_bar("memory, last fifth over first", "flat", grown, grown < 1.1))
    return verdicts


def markdown(answer: Mapping[str, Any]) -> str:
    """The whole page."""
    found = answer["found"]
    page = ["# How much faster is a sweep here than as processes?", ""]
    # Nothing is pinned here: the agent and the peers have the machine as a reader has it.
    page += [line for line in machine.said(answer["facts"]) if not line.startswith("- pinned")]
    page.append("")
    if answer["smoke"]:
        page += ["**A smoke run: few runs, and bars that mean nothing.**", ""]
    page += [*(line.format(**answer) for line in WHAT), ""]
    page += ["| what | runs | wall s | CPU s | wall s a run | load before its end |"]
    page += ["|---|---|---|---|---|---|"]
    for name, row in found.items():
        if "load" in row:
            cells = [f"{row['runs']}", f"{row['wall_s']:.1f}", f"{row['cpu_s']:.1f}"]
            cells += [f"{_each(row):.2f}", f"{row['load']:.1f}"]
            page.append(f"| {name} | {' | '.join(cells)} |")
    each = ", ".join(f"{wall:.1f}" for wall in found["mlp"]["each_wall_s"])
    page += ["", f"The MLP sweep each time: {each} s."]
    page += ["", "| trivial runs | runs | at a time | runs/s | a CPU second | MB, along the way |"]
    page += ["|---|---|---|---|---|---|"]
    for name, row in found.items():
        if "runs_per_s" in row:
            memory = ", ".join(f"{mb:.0f}" for mb in row["resident_mb"])
            rates = f"{row['runs_per_s']:,.0f} | {row['runs'] / row['cpu_s']:,.0f}"
            page.append(f"| {name} | {row['runs']:,} | {row['together']} | {rates} | {memory} |")
    page += ["", "| bar | | measured | |", "|---|---|---|---|"]
    for b in answer["bars"]:
        met = "met" if b["met"] else "**NOT met**"
        page.append(f"| {b['what']} | {b['bar']} | {b['measured']:,.1f} | {met} |")
    page += ["", *(line.format(**answer) for line in NOTES)]
    return "\n".join(page) + "\n"


WHAT = (
    "From the command to its end, with an empty store and an empty cache of compiled programs. The",
    "MLP sweep is the mean of {rounds}, begun with --seed=0 and so on; beside each a part of the",
    "processes. All else is measured once. Wall seconds suffer from other load, CPU seconds less.",
)
NOTES = (
    "The peers of the seeds and of the nine shapes are {some} processes, and their wall seconds a"
    " run stand for all.",
    "A peer's time is that of its runs alone: it has no search, no agent and no server in it. It"
    " trains on 500",
    "observations, ours on 350 with 150 kept back for choosing and for the end; both take one step"
    " an epoch.",
    "One at a time, the peer may use both cores; two at a time, each has one thread.",
)


def _each(row: Mapping[str, Any]) -> float:
    """Wall seconds a run."""
    return row["wall_s"] / row["runs"]


def _bar(what: str, bar: str, measured: float, met: bool) -> dict[str, Any]:
    return {"what": what, "bar": bar, "measured": measured, "met": bool(met)}


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    sys.exit(main())
