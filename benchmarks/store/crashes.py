"""Is each point of a sweep finished exactly once while agents and the server crash?

The long form of ``tests/store/test_store_crashes.py``: agents claim and finish points, are killed
(kill -9) at random moments and replaced, and PostgreSQL is restarted, fast and immediately, with
fsync on. PostgreSQL: 16 agents, 2,000 points, 60 kills, 5 restarts; SQLite: 8 agents, 2,000 points,
60 kills. It fails if a point is lost, finished twice, or beyond the cap, or if an agent ends with
an error.

    python -m benchmarks.store.crashes [sqlite] [postgres] [--points 2000] [--write]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "store"))

from crashing_agents import Outcome, crash
from postgres_server import PostgresServer, binaries, lacking

from benchmarks import machine

KILLS = 60
RESTARTS = ("fast", "immediate", "fast", "immediate", "fast")
Row = dict[str, str | int | float]


def told(database: str, agents: int, restarts: int, points: int, found: Outcome) -> Row:
    """Check an outcome, and print it."""
    assert found.finished == Counter(range(points)), "each point is finished once"
    assert found.statuses == {"finished": points}
    print(
        f"{database}, {agents} agents, {KILLS} kills, {restarts} restarts: {points:,} points"
        f" finished once each in {found.seconds:.0f} s; {found.attempts} attempts were repeated",
        flush=True,
    )
    return {
        "database": database,
        "agents": agents,
        "points": points,
        "kills": KILLS,
        "restarts": restarts,
        "finished_once": points,
        "lost": 0,
        "beyond_the_cap": 0,
        "repeated_attempts": found.attempts,
        "seconds": round(found.seconds, 1),
    }


def of_sqlite(folder: Path, points: int) -> Row:
    """Eight agents on one file."""
    found = crash(str(folder / "sqlite"), agents=8, points=points, kills=KILLS, limit_s=1800)
    return told("SQLite", 8, 0, points, found)


def of_postgres(folder: Path, points: int) -> Row:
    """Sixteen agents on a server that is restarted."""
    why = lacking()
    if why is not None:
        sys.exit(why)
    server = PostgresServer({"fsync": "on"})
    try:
        url = f"{server.create('store')}?folder={folder / 'postgres'}"
        restarts = [partial(server.restart, how) for how in RESTARTS]
        found = crash(url, agents=16, points=points, kills=KILLS, restarts=restarts, limit_s=1800)
    finally:
        server.close()
    return told(version(), 16, len(RESTARTS), points, found)


def version() -> str:
    """The server's name and version."""
    folder = binaries()
    assert folder is not None
    said = subprocess.run([folder / "postgres", "-V"], capture_output=True, text=True, check=True)
    return "PostgreSQL " + said.stdout.split()[2]


def shown(value: str | int | float) -> str:
    return value if isinstance(value, str) else f"{value:,}"


def write(rows: list[Row]) -> None:
    """Dated Markdown and JSON in ``benchmarks/results``."""
    about = machine.facts(("thetahat", "sqlalchemy", "psycopg"))
    keys = list(rows[0])
    lines = [
        f"# {__doc__.splitlines()[0]}",  # pyright: ignore[reportOptionalMemberAccess]
        "",
        *(line for line in machine.said(about) if not line.startswith("- pinned")),
        "",
        "Agents are killed by kill -9; restarts of the server are " + ", ".join(RESTARTS) + ".",
        "",
        f"| {' | '.join(key.replace('_', ' ') for key in keys)} |",
        "|---" * len(keys) + "|",
        *(f"| {' | '.join(shown(value) for value in row.values())} |" for row in rows),
    ]
    machine.write_results("crashes", about, "\n".join(lines), {"facts": about, "rows": rows})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store.crashes", description=__doc__)
    parser.add_argument("databases", nargs="*", choices=("sqlite", "postgres", []), default=[])
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="results/crashes-<date>.*")
    args = parser.parse_args()
    measures = {"sqlite": of_sqlite, "postgres": of_postgres}
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            measure(Path(folder), args.points)
            for name, measure in measures.items()
            if name in (args.databases or measures)
        ]
    if args.write:
        write(rows)


if __name__ == "__main__":
    main()
