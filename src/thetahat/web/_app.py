"""The routes: four pages that are one file, an API of JSON, events, and static files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from thetahat.core.errors import ConfigError, InputError, StoreError
from thetahat.core.places import Server
from thetahat.web._assets import PAGES, STATIC, Files, edition, page
from thetahat.web._auth import BEHIND, READS, ROOT, Access, Asgi, Guard
from thetahat.web._source import Source

if TYPE_CHECKING:
    from thetahat.store import RunRow, Store, SweepRow
    from thetahat.web._many import SortedRuns

ACTIONS = {"pause": "paused", "resume": "running", "cancel": "cancelled"}
RETRY = "retry-failed"
EVERY_S = 0.5
_MOST_IDS = 60
_MOST_ROWS = 500
_MOST_BODY = 4 << 20
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_CHOSEN = {"table", "tx", "ty", "exact", "ta", "tb", "tband"}
"""Words of an address that choose a table, its columns or its settings."""
_KEEP_ALIVE = 30
"""Polls without a change after which a comment keeps the connection open."""


def make_app(source: Source, access: Access | None = None) -> Asgi:
    """Build the page of a store as an ASGI application.

    Args:    access: who may connect; by default only this machine's own addresses.
    """
    api = _Api(source)
    routes = [
        Route("/", api.page),
        Route("/sweep/{id}", api.sweep_page),
        Route("/run/{id}", api.page),
        Route("/compare", api.page),
        Route("/favicon.ico", _icon),
        Route("/api/store", api.store),
        Route("/api/home", api.home),
        Route("/api/sweeps/{id}", api.sweep),
        Route("/api/sweeps/{id}/importance", api.importance),
        Route("/api/sweeps/{id}/groups", api.groups),
        Route("/api/sweeps/{id}/rows", api.rows),
        Route("/api/sweeps/{id}/settings", api.settings),
        Route("/api/sweeps/{id}/tables", api.tables),
        Route("/api/sweeps/{id}/table", api.table),
        Route("/api/sweeps/{id}/export", api.export, methods=["POST"]),
        Route("/api/sweeps/{id}/{action}", api.act, methods=["POST"]),
        Route("/api/runs/{id}", api.run),
        Route("/api/runs/{id}/records", api.records),
        Route("/api/runs/{id}/kept", api.kept),
        Route("/api/runs/{id}/table", api.run_table),
        Route("/api/runs/{id}/files/{file:int}", api.file),
        Route("/api/compare", api.compare),
        Route("/api/events", api.events),
        Route("/api/alive", lambda _: _json({"alive": True})),
        Mount("/static", Files()),
    ]
    handlers: dict[Any, Callable[..., Response]] = {
        StoreError: lambda _, error: _json({"error": str(error), "store": False}, 503),
        InputError: lambda _, error: _json({"error": str(error)}, 400),
        HTTPException: _http_error,
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), access or Access())


def _icon(request: Request) -> Response:
    return FileResponse(STATIC / "icon.svg", headers={"cache-control": "max-age=86400"})


class _Api:
    """The handlers of ``/api``. They run in threads because the store waits for disks.

    They import what they need when called: the server answers before the store is imported.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._orders: SortedRuns | None = None

    def page(self, request: Request) -> Response:
        kind = request.url.path.split("/")[1]
        kind = kind if kind in PAGES else ""
        return self._html(request, page(kind, request.path_params.get("id", "")))

    def _html(self, request: Request, text: str) -> Response:
        """Answer with a page, for where it is served and for what the user may do."""
        root, behind = request.scope.get(ROOT, ""), request.scope.get(BEHIND, "")
        text = text.replace('"/static/', f'"/static/{edition()}/').replace('="/', f'="{root}/')
        about = {"root": root, "behind": behind, "store": self.source.flag}
        told = "".join(f' data-{name}="{escape(word)}"' for name, word in about.items() if word)
        told += " data-reads" if request.scope.get(READS, False) else ""
        text = text.replace("<html", f"<html{told}", 1)
        # A browser that keeps it asks again: another token may see another page.
        return Response(text, media_type="text/html", headers={"cache-control": "no-cache"})

    def store(self, request: Request) -> Response:
        path = self.source.path
        there = isinstance(path, Server) or path.is_file()
        return _json({"path": str(path), "exists": there})

    def home(self, request: Request) -> Response:
        from thetahat.web._views import home

        return _text(home(self.source.store()))

    def sweep_page(self, request: Request) -> Response:
        name = request.path_params["id"]
        answer = self._html(request, page("sweep", name))
        # Read its runs while the browser reads the page.
        tables = not _CHOSEN & {*request.query_params}
        answer.background = BackgroundTask(self._read_ahead, name, tables=tables)
        return answer

    def _read_ahead(self, name: str, *, tables: bool) -> None:
        from thetahat.store import find_sweep
        from thetahat.web._over_all import read_ahead

        # The request for the runs, or for the tables, reports the error.
        with contextlib.suppress(StoreError, InputError):
            sweep = find_sweep(self.source.store(), name)
            read_ahead(self.source, sweep)
            if tables:
                from thetahat.web._kept import read_tables_ahead

                read_tables_ahead(self.source.store(), sweep)

    def sweep(self, request: Request) -> Response:
        # First of all, so that the runs are read (ahead) while the rest is imported.
        self.source.store()
        from thetahat.store import Changed
        from thetahat.web._views import Asked, sweep_page

        changed = None
        if "since" in request.query_params:
            changed = Changed(_whole(request, "after"), request.query_params["since"])
        asked = Asked(_whole(request, "sample"), *_metric(request))
        return _text(sweep_page(self.source, self._sweep(request), changed, asked))

    def rows(self, request: Request) -> Response:
        from thetahat.web._many import read_query, table_page

        n = min(_whole(request, "n"), _MOST_ROWS)
        query, start = read_query(request.query_params), _whole(request, "start")
        store, sweep = self.source.store(), self._sweep(request)
        return _text(table_page(store, sweep, query, self.orders(), start, n))

    def orders(self) -> SortedRuns:
        from thetahat.web._many import SortedRuns

        self._orders = self._orders or SortedRuns()
        return self._orders

    def importance(self, request: Request) -> Response:
        from thetahat.web._settings import importance

        return _json(importance(self.source.store(), self._sweep(request), *_metric(request)))

    def settings(self, request: Request) -> Response:
        from thetahat.web._settings import settings

        return _json(settings(self.source.store(), self._sweep(request), *_metric(request)))

    def groups(self, request: Request) -> Response:
        from thetahat.web._settings import groups

        over = [name for name in request.query_params.getlist("over") if name]
        return _json(groups(self.source.store(), self._sweep(request), over, *_metric(request)))

    def tables(self, request: Request) -> Response:
        from thetahat.web._kept import sweep_tables

        return _json(sweep_tables(self.source.store(), self._sweep(request)))

    def table(self, request: Request) -> Response:
        from thetahat.web._kept import table_view

        given = request.query_params
        which = [int(w) for w in given.get("settings", "").split(",") if _WHOLE.fullmatch(w)]
        width = min(max(_whole(request, "band"), 1), 100) / 200 if "band" in given else 0.45
        return _text(
            table_view(
                self.source.store(),
                self._sweep(request),
                given.get("name", ""),
                x=given.get("x", ""),
                y=given.get("y", ""),
                exact=given.get("exact", ""),
                which=which[:2],
                q=(round(0.5 - width, 6), round(0.5 + width, 6)),
            )
        )

    def kept(self, request: Request) -> Response:
        from thetahat.web._kept import run_kept

        return _json(run_kept(self.source.store(), self._run(request.path_params["id"])))

    def run_table(self, request: Request) -> Response:
        from thetahat.web._kept import run_table

        run, step = self._run(request.path_params["id"]), request.query_params.get("step", "")
        at = int(step) if _WHOLE.fullmatch(step) else None
        return _json(run_table(self.source.store(), run, request.query_params.get("name", ""), at))

    def file(self, request: Request) -> Response:
        from thetahat.web._kept import run_file

        run = self._run(request.path_params["id"])
        download = request.query_params.get("download") == "1"
        return run_file(self.source.store(), run, request.path_params["file"], download=download)

    async def export(self, request: Request) -> Response:
        from thetahat.web._export import export

        asked = await _body(request)
        kind, text = await run_in_threadpool(
            lambda: export(self.source.store(), self._sweep(request), asked)
        )
        return Response(text, media_type=kind)

    def act(self, request: Request) -> Response:
        action = request.path_params["action"]
        return _json({"state": act(self.source.store(), self._sweep(request), action)})

    def run(self, request: Request) -> Response:
        from thetahat.web._views import run_page

        return _json(run_page(self.source, self._run(request.path_params["id"])))

    def records(self, request: Request) -> Response:
        from thetahat.web._series import curves

        run = self._run(request.path_params["id"])
        return _json(curves(self.source.store(), run.id, _whole(request, "after"), 4000))

    def compare(self, request: Request) -> Response:
        from thetahat.web._series import curves
        from thetahat.web._settings import comparison
        from thetahat.web._views import run_page

        ids = [i for i in request.query_params.get("runs", "").split(",") if i]
        store, found = self.source.store(), []
        runs = [self._run(name) for name in ids[:_MOST_IDS]]
        for run in runs:
            page = run_page(self.source, run)
            page.pop("logs")
            found.append({**page, "records": curves(store, run.id, 0, 1000)})
        settings = comparison(store, runs, bands=request.query_params.get("bands") == "1")
        left_out = max(0, len(ids) - _MOST_IDS)
        return _json({"runs": found, "settings": settings, "left_out": left_out})

    def events(self, request: Request) -> Response:
        # nginx would keep events back until there are many.
        at_once = {"x-accel-buffering": "no"}
        kind = "text/event-stream"
        return StreamingResponse(changes(self.source), media_type=kind, headers=at_once)

    def _sweep(self, request: Request) -> SweepRow:
        from thetahat.store import find_sweep

        store = self.source.store()
        with _not_found():
            return find_sweep(store, request.path_params["id"])

    def _run(self, name: str) -> RunRow:
        from thetahat.store import standing

        store = self.source.store()
        with _not_found():
            return standing(store, [store.run(name)])[0]


