"""One server of a deployment, by the contract of Azure ML: three routes, each with a port.

It stands for all the machines of its deployment.
"""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from infra.azure.emulator.machine import Machine
from infra.azure.emulator.serving.machine import Serving, ServingMachines
from infra.azure.emulator.world import World
from infra.errors import TrefoilError

ENDED = "ended"
"""A file beside the log; its time is when the server ended."""
_GRACE, _POLL = 30.0, 0.1
"""Seconds between SIGTERM and SIGKILL, and between two looks."""
_LOST = (OSError, http.client.HTTPException)
_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")
_TROUBLE = "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#error-"


class Unready(Exception):
    """It did not come to serve; the code and the reason, as Azure has them."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Halted(Exception):
    """The stand-in ends."""


class Reply(NamedTuple):
    """What a server answered."""

    status: int
    reason: str
    body: bytes
    headers: Mapping[str, str]


class Server:
    """A server that runs."""

    def __init__(self, machine: Machine, port: int, folder: Path) -> None:
        self._machine, self._port, self._folder = machine, port, folder
        self._over = threading.Event()
        threading.Thread(target=self._wait, daemon=True).start()

    def gone(self) -> bool:
        """Whether it has ended by itself."""
        return self._over.is_set()

    def well(self, path: str, seconds: float) -> bool:
        """Whether a probe is answered with 200, and in time."""
        try:
            return self.ask("GET", path, b"", {}, seconds).status == http.client.OK
        except _LOST:
            return False

    def ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> Reply:
        """One request. Raises OSError or HTTPException where there is no answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=seconds)) as there:
            there.request(method, path, body, dict(headers))
            found = there.getresponse()
            return Reply(found.status, found.reason, found.read(), dict(found.getheaders()))

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


def started(
    world: World, machines: ServingMachines, work: Serving, routes: Mapping[str, Any],
    request: Mapping[str, Any], halt: threading.Event,
) -> Server:  # fmt: skip
    """A server that is ready. Raises Unready, and Halted where ``halt`` was set meanwhile."""
    port, folder = _free_port(), work.log.parent
    try:
        server = Server(machines.start(work, port), port, folder)
    except TrefoilError as error:
        raise Unready("BadArgument", f"The container did not start: {error}") from None
    probe = request["properties"].get("readinessProbe") or {}
    deadline = time.monotonic() + world.scenario.get("startup", _patience(probe))
    path, timeout = routes["readinessRoute"]["path"], seconds(probe.get("timeout", "PT2S"))
    while not server.well(path, timeout):
        if halt.wait(_POLL):
            server.stop()
            raise Halted
        if server.gone() or time.monotonic() > deadline:
            how = "has crashed or terminated" if server.gone() else f"is never ready at {path}"
            server.stop()
            raise Unready("ResourceNotReady", f"User container {how}. {_TROUBLE}resourcenotready")
    return server


def seconds(duration: str) -> float:
    """Those of an ISO 8601 duration."""
    found = _DURATION.fullmatch(duration)
    hours, minutes, rest = found.groups() if found else (None, None, None)
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(rest or 0)


def _patience(probe: Mapping[str, Any]) -> float:
    """Seconds until Azure gives up a server that is not ready."""
    period = seconds(probe.get("period", "PT10S"))
    failures = int(probe.get("failureThreshold", 30))
    return seconds(probe.get("initialDelay", "PT10S")) + period * failures


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
