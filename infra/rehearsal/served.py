"""A server of an endpoint that runs on a rehearsed machine, and is asked over HTTP."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from infra.rehearsal.machine import Machine

ENDED = "ended"
"""A file beside the log; its time is when the server ended."""
_GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL."""
_HEALTH = 2.0
"""Seconds that one look at its health may take, where nobody says."""
LOST = (OSError, http.client.HTTPException)
"""What is raised where there is no answer."""


class Reply(NamedTuple):
    """What a server answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def kind(self, otherwise: str = "application/json") -> str:
        """Its Content-Type."""
        found = (value for name, value in self.headers.items() if name.lower() == "content-type")
        return next(found, otherwise)


class Server:
    """A server that runs; ``health`` is the path by which it says that it is well."""

    def __init__(self, machine: Machine, port: int, folder: Path, health: str) -> None:
        self._machine, self._port, self._folder, self._health = machine, port, folder, health
        self._over = threading.Event()
        threading.Thread(target=self._wait, daemon=True).start()

    def gone(self) -> bool:
        """Whether it has ended by itself."""
        return self._over.is_set()

    def healthy(self, seconds: float = _HEALTH) -> bool:
        """Whether it says so, and in time."""
        try:
            return self.ask("GET", self._health, b"", {}, seconds).status == http.client.OK
        except LOST:
            return False

    def ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> Reply:
        """One request. Raises one of LOST where there is no answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=seconds)) as there:
            there.request(method, path, body, dict(headers))
            found = there.getresponse()
            return Reply(found.status, found.read(), dict(found.getheaders()))

    def stop(self) -> None:
        """Let it finish what it does, and end it."""
        self._machine.terminate()
        if not self._over.wait(_GRACE):
            self._machine.kill()
            self._over.wait()

    def _wait(self) -> None:
        self._machine.wait()
        (self._folder / ENDED).touch()
        self._over.set()


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
