"""A store that looks like one that was used, a client of the page, and the page in a real browser."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import stores
from chromium import Watched, serving

from thetahat.store import find_sweep, open_store
from thetahat.web import Access, Source

# The application answers without a server and its port.
from thetahat.web._app import make_app


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

        # In a thread of its own: a browser of another test may have a loop in this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, ask()).result()

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self._request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self._request("POST", path, **more)


@pytest.fixture
def client_of() -> Iterator[Callable[..., Client]]:
    """A client of the page of a store, as a browser on this machine would be."""
    made: list[Source] = []

    def make(where: Path, access: Access | None = None, host: str = "127.0.0.1:8642") -> Client:
        source = Source(where)
        made.append(source)
        return Client(make_app(source, access), host)

    yield make
    for source in made:
        source.close()


@pytest.fixture(scope="module")
def served(used: Path) -> Iterator[str]:
    """The page of the used store."""
    with serving(used) as url:
        yield url


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store of a sweep of 44 runs, which a page draws quickly, and its address."""
    where = tmp_path_factory.mktemp("small")
    with open_store(where) as store:
        sweep = stores.tuning_sweep(store, 44, 20)
    return where, f"/sweep/{sweep.id}"


@pytest.fixture
def small_page(look: Any, small_served: str, small: tuple[Path, str]) -> Any:
    """The page of the small sweep: each filter and each brush draws all its charts again."""
    return look(small_served).open(small[1])


@pytest.fixture(scope="module")
def small_served(small: tuple[Path, str]) -> Iterator[str]:
    """The page of the small store."""
    with serving(small[0]) as url:
        yield url


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[..., Watched]]:
    """A new tab; at the end nothing must have gone wrong in it."""
    opened: list[Any] = []
    watched: list[Watched] = []

    def make(url: str, *, theme: str = "light", width: int = 1280) -> Watched:
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, color_scheme=theme, accept_downloads=True)
        context.set_default_timeout(240_000)
        opened.append(context)
        watched.append(Watched(context.new_page(), url))
        return watched[-1]

    yield make
    for context in opened:
        context.close()
    assert [line for one in watched for line in one.wrong] == []


@pytest.fixture(scope="session")
def paths(used: Path) -> dict[str, str]:
    """An address for each view."""
    with open_store(used, create=False) as store:
        wages = find_sweep(store, "wages, two layers")
        seeds = find_sweep(store, "twenty seeds a width")
        tested = find_sweep(store, "tuned on the test set")
        finished = [r.id for r in store.runs(sweep_id=wages.id, status="finished", limit=5)]
        diverged = store.runs(sweep_id=wages.id, status="diverged", limit=1)[0].id
        many = ",".join(run.id for run in store.runs(sweep_id=seeds.id))
    return {
        "home": "/",
        "sweep": f"/sweep/{wages.id}",
        "seeds": f"/sweep/{seeds.id}?over=seed",
        "tested": f"/sweep/{tested.id}",
        "run": f"/run/{finished[0]}",
        "diverged": f"/run/{diverged}",
        "compare": f"/compare?runs={','.join(finished)}",
        "bands": f"/compare?runs={many}&bands=1",
    }