def act(store: Store, sweep: SweepRow, action: str) -> str:
    """Pause, resume or cancel a sweep, or queue its failed runs again, by the rules of ``thetahat
    sweep``; return its new state.

    Raises:  ConfigError: another action, a sweep that is over, or no failed run.
    """
    from thetahat.store import cancel_sweep, find_sweep, nothing_to_retry, retry_failed, set_state

    if action == RETRY:
        if not retry_failed(store, sweep.id):
            flag = f"thetahat sweep {sweep.id} --retry-failed --diverged"
            raise ConfigError(nothing_to_retry(store, sweep, flag, diverged=False))
        return find_sweep(store, sweep.id).state

    if action not in ACTIONS:
        raise ConfigError(
            f"the page can pause, resume, cancel and retry-failed, not {action[:40]!r}"
        )
    reason = f"by the page: {action}"
    if action == "cancel":
        done = cancel_sweep(store, sweep.id, reason)
    else:
        done = set_state(store, sweep.id, ACTIONS[action], reason)
    if not done:
        state = find_sweep(store, sweep.id).state
        raise ConfigError(f"the sweep {sweep.name} is {state} already")
    return ACTIONS[action]


async def changes(source: Source, every_s: float = EVERY_S) -> AsyncIterator[str]:
    """Send ``change`` with the store's pulse, or ``gone`` with the error of reading it."""
    before, quiet = None, 0
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(told.set)

    yield "retry: 1000\n\n"
    with source.waking(wake):
        while not source.ending():
            told.clear()
            try:
                found = ("change", await asyncio.to_thread(source.pulse))
            except StoreError as error:
                found = ("gone", json.dumps({"error": str(error)}))
            if found != before:
                before, quiet = found, 0
                yield f"event: {found[0]}\ndata: {found[1]}\n\n"
            elif (quiet := quiet + 1) % _KEEP_ALIVE == 0:
                yield ": still here\n\n"
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), every_s)


