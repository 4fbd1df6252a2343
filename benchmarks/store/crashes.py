"""Is each point of a sweep finished exactly once while agents and the server crash?

The long form of ``tests/store/test_store_crashes.py``: agents claim and finish points, are killed
(kill -9) at random moments and replaced, and PostgreSQL is restarted, fast and immediately, with
fsync on. PostgreSQL: 16 agents, 2,000 points, 60 kills, 5 restarts; SQLite: 8 agents, 2,000 points,
60 kills. It fails if a point is lost, finished twice, or beyond the cap.

    python -m benchmarks.store.crashes [sqlite] [postgres] [--points 2000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "store"))

from crashing_agents import Outcome, crash
from postgres_server import PostgresServer, lacking


def told(name: str, points: int, found: Outcome) -> None:
    """Check an outcome, and print it."""
    assert found.finished == Counter(range(points)), "each point is finished once"
    assert found.statuses == {"finished": points}
    print(
        f"{name}: {points:,} points finished once each in {found.seconds:.0f} s;"
        f" {found.attempts} attempts were repeated"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store.crashes", description=__doc__)
    parser.add_argument("databases", nargs="*", choices=("sqlite", "postgres", []), default=[])
    parser.add_argument("--points", type=int, default=2000)
    args = parser.parse_args()
    databases = args.databases or ["sqlite", "postgres"]
    with tempfile.TemporaryDirectory() as folder:
        if "sqlite" in databases:
            where = str(Path(folder) / "sqlite")
            found = crash(where, agents=8, points=args.points, kills=60, limit_s=1800)
            told("SQLite, 8 agents, 60 kills", args.points, found)
        if "postgres" in databases:
            why = lacking()
            if why is not None:
                sys.exit(why)
            server = PostgresServer({"fsync": "on"})
            try:
                url = f"{server.create('store')}?folder={Path(folder) / 'postgres'}"
                ways = ("fast", "immediate", "fast", "immediate", "fast")
                restarts = [partial(server.restart, how) for how in ways]
                found = crash(
                    *(url,),
                    agents=16,
                    points=args.points,
                    kills=60,
                    restarts=restarts,
                    limit_s=1800,
                )
            finally:
                server.close()
            told("PostgreSQL, 16 agents, 60 kills, 5 restarts", args.points, found)


if __name__ == "__main__":
    main()
