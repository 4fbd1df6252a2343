"""Errors of PostgreSQL, explained to a user."""

from __future__ import annotations

from typing import Any

from thetahat.core.places import Server

_GONE = ("08", "57P")
"""How the codes begin of a server that cannot be reached, or that stops or starts."""
_AGAIN = ("40001", "40P01", "55P03", "53300")
"""Codes of what may succeed at once when it is tried again."""


def code_of(error: Any) -> str:
    """Return the SQLSTATE of an error of psycopg; "08" where the connection itself failed."""
    code = getattr(error, "sqlstate", None)
    if code is None:
        return "08" if type(error).__name__ in ("OperationalError", "InterfaceError") else ""
    return str(code)


def may_pass(error: Any) -> bool:
    """Whether the same may succeed later: a server that restarts, a lock that is held."""
    code = code_of(error)
    return code.startswith(_GONE) or code in _AGAIN


def explain(error: Any, server: Server, timeout_s: float) -> str:
    """Explain an error of psycopg to a user, with a fix."""
    code, told = code_of(error), _first_line(error)
    if code == "53100":
        return f"the disk of the server of {server} is full; free some space there"
    if code == "55P03":
        return (
            f"the store {server} has been locked by another program for {timeout_s:g} s; wait for"
            " it, or look for its transaction in pg_stat_activity"
        )
    if code == "53300":
        return f"the server of {server} has no free connection ({told}); raise max_connections"
    if code == "3D000" or (code.startswith("08") and "does not exist" in told):
        return (
            f"{told}; make it with: createdb {_name(server)}, or correct the address {server} in"
            " --store (store=) or THETAHAT_STORE"
        )
    if code.startswith("28") or "authentication failed" in told or "no password" in told:
        return (
            f"the server of {server} refused the user ({told}); set PGPASSWORD, or name another"
            " user in the address"
        )
    if code.startswith(_GONE):
        return (
            f"the server of the store {server} cannot be reached ({told}); check that it runs, and"
            " its host and port in --store (store=) or THETAHAT_STORE"
        )
    if code in ("42501", "25006"):
        return f"the store {server} cannot be written ({told}); give its user the right to write"
    return f"the store {server} failed: {told}"


def _first_line(error: Any) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    fatal = [line.partition("FATAL:")[2].strip() for line in lines if "FATAL:" in line]
    return (fatal or lines or [type(error).__name__])[0]


def _name(server: Server) -> str:
    return server.url.split("?")[0].rpartition("/")[2]
