"""``python -m infra.aws.emulator.moto SOCKET``: reads what it is given, serves, and says so.

It ends when its standard input does, so that it never outlives whoever started it.
"""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from infra.aws.emulator.moto import before
from infra.aws.emulator.moto.kept import Kept
from infra.aws.emulator.names import named
from infra.aws.emulator.refusal import fail
from infra.rehearsal.faults import Faults
from infra.rehearsal.log import Log
from infra.rehearsal.server import Call

_Start: TypeAlias = Callable[..., Any]
_App: TypeAlias = Callable[[dict[str, Any], _Start], Iterable[bytes]]
_SHORT = 2**20
"""Bytes of a body, other than an object's, that are logged."""


def main() -> None:
    """Serve until the end of standard input."""
    given = json.loads(sys.stdin.readline())
    os.environ["MOTO_ACCOUNT_ID"] = given["account"]
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server
    from werkzeug.test import Client

    from infra.aws.emulator.moto.handler import Handler

    kept = Kept(Path(given["folder"]), given["account"])
    kept.restore()
    before.roles(given["account"], given["roles"])
    if given["bucket"]:
        before.bucket(given["account"], given["region"], given["bucket"])
    moto = DomainDispatcherApplication(create_backend_app)
    app = Noted(moto, Log(Path(given["log"]), named), Faults(given["faults"]), kept)
    listening = int(sys.argv[1])
    server = make_server("127.0.0.1", 0, app, True, request_handler=Handler, fd=listening)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("serving", flush=True)  # noqa: T201
    Client(moto).get("/", headers={"Host": "s3.amazonaws.com"})  # the first of a service is slow
    sys.stdin.read()
    kept.keep()
    os._exit(0)  # a request under way is cut off


class Noted:
    """moto behind the log and the faults. Headers and objects pass as they are."""

    def __init__(self, moto: _App, log: Log, faults: Faults, kept: Kept) -> None:
        self._moto, self._log, self._faults, self._kept = moto, log, faults, kept

    def __call__(self, environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
        """Answer one request."""
        call, began = _call(environ), time.monotonic()
        own = call.header("Host").startswith("127.0.0.1")  # the cloud itself: no client's call
        fault = None if own else self._faults.of(call)
        if fault and (fault.status or fault.error):
            answer = fail(fault, call)
            status, headers = f"{answer.status} Fault", [("Content-Type", answer.kind)]
            body = answer.body
        else:
            time.sleep(fault.delay if fault else 0.0)
            status, headers, body = self._ask(environ)
            if call.method not in ("GET", "HEAD"):
                self._kept.keep()
        lost = fault is not None and fault.lost
        outcome = f"{status.split()[0]}, answer lost" if lost else status.split()[0]
        if not own:
            self._log.add(call, outcome, time.monotonic() - began)
        if lost:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionError("the answer is lost, as the scenario says")
        start(status, headers)
        return [body]

    def _ask(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        found: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[..., Any]:
            found[:] = [status, headers]
            return io.BytesIO().write

        parts = self._moto(environ, start)
        body = b"".join(parts)
        status, headers = found
        return status, headers, body


def _call(environ: dict[str, Any]) -> Call:
    """What is asked; the body only where it is short and no object."""
    kind = environ.get("CONTENT_TYPE", "")
    length, body = environ.get("CONTENT_LENGTH") or "0", b""
    telling = kind.startswith(("application/x-www-form-urlencoded", "application/x-amz-json"))
    if telling and length.isdigit() and 0 < int(length) < _SHORT:
        body = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = io.BytesIO(body)
    headers: Mapping[str, str] = {
        "Host": environ.get("HTTP_HOST", ""),
        "Content-Type": kind,
        "X-Amz-Target": environ.get("HTTP_X_AMZ_TARGET", ""),
    }
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    return Call(environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/"), query, headers, body)


if __name__ == "__main__":
    main()
