"""Endpoints: models in their versions, what is deployed of them, and the servers that answer.

models.py      models, versions, aliases        endpoints.py   endpoints, and what is deployed
server.py      one server, started for real     fleet.py       those of an endpoint
runtime.py     what is asked of an endpoint     batch.py       what is asked in a file
metadata.py    what a server learns of itself
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from infra.gcp.emulator.operations import Operations
from infra.gcp.emulator.serving.batch import Batch
from infra.gcp.emulator.serving.endpoints import Endpoints
from infra.gcp.emulator.serving.models import Models
from infra.gcp.emulator.serving.runtime import Runtime
from infra.gcp.emulator.vertex import Operation
from infra.gcp.emulator.world import World


class Serving:
    """All of it, begun and ended together."""

    def __init__(self, world: World) -> None:
        self._operations = Operations(world)
        models = Models(world, self._operations)
        self._endpoints = Endpoints(world, self._operations, models)
        self._runtime = Runtime(self._endpoints)
        self._batch = Batch(world, self._operations, models)
        self._parts = (self._operations, models, self._endpoints, self._runtime, self._batch)

    def operations(self) -> Mapping[str, Operation]:
        """What it does, by the IDs of the description."""
        found: dict[str, Operation] = {}
        for part in self._parts:
            found |= part.operations()
        return found

    def logs(self, endpoint: str) -> list[tuple[str, Path, float]]:
        """Each log of an endpoint: its name, its file, and when it began."""
        return self._endpoints.fleet.logs(endpoint)

    def resume(self) -> None:
        """Go on with what was under way when the stand-in ended."""
        self._endpoints.resume()
        self._operations.resume()
        self._batch.resume()

    def close(self) -> None:
        """Halt what is under way, and end the servers."""
        self._operations.close()
        self._batch.close()
        self._endpoints.close()
