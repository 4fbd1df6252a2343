"""The page: a light local server that reads the store, and the files that a browser draws."""

from thetahat.web._auth import Access as Access, access_for as access_for
from thetahat.web._server import (
    PageProcess as PageProcess,
    make_server as make_server,
    page_beside as page_beside,
    serve as serve,
)
from thetahat.web._source import Source as Source

__all__ = [
    "Access",
    "PageProcess",
    "Source",
    "access_for",
    "make_server",
    "page_beside",
    "serve",
]
