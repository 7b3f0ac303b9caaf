"""How moto is spoken to: HTTP/1.1 whose connections last.

werkzeug's own handler ends each connection with its answer. Every call would begin with a TLS
handshake in the rehearsal's proxy, which costs more than the call.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import IO, Any, cast

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.wsgi import LimitedStream

_NO_BODY = (204, 304)
_CHUNK = 2**20


class Handler(MotoRequestHandler):
    """Gives the server's app request after request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request. Where the app lets the connection be lost, it is."""
        environ: dict[str, Any] = self.make_environ()
        if length := environ.get("CONTENT_LENGTH"):
            environ["wsgi.input"] = LimitedStream(cast("IO[bytes]", self.rfile), int(length))
        sent = environ["wsgi.input"]
        head: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[..., Any]:
            head.append((status, headers))
            return io.BytesIO().write

        try:
            body = b"".join(self.server.app(environ, start))
        except ConnectionError:
            self.close_connection = True
            return
        while (length or environ.get("wsgi.input_terminated")) and sent.read(_CHUNK):
            pass  # what moto left of it would be taken for the next request
        self._send(*head[-1], body)

    def _send(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code, _, reason = status.partition(" ")
        bare = int(code) in _NO_BODY
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if not bare and "content-length" not in {n.lower() for n, _ in headers}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not bare and self.command != "HEAD":  # it would be taken for the next answer
            self.wfile.write(body)
