"""Access to the page: checks of Host and Origin, and a token: other users reach 127.0.0.1 too.

Another site that the user has open cannot read or change anything: its requests carry its own
Origin, and a foreign name that resolves to this machine (DNS rebinding) is refused.
"""

from __future__ import annotations

import hmac
import html
import ipaddress
import json
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Any, Any], Awaitable[None]]

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; font-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
COOKIE = "thetahat"
_HOST = re.compile(
    r"(\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(:(?P<port>[0-9]{0,5}))?"
)


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Access:
    """Where the page listens and which token it requires."""

    host: str = "127.0.0.1"
    token: str | None = None
    """None: no token is required."""
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """The value of the cookie; the token itself is sent once."""
    _tickets: set[str] = field(default_factory=set)

    def ticket(self) -> str:
        """Make a token that is valid once: for a browser, whose command line others can read."""
        made = secrets.token_urlsafe(24)
        self._tickets.add(made)
        return made

    def admits(self, given: str) -> bool:
        """Whether a token is valid. A ticket is used up."""
        for known in [self.token or "", *self._tickets]:
            if known and hmac.compare_digest(given.encode(), known.encode()):
                self._tickets.discard(known)
                return True
        return False

    def knows(self, name: str) -> bool:
        """Whether a Host header names this server."""
        if name in LOOPBACK or name == self.host:
            return True
        if is_loopback(self.host):
            return False
        if name in (socket.gethostname(), socket.getfqdn()):
            return True
        try:
            # Anyone can make a name resolve to this machine, but not an address.
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def access_for(host: str, *, token: bool = True) -> Access:
    """Require a token unless it is declined: every user of this machine reaches loopback."""
    return Access(host, secrets.token_urlsafe(24) if token else None)


class Guard:
    """ASGI middleware that refuses requests without access."""

    def __init__(self, app: Asgi, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(query).get("token")
        refusal = self._refusal(scope, headers)
        if refusal is None and self.access.token is not None and not self._knows(headers):
            if given is not None and self.access.admits(given):
                rest = urlencode([pair for pair in query if pair[0] != "token"])
                path = "/" + scope["path"].lstrip("/") + (f"?{rest}" if rest else "")
                await _set_cookie(send, path, f"{_cookie(headers)}={self.access.session}")
                return
            refusal = (
                401,
                "this page needs the token that `thetahat ui` printed: open the address it gave,"
                " which ends in ?token=... (a program sends the header Authorization: Bearer ...)",
            )
        if refusal is not None:
            await _refuse(send, *refusal, scope["path"])
            return
        await self.app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self.access.knows(_hostname(host)):
            return 421, f"this server is not {host[:100]!r}; open the address that it printed"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "a page of another origin asked; that is not allowed"
        site = headers.get("sec-fetch-site", "same-origin")
        navigated = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("same-origin", "none") and not (navigated and _is_page(scope["path"])):
            return 403, "a page of another site asked; that is not allowed"
        if scope["method"] not in ("GET", "HEAD") and origin is None:
            return 403, "a change needs the Origin header, which every browser sends"
        return None

    def _knows(self, headers: Mapping[str, str]) -> bool:
        """Whether a request has the cookie, or the token as a header."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.access.admits(given.strip()):
            return True
        jar, name = SimpleCookie(), _cookie(headers)
        try:
            jar.load(headers.get("cookie", ""))
        except CookieError:
            return False
        found = jar[name].value if name in jar else ""
        return hmac.compare_digest(found.encode(), self.access.session.encode())


def _cookie(headers: Mapping[str, str]) -> str:
    """Name the cookie by its port: all ports of a machine share their cookies."""
    match = _HOST.fullmatch(headers.get("host", ""))
    return f"{COOKIE}-{match['port']}" if match and match["port"] else COOKIE


def _hostname(host: str) -> str:
    """Read the name in a Host header; empty unless it is a name and a port."""
    match = _HOST.fullmatch(host)
    return "" if match is None else (match["six"] or match["name"]).lower()


def _is_page(path: str) -> bool:
    return not path.startswith(("/api/", "/static/"))


def _with_headers(send: Any) -> Any:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = [(k.lower(), v) for k, v in message["headers"]]
            names = {k for k, _ in given}
            more = {**HEADERS, "cache-control": "no-store"}
            given += [(k.encode(), v.encode()) for k, v in more.items() if k.encode() not in names]
            message = {**message, "headers": given}
        await send(message)

    return sending


async def _set_cookie(send: Any, to: str, pair: str) -> None:
    # Not a redirect: browsers do not send a Strict cookie after one from another site.
    page = f'<!doctype html><meta http-equiv="refresh" content="0; url={html.escape(to)}">'
    cookie = f"{pair}; Path=/; HttpOnly; SameSite=Strict"
    headers = {**HEADERS, "content-type": "text/html; charset=utf-8", "set-cookie": cookie}
    await _answer(send, 200, {**headers, "cache-control": "no-store"}, page.encode())


async def _refuse(send: Any, status: int, why: str, path: str) -> None:
    if _is_page(path):
        kind, body = "text/plain; charset=utf-8", f"thetahat: {why}\n"
    else:
        kind, body = "application/json", json.dumps({"error": why})
    await _answer(send, status, {**HEADERS, "content-type": kind}, body.encode())


async def _answer(send: Any, status: int, headers: Mapping[str, str], body: bytes) -> None:
    pairs = [(k.encode(), v.encode()) for k, v in headers.items()]
    pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
