"""The routes: four pages that are one file, an API of JSON, events, and static files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from thetahat.core.errors import InputError, StoreError
from thetahat.web._assets import Files, edition
from thetahat.web._auth import Asgi, Door, Guard
from thetahat.web._events import changes
from thetahat.web._head import PAGES, STATIC, page
from thetahat.web._source import Source, facts

_MOST_IDS = 60
_MOST_BODY = 4 << 20


def make_app(source: Source, door: Door | None = None) -> Asgi:
    """The page of a store, as an ASGI application.

    Args:    door: who may come in; by default only this machine's own addresses.
    """
    api = _Api(source)
    routes = [
        Route("/", _page),
        Route("/sweep/{id}", api.sweep_page),
        Route("/run/{id}", _page),
        Route("/compare", _page),
        Route("/favicon.ico", _icon),
        Route("/api/store", api.store),
        Route("/api/home", api.home),
        Route("/api/sweeps/{id}", api.sweep),
        Route("/api/sweeps/{id}/importance", api.importance),
        Route("/api/sweeps/{id}/groups", api.groups),
        Route("/api/sweeps/{id}/settings", api.settings),
        Route("/api/sweeps/{id}/export", api.export, methods=["POST"]),
        Route("/api/sweeps/{id}/{action}", api.act, methods=["POST"]),
        Route("/api/runs/{id}", api.run),
        Route("/api/runs/{id}/records", api.records),
        Route("/api/compare", api.compare),
        Route("/api/events", api.events),
        Mount("/static", Files()),
    ]
    handlers: dict[Any, Callable[..., Response]] = {
        StoreError: _store_failed,
        InputError: _input_wrong,
        HTTPException: _http_error,
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), door or Door())


def _page(request: Request) -> Response:
    kind = request.url.path.split("/")[1]
    return _html(page(kind if kind in PAGES else "", request.path_params.get("id", "")))


def _html(text: str) -> Response:
    ours = text.replace('"/static/', f'"/static/{edition()}/')
    return Response(ours, media_type="text/html", headers={"cache-control": "no-cache"})


def _icon(request: Request) -> Response:
    return FileResponse(STATIC / "icon.svg", headers={"cache-control": "max-age=86400"})


class _Api:
    """The handlers of ``/api``. They run in threads: the store waits for disks."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def store(self, request: Request) -> Response:
        return _json(facts(self.source))

    def home(self, request: Request) -> Response:
        from thetahat.web._views import home

        return _text(home(self.source.store()))

    def sweep_page(self, request: Request) -> Response:
        name = request.path_params["id"]
        # Its runs are read while the browser reads the page.
        ahead = BackgroundTask(self._ahead, name)
        answer = _html(page("sweep", name))
        answer.background = ahead
        return answer

    def _ahead(self, name: str) -> None:
        from thetahat.store import find_sweep
        from thetahat.web._views import runs_of

        # What cannot be read is said where it is asked for.
        with contextlib.suppress(StoreError):
            runs_of(self.source, find_sweep(self.source.store(), name))

    def sweep(self, request: Request) -> Response:
        from thetahat.store import Changed
        from thetahat.web._views import sweep_page

        changed = None
        if "since" in request.query_params:
            changed = Changed(_whole(request, "after"), request.query_params["since"])
        return _text(sweep_page(self.source, self._sweep(request), changed))

    def importance(self, request: Request) -> Response:
        from thetahat.web._views import importance

        asked = request.query_params
        metric, goal = asked.get("metric", ""), asked.get("goal", "minimize")
        return _json(importance(self.source.store(), self._sweep(request), metric, goal))

    def groups(self, request: Request) -> Response:
        from thetahat.web._settings import groups

        asked = request.query_params
        over = [name for name in asked.getlist("over") if name]
        metric, goal = asked.get("metric", ""), asked.get("goal", "minimize")
        return _json(groups(self.source.store(), self._sweep(request), over, metric, goal))

    def settings(self, request: Request) -> Response:
        from thetahat.web._settings import settings

        asked = request.query_params
        metric, goal = asked.get("metric", ""), asked.get("goal", "minimize")
        return _json(settings(self.source.store(), self._sweep(request), metric, goal))

    async def export(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        from thetahat.web._export import export

        asked = await _body(request)

        def make() -> tuple[str, str]:
            return export(self.source.store(), self._sweep(request), asked)

        kind, text = await run_in_threadpool(make)
        return Response(text, media_type=kind)

    def act(self, request: Request) -> Response:
        from thetahat.web._actions import act

        sweep = self._sweep(request)
        return _json({"state": act(self.source.store(), sweep, request.path_params["action"])})

    def run(self, request: Request) -> Response:
        from thetahat.web._views import run_page

        return _json(run_page(self.source.store(), self._run(request.path_params["id"])))

    def records(self, request: Request) -> Response:
        from thetahat.web._views import curves

        run = self._run(request.path_params["id"])
        return _json(curves(self.source.store(), run.id, _whole(request, "after"), 4000))

    def compare(self, request: Request) -> Response:
        from thetahat.web._settings import comparison
        from thetahat.web._views import curves, run_page

        ids = [i for i in request.query_params.get("runs", "").split(",") if i]
        store, found = self.source.store(), []
        runs = [self._run(name) for name in ids[:_MOST_IDS]]
        for run in runs:
            page = run_page(store, run)
            page.pop("logs")
            page["records"] = curves(store, page["id"], 0, 1000)
            found.append(page)
        settings = comparison(store, runs, bands=request.query_params.get("bands") == "1")
        left_out = max(0, len(ids) - _MOST_IDS)
        return _json({"runs": found, "settings": settings, "left_out": left_out})

    def events(self, request: Request) -> Response:
        return StreamingResponse(changes(self.source), media_type="text/event-stream")

    def _sweep(self, request: Request) -> Any:
        from thetahat.store import find_sweep

        store = self.source.store()
        try:
            return find_sweep(store, request.path_params["id"])
        except StoreError as error:
            raise _not_found(error) from error

    def _run(self, name: str) -> Any:
        from thetahat.store import standing

        store = self.source.store()
        try:
            return standing(store, [store.run(name)])[0]
        except StoreError as error:
            raise _not_found(error) from error


def _not_found(error: StoreError) -> Exception:
    # What SQLite itself says comes with its error; what a lookup says comes alone.
    return error if error.__cause__ is not None else HTTPException(404, str(error))


async def _body(request: Request) -> dict[str, Any]:
    if int(request.headers.get("content-length") or 0) > _MOST_BODY:
        raise HTTPException(413, "that is too long")
    try:
        found = json.loads(await request.body())
    except ValueError as error:
        raise HTTPException(400, "the body must be JSON") from error
    if not isinstance(found, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return found


def _whole(request: Request, name: str) -> int:
    word = request.query_params.get(name, "0")
    if not word.isdecimal() or len(word) > 15:
        raise HTTPException(400, f"{name} must be a whole number")
    return int(word)


def _text(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="application/json")


def _json(value: Any, status: int = 200) -> Response:
    return _text(json.dumps(value, allow_nan=False, default=str), status)


def _store_failed(request: Request, error: Exception) -> Response:
    return _json({"error": str(error), "store": False}, 503)


def _input_wrong(request: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 400)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = {404: "there is nothing at this address", 405: "this address takes another method"}
    why = error.detail
    if why in ("Not Found", "Method Not Allowed"):
        why = said[error.status_code]
    if request.url.path.startswith(("/api/", "/static/")):
        return _json({"error": why}, error.status_code)
    return Response(f"thetahat: {why}\n", error.status_code, media_type="text/plain")
