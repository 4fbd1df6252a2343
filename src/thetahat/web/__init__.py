"""The page: a light local server that reads the store only, and what a browser draws it with."""

from thetahat.web._auth import Door as Door, door_for as door_for
from thetahat.web._beside import Beside as Beside, page_beside as page_beside
from thetahat.web._server import make_server as make_server, serve as serve
from thetahat.web._source import Source as Source