@contextlib.contextmanager
def _not_found() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        # An error of SQLite has a cause; that of a lookup has none.
        if error.__cause__ is not None:
            raise
        raise HTTPException(404, str(error)) from error


async def _body(request: Request) -> dict[str, Any]:
    body = bytearray()
    # Counted as it arrives: a chunked body does not say how long it is.
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BODY:
            raise HTTPException(413, f"the body may have {_MOST_BODY >> 20} MiB")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body must be JSON, not too deeply nested") from error
    if not isinstance(found, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return found


def _metric(request: Request) -> tuple[str, str]:
    return request.query_params.get("metric", ""), request.query_params.get("goal", "minimize")


def _whole(request: Request, name: str) -> int:
    word = request.query_params.get(name, "0")
    if not word.isdecimal() or len(word) > 15:
        raise HTTPException(400, f"{name} must be a whole number")
    return int(word)


def _text(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="application/json")


def _json(value: Any, status: int = 200) -> Response:
    return _text(json.dumps(value, allow_nan=False, default=str), status)


def _http_error(request: Request, error: HTTPException) -> Response:
    why = {
        "Not Found": "there is nothing at this address",
        "Method Not Allowed": "this address takes another method",
    }.get(error.detail, error.detail)
    if request.url.path.startswith(("/api/", "/static/")):
        return _json({"error": why}, error.status_code)
    return Response(f"thetahat: {why}\n", error.status_code, media_type="text/plain")
