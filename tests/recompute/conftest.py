"""The page's JSON, asked for in this process as a browser on this machine would ask."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from thetahat.web import Source
from thetahat.web._app import make_app  # The page is public; the application that serves it is not.


@pytest.fixture
def page() -> Iterator[Callable[..., Any]]:
    """``page(store, path, **query)``: what the page's API says, parsed."""
    made: list[Source] = []

    def ask(where: Path, path: str, **query: Any) -> Any:
        made.append(Source(where))
        app: Any = make_app(made[-1])

        async def get() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            base = "http://127.0.0.1:8642"
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                return await client.get(path, params=query)

        answer = asyncio.run(get())
        assert answer.status_code == 200, answer.text
        return answer.json()

    yield ask
    for source in made:
        source.close()
