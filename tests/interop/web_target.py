"""A web server on loopback that takes what is posted to it, or says 503."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Posted(NamedTuple):
    """One request that was taken; names of headers are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class WebTarget:
    """The server; `down` makes it refuse, `redirect` makes it send callers elsewhere."""

    def __init__(self) -> None:
        self.down = False
        self.redirect = ""
        self.requests: list[Posted] = []
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not (target.down or target.redirect):
                    target.requests.append(Posted(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(503 if target.down else 307 if target.redirect else 200)
                if target.redirect:
                    self.send_header("Location", target.redirect)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def got(self, path: str) -> Posted:
        """The first request to a path."""
        return next(request for request in self.requests if request.path.startswith(path))

    def __enter__(self) -> WebTarget:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
