"""A reverse proxy as others run one: it serves pages under paths, and passes a Host of its own."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_OWN = ("host", "connection", "transfer-encoding", "content-length")


@contextmanager
def proxy(pages: Mapping[str, int]) -> Iterator[str]:
    """Serve pages of ports of this machine, each under a path; the address without a path.

    As ``location /pages/ { proxy_pass http://127.0.0.1:PORT/; }`` of nginx: the path is cut off, and
    the page sees the Host of its own port. The longest path that fits counts.
    """

    class Handler(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            fits = [root for root in pages if self.path.startswith(f"{root}/")]
            if not fits:
                self.send_error(404)
                return
            root = max(fits, key=len)
            port = pages[root]
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            given = {k: v for k, v in self.headers.items() if k.lower() not in _OWN}
            behind = http.client.HTTPConnection("127.0.0.1", port)
            try:
                behind.connect()
            except OSError:
                self.send_error(502)
                return
            try:
                behind.request(self.command, self.path[len(root) :], body or None, given)
                answer = behind.getresponse()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in _OWN:
                        self.send_header(name, value)
                self.send_header("Connection", "close")
                self.end_headers()
                while part := answer.read1(65536):  # events come one by one
                    self.wfile.write(part)
                    self.wfile.flush()
            except OSError:
                self.close_connection = True  # the browser has left
            finally:
                behind.close()

        do_GET = do_POST = _pass_on  # noqa: N815  (the names of the standard library)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
