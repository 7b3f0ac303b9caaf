"""HTTP on loopback: a stand-in's answers, each call logged, faults put in between."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from infra.redaction import redacted
from infra.rehearsal.faults import Faults

_LARGEST = 64 * 2**20
"""Bytes of a body that are read."""
_LOGGED = 64 * 2**10
"""Characters of a body that are logged."""


class Call(NamedTuple):
    """What was asked. ``path`` is decoded; ``query`` has each name's values."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


class Answer(NamedTuple):
    """What is answered."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/json"


def answer(document: Any, status: int = 200) -> Answer:
    """A JSON document as an answer."""
    return Answer(status, json.dumps(document).encode())


class Log:
    """Every call, in a file of JSON lines, and counted for a person.

    ``short`` gives a path without what is different in every run.
    """

    def __init__(self, file: Path, short: Callable[[str], str] = str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file, self._short, self._lock = file, short, threading.Lock()
        self._counts: dict[tuple[str, str, str], int] = {}

    def add(self, call: Call, outcome: str, seconds: float) -> None:
        """Note a call; ``outcome`` is a status, or what became of the answer."""
        line: dict[str, Any] = {
            "at": round(time.time(), 3),
            "method": call.method,
            "path": redacted(call.path),
            "query": {name: [redacted(v) for v in values] for name, values in call.query.items()},
            "outcome": outcome,
            "seconds": round(seconds, 4),
        }
        if call.body:
            line["body"] = redacted(call.body.decode(errors="replace"))[:_LOGGED]
        with self._lock, self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            key = (call.method, self._short(line["path"]), outcome)
            self._counts[key] = self._counts.get(key, 0) + 1

    def told(self) -> list[str]:
        """Each kind of call with how often it came, in the order of their first."""
        return [
            f"{method:<6} {path}  {outcome}" + (f"  x{count}" if count > 1 else "")
            for (method, path, outcome), count in self._counts.items()
        ]


@contextlib.contextmanager
def serving(handle: Callable[[Call], Answer], log: Log, faults: Faults) -> Iterator[str]:
    """Serve on a free port of loopback while the block runs; yields the address."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.handle, server.log, server.faults = handle, log, faults
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


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def _serve(self) -> None:
        call, began = self._call(), time.monotonic()
        if call is None:
            return
        fault = self.server.faults.of(call.method, call.path)
        if fault and fault.status:
            found = Answer(fault.status, b"the stand-in fails, as its scenario says", "text/plain")
        else:
            found = self._handled(call)
        lost = fault is not None and not fault.status
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
        host = call.headers.get("Host", "").rpartition(":")[0]
        if host not in ("127.0.0.1", "localhost"):  # a page elsewhere that had its name rebound
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
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(found.body)

    def log_message(self, *_arguments: object) -> None:
        """Nothing on stderr: the log has it."""
