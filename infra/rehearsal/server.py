"""HTTP on loopback: a stand-in's answers, each call logged, faults put in between."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import traceback
from collections.abc import Callable, Container, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from infra.rehearsal.faults import Fault, Faults

if TYPE_CHECKING:
    from infra.rehearsal.log import Log

_LARGEST = 64 * 2**20
"""Bytes of a body that are read."""
LOOPBACK = ("127.0.0.1", "localhost")


class Call(NamedTuple):
    """What was asked. ``path`` is decoded; ``query`` has each name's values."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        """A header by its name in any case; empty where there is none."""
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), "")


class Answer(NamedTuple):
    """What is answered."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def answer(document: Any, status: int = 200) -> Answer:
    """A JSON document as an answer."""
    return Answer(status, json.dumps(document).encode())


def plain(fault: Fault, _call: Call) -> Answer:
    """A fault in no provider's own words."""
    words = fault.error or "the stand-in fails, as its scenario says"
    return Answer(fault.status or 500, words.encode(), "text/plain")


@contextlib.contextmanager
def serving(
    handle: Callable[[Call], Answer],
    log: Log,
    faults: Faults,
    fail: Callable[[Fault, Call], Answer] = plain,
    hosts: Container[str] = LOOPBACK,
) -> Iterator[str]:
    """Serve on a free port of loopback while the block runs; yields the address.

    ``fail`` puts a fault into the provider's words. ``hosts`` are the names it answers to.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    server.handle, server.log, server.faults = handle, log, faults
    server.fail, server.hosts = fail, hosts
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    handle: Callable[[Call], Answer]
    log: Log
    faults: Faults
    fail: Callable[[Fault, Call], Answer]
    hosts: Container[str]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def _serve(self) -> None:
        call, began = self._call(), time.monotonic()
        if call is None:
            return
        fault = self.server.faults.of(call)
        if fault and (fault.status or fault.error):
            found = self.server.fail(fault, call)
        else:
            time.sleep(fault.delay if fault else 0.0)
            found = self._handled(call)
        lost = fault is not None and fault.lost
        outcome = f"{found.status}, answer lost" if lost else str(found.status)
        self.server.log.add(call, outcome, time.monotonic() - began)
        if lost:
            self.close_connection = True
            return
        self._send(found)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815

    def _call(self) -> Call | None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _LARGEST or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self._send(Answer(413, b"this body has no length, or is too large", "text/plain"))
            return None
        parts = urlsplit(self.path)
        query: dict[str, list[str]] = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            query.setdefault(name, []).append(value)
        body = self.rfile.read(int(length))
        return Call(self.command, unquote(parts.path), query, dict(self.headers.items()), body)

    def _handled(self, call: Call) -> Answer:
        host = call.header("Host").partition(":")[0]
        if host not in self.server.hosts:  # a page elsewhere that had its name rebound
            return Answer(421, b"this server is for this machine alone", "text/plain")
        try:
            return self.server.handle(call)
        except Exception:
            traceback.print_exc()
            return Answer(500, b"the stand-in itself failed", "text/plain")

    def _send(self, found: Answer) -> None:
        with contextlib.suppress(ConnectionError):
            self.send_response(found.status)
            self.send_header("Content-Type", found.kind)
            for name, value in found.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(found.body)

    def log_message(self, *_arguments: object) -> None:
        """Nothing on stderr: the log has it."""
