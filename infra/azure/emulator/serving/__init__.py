"""Endpoints: registered models, deployments of them, and the servers that answer.

models.py       versions of models              endpoints.py   endpoints, their traffic and keys
deployments.py  deployments, and their logs     change.py      takes one from a state to the next
server.py       one server, started for real    gateway.py     the address where it is asked
machine.py      its container                   rented.py      how long which machines were there
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.azure.emulator.routing import Route
from infra.azure.emulator.serving.change import Changes
from infra.azure.emulator.serving.deployments import Deployments
from infra.azure.emulator.serving.endpoints import Endpoints
from infra.azure.emulator.serving.gateway import Gateway
from infra.azure.emulator.serving.machine import choose
from infra.azure.emulator.serving.models import Models
from infra.azure.emulator.world import World


class Serving:
    """All of it. What changes goes on when the stand-in is started again."""

    def __init__(
        self, world: World, runner: str, workspace: Path, commands: Mapping[str, Sequence[str]]
    ) -> None:
        """``runner`` and ``commands`` say how servers are started: see machine.choose."""
        self._changes = Changes(world, choose(runner, workspace, commands))
        self._parts = (
            Models(world), Endpoints(world, self._changes), Deployments(world, self._changes),
        )  # fmt: skip
        self.gateway = Gateway(world, self._changes)

    def routes(self) -> list[Route]:
        """What is asked of ARM."""
        return [route for part in self._parts for route in part.routes()]

    def resume(self) -> None:
        """Go on with what was changing."""
        self._changes.resume()

    def close(self) -> None:
        """Halt what changes, and end the servers."""
        self.gateway.close()
        self._changes.close()
