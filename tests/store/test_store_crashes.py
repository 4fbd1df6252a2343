"""Agents are killed and the server is restarted: each point is finished once, and none is lost."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from crashing_agents import crash
from postgres_server import PostgresServer, lacking


def test_killed_agents_lose_and_repeat_nothing_in_sqlite(tmp_path: Path) -> None:
    found = crash(str(tmp_path / "runs"), agents=3, points=60, kills=4)
    assert found.finished == Counter(range(60))
    assert found.statuses == {"finished": 60}


@pytest.mark.postgres
def test_killed_agents_and_a_restarted_server_lose_and_repeat_nothing(tmp_path: Path) -> None:
    why = lacking()
    if why is not None:
        pytest.skip(why)
    server = PostgresServer({"fsync": "on"})
    try:
        url = f"{server.create('store')}?folder={tmp_path / 'runs'}"
        restarts = [partial(server.restart, how) for how in ("fast", "immediate")]
        found = crash(url, agents=3, points=80, kills=4, restarts=restarts)
    finally:
        server.close()
    assert found.finished == Counter(range(80))
    assert found.statuses == {"finished": 80}
