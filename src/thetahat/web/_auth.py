"""Access to the page: checks of Host and Origin, and tokens: other users reach 127.0.0.1 too.

One token may do all that the page can; another, if it is wanted, only reads.

Another site that the user has open cannot read or change anything: its requests carry its own
Origin, and a foreign name that resolves to this machine (DNS rebinding) is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import ipaddress
import json
import os
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from thetahat.core.errors import ConfigError
from thetahat.web._tokens import kept_tokens, new_tokens

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
ROOT, BEHIND, READS = "thetahat.root", "thetahat.behind", "thetahat.reads"
"""In the scope of a request: the path under which a proxy serves the page, that with the proxy's
own address, and whether who asks may only read."""
_READING = re.compile(r"/api/sweeps/[^/]+/export")
"""What is sent by POST and changes nothing."""
_BEHIND = re.compile(
    r"(?P<scheme>https?)://(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?P<port>:[0-9]{1,5})?"
    r"(?P<path>(/[a-z0-9_.~-]+)*)/?",
    re.ASCII | re.IGNORECASE,
)
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
class Behind:
    """The address at which a reverse proxy serves the page.

    Args:    url: such as ``https://lab.example.org/wages``, as ``behind_of`` returns it.
    """

    url: str

    @property
    def root(self) -> str:
        """The path, without a slash at its end; empty for the root of the proxy."""
        return urlsplit(self.url).path.rstrip("/")

    @property
    def origin(self) -> str:
        """What browsers send as Origin."""
        return self.url.removesuffix("/").removesuffix(self.root)

    @property
    def host(self) -> str:
        """The name of the proxy."""
        return urlsplit(self.url).hostname or ""


def behind_of(given: str) -> Behind:
    """Return the address of a proxy as browsers write it: names in small letters, no usual port.

    Raises:  ConfigError: it is not such an address.
    """
    match = _BEHIND.fullmatch(given)
    if match is None:
        why = _no_address(given)
    elif (port := int((match["port"] or ":1")[1:])) not in range(1, 1 << 16):
        why = f"there is no port {port}"
    elif {".", ".."} & set(match["path"].split("/")):
        why = "its path has . or .. in it"
    else:
        scheme, name, port_ = match["scheme"].lower(), match["name"].lower(), match["port"] or ""
        usual = port_ == {"http": ":80", "https": ":443"}[scheme]
        return Behind(f"{scheme}://{name}{'' if usual else port_}{match['path']}")
    raise ConfigError(
        f"--behind {given} is not an address of a proxy ({why}); give one such as"
        " https://lab.example.org/wages"
    )


def _no_address(given: str) -> str:
    """Say why a text does not have the form of an address."""
    if not re.match("https?://", given, re.IGNORECASE):
        return "it does not begin with http:// or https://"
    if "?" in given or "#" in given:
        return "it has ? or # in it"
    if "@" in given:
        return "it names a user"
    return "after the scheme it may have letters of English, digits and - . _ ~, a port, a path"


@dataclass(frozen=True)
class Access:
    """Where the page listens and which token it requires."""

    host: str = "127.0.0.1"
    token: str | None = None
    """None: no token is required."""
    reader: str | None = None
    """A token that only reads; None: there is none."""
    behind: Behind | None = None
    _tickets: set[str] = field(default_factory=set)

    @property
    def session(self) -> str:
        """The value of the cookie; the token itself is sent once, and does not follow from it."""
        return _session_of(self.token)

    @property
    def reader_session(self) -> str:
        """The value of the cookie of those who only read."""
        return _session_of(self.reader)

    def ticket(self) -> str:
        """Make a token that is valid once: for a browser, whose command line others can read."""
        made = secrets.token_urlsafe(24)
        self._tickets.add(made)
        return made

    @property
    def root(self) -> str:
        """The path under which a proxy serves the page."""
        return "" if self.behind is None else self.behind.root

    def session_of(self, given: str) -> str | None:
        """Return the session that a token opens; None for no valid token. A ticket is used up."""
        for known in [self.token or "", *self._tickets]:
            if _same(given, known):
                self._tickets.discard(known)
                return self.session
        return self.reader_session if _same(given, self.reader or "") else None

    def known_session(self, given: str) -> str | None:
        """Return the session that a cookie has; None if it is of none."""
        sessions = (self.session, self.reader_session)
        return next((known for known in sessions if _same(given, known)), None)

    def knows(self, name: str) -> bool:
        """Whether a Host header names this server."""
        if name in LOOPBACK or name == self.host:
            return True
        if self.behind is not None and name == self.behind.host:
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


def _session_of(token: str | None) -> str:
    """Return the same for a token after the server starts anew: open pages go on."""
    if not token:
        return ""
    return hmac.new(token.encode(), b"session of the page", hashlib.sha256).hexdigest()


def _same(given: str, known: str) -> bool:
    return bool(known) and hmac.compare_digest(given.encode(), known.encode())


def access_for(
    host: str,
    *,
    token: bool = True,
    readers: bool = False,
    tokens: str | os.PathLike[str] | None = None,
    behind: str | None = None,
) -> Access:
    """Require a token unless it is declined: every user of this machine reaches loopback.

    Args:    readers: whether there is a second token, which only reads.
             tokens: a file that keeps the tokens; None draws new ones.
             behind: the address at which a reverse proxy serves the page.
    Raises:  ConfigError: readers or a file without a token; a wrong address or file.
    """
    flag = "--readers" if readers else "--tokens"
    if not token and (readers or tokens is not None):
        raise ConfigError(f"{flag} needs tokens; leave out --no-token")
    found = new_tokens() if tokens is None else kept_tokens(tokens)
    return Access(
        host,
        found.acts if token else None,
        found.reads if readers else None,
        behind=None if behind is None else behind_of(behind),
    )


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
        scope = self._placed(scope)
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(query).get("token")
        refusal = self._refusal(scope, headers)
        if refusal is None and self.access.token is not None:
            # The token of an address counts more than what an earlier one left in the browser.
            opened = self.access.session_of(given) if given else None
            session = opened or self._session(headers)
            asked = scope["method"] == "GET" and _is_page(scope["path"])
            if asked and session is not None and given is not None:
                rest = [pair for pair in query if pair[0] != "token"]
                cookie = f"{self._cookie(headers)}={session}"
                await self._open_again(send, _address(scope["path"], rest), cookie)
                return
            other = headers.get("sec-fetch-site") in ("cross-site", "same-site")
            if session is None and given is None and asked and other:
                # A link on another site: the browser keeps a Strict cookie back.
                await self._open_again(send, _address(scope["path"], query))
                return
            scope[READS] = session == self.access.reader_session
            refusal = _refused(scope, session)
        if refusal is not None:
            await _refuse(send, *refusal, scope["path"])
            return
        await self.app(scope, receive, _with_headers(send))

    def _placed(self, scope: Scope) -> Scope:
        """Return a request without the path of the proxy, which some proxies leave in it."""
        root, path = self.access.root, scope["path"]
        if root and (path == root or path.startswith(f"{root}/")):
            path = path[len(root) :] or "/"
        behind = "" if self.access.behind is None else self.access.behind.url
        return {**scope, "path": path, "raw_path": path.encode(), ROOT: root, BEHIND: behind}

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self.access.knows(_hostname(host)):
            return 421, f"this server is not {host[:100]!r}; open the address that it printed"
        origin = headers.get("origin")
        behind = self.access.behind
        ours = origin is not None and behind is not None and origin == behind.origin
        if origin is not None and not ours and urlsplit(origin).netloc != host:
            return 403, "a page of another origin asked; that is not allowed"
        site = headers.get("sec-fetch-site", "same-origin")
        navigated = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("same-origin", "none") and not (navigated and _is_page(scope["path"])):
            return 403, "a page of another site asked; that is not allowed"
        if scope["method"] not in ("GET", "HEAD") and origin is None:
            return 403, "a change needs the Origin header, which every browser sends"
        return None

    def _session(self, headers: Mapping[str, str]) -> str | None:
        """Return the session of the cookie, or of the token that is sent as a header."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        found = self.access.session_of(given.strip()) if kind.lower() == "bearer" else None
        if found is not None:
            return found
        jar, name = SimpleCookie(), self._cookie(headers)
        try:
            jar.load(headers.get("cookie", ""))
        except CookieError:
            return None
        return self.access.known_session(jar[name].value if name in jar else "")

    def _cookie(self, headers: Mapping[str, str]) -> str:
        """Name the cookie by port and path: all pages of a machine share their cookies."""
        match = _HOST.fullmatch(headers.get("host", ""))
        port = f"-{match['port']}" if match and match["port"] else ""
        return f"{COOKIE}{port}{self.access.root.replace('/', '-').replace('~', '.')}"

    async def _open_again(self, send: Any, to: str, pair: str = "") -> None:
        """Answer with a page that opens another of ours, and set a cookie if one is given."""
        # Not a redirect: browsers do not send a Strict cookie after one from another site.
        root, behind = self.access.root, self.access.behind
        to = html.escape(root + to)
        # Without an icon of its own a browser would ask the proxy for one outside of our path.
        page = '<!doctype html><link rel="icon" href="data:,">'
        page += f'<meta http-equiv="refresh" content="0; url={to}">'
        headers = {**HEADERS, "content-type": "text/html; charset=utf-8"}
        if pair:
            headers["set-cookie"] = f"{pair}; Path={root or '/'}; HttpOnly; SameSite=Strict"
            if behind is not None and behind.url.startswith("https:"):
                headers["set-cookie"] += "; Secure"
        await _answer(send, 200, {**headers, "cache-control": "no-store"}, page.encode())


def _address(path: str, query: Sequence[tuple[str, str]]) -> str:
    """Return an address on this server."""
    return "/" + path.lstrip("/") + (f"?{urlencode(query)}" if query else "")


def _refused(scope: Scope, session: str | None) -> tuple[int, str] | None:
    """Refuse a request without a session, and a change by one that only reads."""
    if session is None:
        return (
            401,
            "this page needs the token that `thetahat ui` printed: open the address it gave,"
            " which ends in ?token=... (a program sends the header Authorization: Bearer ...)",
        )
    reading = scope["method"] in ("GET", "HEAD") or _READING.fullmatch(scope["path"])
    if scope[READS] and not reading:
        return 403, "your token only reads; ask who started the page for the other one"
    return None


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
