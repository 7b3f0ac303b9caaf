"""A registry of images for tests: what ``docker push`` needs of the OCI distribution API."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Registry(NamedTuple):
    """Where it is, and what it was given: blobs by digest, manifests by name and reference."""

    host: str
    blobs: dict[str, bytes]
    manifests: dict[str, bytes]

    def manifest(self, name: str, tag: str) -> tuple[str, dict[str, object]]:
        """Digest and content of a manifest."""
        content = self.manifests[f"{name}:{tag}"]
        return f"sha256:{hashlib.sha256(content).hexdigest()}", json.loads(content)


@contextlib.contextmanager
def registry() -> Iterator[Registry]:
    """A registry on this machine, whose addresses Docker trusts without TLS."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    found = Registry(f"127.0.0.1:{server.server_address[1]}", {}, {})
    server.registry = found  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200)

    def do_HEAD(self) -> None:
        digest = self.path.rpartition("/")[2]
        there = digest in self._registry.blobs
        self._answer(200 if there else 404, length=len(self._registry.blobs.get(digest, b"")))

    def do_POST(self) -> None:
        self._body()
        self._answer(202, Location=f"{self.path.rstrip('/')}/{id(self)}")

    def do_PATCH(self) -> None:
        self._registry.blobs[self.path] = body = self._body()
        self._answer(202, Location=self.path, Range=f"0-{len(body) - 1}")

    def do_PUT(self) -> None:
        path, _, query = self.path.partition("?")
        body = self._body()
        if found := re.fullmatch(r"/v2/(.+)/manifests/(.+)", path):
            self._registry.manifests[f"{found[1]}:{found[2]}"] = body
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        else:
            digest = query.partition("digest=")[2].replace("%3A", ":")
            content = self._registry.blobs.pop(path, b"") + body
            assert digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
            self._registry.blobs[digest] = content
        self._answer(201, Location=path, Docker_Content_Digest=digest)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""

    @property
    def _registry(self) -> Registry:
        found: Registry = self.server.registry  # type: ignore[attr-defined]
        return found

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, code: int, length: int = 0, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
