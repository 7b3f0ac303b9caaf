"""What every place says of what it serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EndpointState = Literal["serving", "canary", "unhealthy", "dead", "stopped", "damaged"]


@dataclass(frozen=True)
class Endpoint:
    """Where an endpoint stands. ``previous`` is the version that a rollback brings back.

    ``pid`` is of its server on this machine; ``started`` is in seconds since 1970. Of a damaged
    one nothing is known but its name and, in ``message``, what to do.
    """

    name: str
    version: str
    url: str
    state: EndpointState
    pid: int | None
    started: float | None
    previous: str | None
    message: str = ""
