"""One server of a deployment, by the contract of Azure ML: three routes, each with a port.

It stands for all the machines of its deployment.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from typing import Any

from infra.azure.emulator.serving.machine import Serving, ServingMachines
from infra.azure.emulator.world import World
from infra.errors import TrefoilError
from infra.rehearsal.served import Server, free_port

_POLL = 0.03
"""Seconds between two looks."""
_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")
_TROUBLE = "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#error-"


class Unready(Exception):
    """It did not come to serve; the code and the reason, as Azure has them."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Halted(Exception):
    """The stand-in ends."""


def started(
    world: World, machines: ServingMachines, work: Serving, routes: Mapping[str, Any],
    request: Mapping[str, Any], halt: threading.Event,
) -> Server:  # fmt: skip
    """A server that is ready. Raises Unready, and Halted where ``halt`` was set meanwhile."""
    port, path = free_port(), routes["readinessRoute"]["path"]
    try:
        server = Server(machines.start(work, port), port, work.log.parent, path)
    except TrefoilError as error:
        raise Unready("BadArgument", f"The container did not start: {error}") from None
    probe = request["properties"].get("readinessProbe") or {}
    deadline = time.monotonic() + world.scenario.get("startup", _patience(probe))
    timeout = seconds(probe.get("timeout", "PT2S"))
    while not server.healthy(timeout):
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
