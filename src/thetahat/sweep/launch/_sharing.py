"""Whether agents that a cluster starts can work on a sweep: checked before any is asked for."""

from __future__ import annotations

import socket
from collections.abc import Collection

from thetahat.core.errors import ConfigError, StoreError
from thetahat.core.places import Place, Server
from thetahat.store import SweepRow
from thetahat.sweep.agent import how_to_share, program_file


def check_launchable(sweep: SweepRow, place: Place) -> None:
    """Refuse a sweep on which no agent of another process can begin a run.

    Args:    place: of its store.
    Raises:  ConfigError: it is over or paused, or no file has its program.
    """
    if sweep.over:
        raise ConfigError(
            f"the sweep {sweep.id} is {sweep.state}: its agents would end at once; go on with other"
            f" points with: thetahat sweep {sweep.id} --extend FILE"
        )
    if sweep.state == "paused":
        raise ConfigError(
            f"the sweep {sweep.id} is paused: its agents would wait, and use up their time; first:"
            f" thetahat sweep {sweep.id} --resume"
        )
    program_file(sweep, place)


def check_shared(place: Place, hosts: Collection[str]) -> None:
    """Refuse a store of SQLite for agents of several machines.

    Args:    hosts: the machines on which agents may run.
    Raises:  StoreError: one of them is not this one.
    """
    others = sorted({short(host) for host in hosts} - {short(socket.gethostname()), "localhost"})
    if isinstance(place, Server) or not others:
        return
    shown = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
    raise StoreError(
        f"the store {place} is a file of SQLite, which is for one machine, and jobs would run on"
        f" {shown}; {how_to_share(place)}"
    )


def short(host: str) -> str:
    """Return the name of a machine without its domain."""
    return host.partition(".")[0]
