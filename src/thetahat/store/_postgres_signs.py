"""When a silent connection to PostgreSQL is lost, for both of its ends."""

from __future__ import annotations

from typing import Any

_CONNECT_S = 10
SILENT_S = 30
"""Seconds without a sign of life until a connection is lost, for both ends.

A machine that is cut off tells nothing. Without this limit the server keeps its transactions, and
their locks, for two hours, and the machine waits for answers for a quarter of an hour."""


def signs_of_life(url: str) -> dict[str, Any]:
    """Return what to connect with: the address, and limits for what it leaves open."""
    from psycopg.conninfo import conninfo_to_dict

    idle, interval, count = _probes()
    limits = {
        "connect_timeout": _CONNECT_S,
        "keepalives_idle": idle,
        "keepalives_interval": interval,
        "keepalives_count": count,
        "tcp_user_timeout": 1000 * SILENT_S,
    }
    return {**limits, **conninfo_to_dict(url)}


def servers_signs() -> str:
    """Return the statements that give the server's end of a connection the same limits."""
    idle, interval, count = _probes()
    return (
        f"SET tcp_keepalives_idle = {idle}; SET tcp_keepalives_interval = {interval};"
        f" SET tcp_keepalives_count = {count}; SET tcp_user_timeout = {1000 * SILENT_S}"
    )


def _probes() -> tuple[int, int, int]:
    """Seconds until the first question to a silent end, those between questions, and how many."""
    return max(1, SILENT_S // 2), max(1, SILENT_S // 6), 3
