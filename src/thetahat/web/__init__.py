"""The page: a light local server that reads the store, and the files that a browser draws."""

from thetahat.web._auth import Access as Access, access_for as access_for
from thetahat.web._server import (
    page_beside as page_beside,
    serve as serve,
)
from thetahat.web._source import Source as Source

__all__ = [
    "Access",
    "Source",
    "access_for",
    "page_beside",
    "serve",
]
