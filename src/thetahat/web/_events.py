"""Server-sent events: one word whenever something in the store has changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from thetahat.core.errors import StoreError
from thetahat.web._source import Source

EVERY_S = 0.5
_ALIVE = 30
"""Looks without a change after which a comment keeps the connection open."""


async def changes(source: Source, every_s: float = EVERY_S) -> AsyncIterator[str]:
    """Events as text: ``change`` with the store's pulse, ``gone`` with why it cannot be read."""
    before, quiet = None, 0
    yield "retry: 1000\n\n"
    while not source.ending():
        try:
            found = ("change", await asyncio.to_thread(source.pulse))
        except StoreError as error:
            found = ("gone", json.dumps({"error": str(error)}))
        if found != before:
            before, quiet = found, 0
            yield f"event: {found[0]}\ndata: {found[1]}\n\n"
        elif (quiet := quiet + 1) % _ALIVE == 0:
            yield ": still here\n\n"
        await asyncio.sleep(every_s)
