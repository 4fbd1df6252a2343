"""A store that looks like one that was used, a client of the page, and the page in a real browser."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import stores

from thetahat.web import Source
from thetahat.web._app import make_app
from thetahat.web._guard import Door


@pytest.fixture(scope="session")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 300 runs. Tests that change it take a copy."""
    where = tmp_path_factory.mktemp("used")
    stores.realistic(where)
    return where


class Client:
    """Requests to an app in this process; what the app raises, the test sees."""

    def __init__(self, app: Any, host: str) -> None:
        self._app, self._host = app, host
        self.cookies = httpx.Cookies()

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            base, jar = f"http://{self._host}", self.cookies
            async with httpx.AsyncClient(transport=transport, base_url=base, cookies=jar) as client:
                answer = await client.request(method, path, **more)
                self.cookies = httpx.Cookies(client.cookies)
                return answer

        return asyncio.run(ask())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self._request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self._request("POST", path, **more)


@pytest.fixture
def client_of() -> Iterator[Callable[..., Client]]:
    """A client of the page of a store, as a browser on this machine would be."""
    made: list[Source] = []

    def make(where: Path, door: Door | None = None, host: str = "127.0.0.1:8642") -> Client:
        source = Source(where)
        made.append(source)
        return Client(make_app(source, door), host)

    yield make
    for source in made:
        source.close()
