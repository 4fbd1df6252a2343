"""Which silent errors of training programs does `thetahat grade` find, and at which line?

Programs of imaginary students, from the generator of the tests (tests/grade/students): six families
in JAX and PyTorch, each in many styles. For each of the 14 errors there are 20 programs with that
error alone, and there are 100 correct programs. A finding counts with its line if the line is one
of those that the error changed. All programs are graded in this process, one after the other.

    python -m benchmarks.grade [--rounds 20] [--write]

A round is one program of each error, and five correct ones.
"""

from __future__ import annotations

import argparse
import collections
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine

ROUNDS, CORRECT = 20, 5
PACKAGES = ("thetahat", "jax", "flax", "optax", "torch", "numpy")
STUDENTS = Path(__file__).parents[2] / "tests" / "grade"


def grade_round(number: int, folder: Path) -> list[dict[str, Any]]:
    """Grade the programs of a round: a row for each."""
    from students import correct, wrong

    from thetahat.core.errors import InputError
    from thetahat.grade import ERRORS
    from thetahat.grade._examine import examine

    programs = [wrong(error, number) for error in ERRORS]
    programs += [correct(CORRECT * number + k) for k in range(CORRECT)]
    rows = []
    for one in programs:
        file = folder / "student.py"
        file.write_text(one.text, encoding="utf-8")
        began = time.process_time()
        try:
            grade = examine(str(file))
            found = {str(f.error): f.line for f in grade.findings}
            notes = list(grade.notes)
        except InputError as refused:
            found, notes = {}, [str(refused)]
        rows.append(
            {
                "round": number,
                "family": one.family,
                "error": one.error,
                "lines": one.lines,
                "found": found,
                "notes": notes,
                "cpu_s": round(time.process_time() - began, 3),
            }
        )
    return rows


def markdown(rows: list[dict[str, Any]], facts: dict[str, Any]) -> str:
    """The dated page: what was found of each error, and false alarms."""
    from thetahat.grade import ERRORS

    page = ["# Which silent errors of training programs does `thetahat grade` find?", ""]
    page += [*machine.said(facts), ""]
    page += ["| error | | programs | found | with its line | with other errors too |"]
    page += ["|---|---|---|---|---|---|"]
    count = collections.Counter[str]()
    for error, about in ERRORS.items():
        mine = [row for row in rows if row["error"] == error]
        key = str(error)
        found = sum(key in row["found"] for row in mine)
        line = sum(row["found"].get(key) in row["lines"] for row in mine)
        more = sum(bool(set(row["found"]) - {key}) for row in mine)
        count.update(n=len(mine), found=found, line=line, more=more)
        page.append(f"| {error} | {about.what} | {len(mine)} | {found} | {line} | {more} |")
    total = f"{count['n']} | {count['found']} | {count['line']} | {count['more']}"
    right = [row for row in rows if not row["error"]]
    alarms = sum(bool(row["found"]) for row in right)
    noted = sum(bool(row["notes"]) for row in right)
    cpu = {
        library: sum(row["cpu_s"] for row in rows if ("torch" in row["family"]) == torch)
        for library, torch in (("PyTorch", True), ("JAX", False))
    }
    page += [
        f"| **all** | | {total} |",
        "",
        f"Correct programs: {len(right)}, of which {alarms} with a false alarm and {noted} with a"
        f" note. Rounds: {1 + max(row['round'] for row in rows)} of {ROUNDS}.",
        "",
        "CPU: "
        + ", ".join(f"{spent:.0f} s for the programs of {k}" for k, spent in cpu.items())
        + " (imports of the libraries included).",
    ]
    return "\n".join(page) + "\n"


def main() -> None:
    """Grade round by round; print the table, and write it after each if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.grade",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how many rounds")
    parser.add_argument("--write", action="store_true", help="benchmarks/results/grade-<date>.*")
    asked = parser.parse_args()
    machine.pin()
    sys.path.insert(0, str(STUDENTS))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.rounds):
            rows += grade_round(number, Path(folder))
            facts = machine.facts(PACKAGES)
            page = markdown(rows, facts)
            print(f"round {number + 1}", flush=True)
            if asked.write:
                machine.write_results("grade", facts, page, {"facts": facts, "programs": rows})
    print(page)


if __name__ == "__main__":
    main()
