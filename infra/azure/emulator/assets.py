"""Environments, components, code and data: each version once, and never another.

A version that is put again is the one that was there, whatever is put: so does Azure.
"""

from __future__ import annotations

from infra.azure.emulator.check import check
from infra.azure.emulator.refusal import Refused
from infra.azure.emulator.routing import Asked, Route
from infra.azure.emulator.world import World
from infra.rehearsal.server import Answer, answer

KINDS = ("environments", "components", "codes", "data")


class Assets:
    """All of them in one workspace."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """What is asked of them."""
        kinds = "|".join(KINDS)
        return [
            Route("PUT", rf"({kinds})/([^/]+)/versions/([^/]+)", self._put),
            Route("GET", rf"({kinds})/([^/]+)/versions/([^/]+)", self._get),
            Route("GET", rf"({kinds})/([^/]+)/versions", self._list),
        ]

    def _put(self, asked: Asked) -> Answer:
        kind, name, version = asked.names
        body = asked.body()
        check(kind, asked.version, body)
        key, store = f"{name}~{version}", self._world.store
        with store.lock:
            record, status = store.get(kind, key), 200
            if record is None:
                arn = self._world.id(f"{kind}/{name}/versions/{version}")
                record = store.add(kind, key, arn, properties=body["properties"])
                status = 201
        return answer(self._world.resource(record, f"{kind}/versions", _told(record)), status)

    def _get(self, asked: Asked) -> Answer:
        kind, name, version = asked.names
        record = self._world.store.get(kind, f"{name}~{version}")
        if record is None:
            raise Refused(404, "UserError", f"{kind} {name}:{version} was not found.")
        return answer(self._world.resource(record, f"{kind}/versions", _told(record)))

    def _list(self, asked: Asked) -> Answer:
        kind, name = asked.names
        found = [e for e in self._world.store.of(kind) if e["name"].startswith(f"{name}~")]
        told = [self._world.resource(e, f"{kind}/versions", _told(e)) for e in found[::-1]]
        return answer({"value": told})


def _told(record: dict[str, object]) -> dict[str, object]:
    given = record["properties"]
    assert isinstance(given, dict)  # noqa: S101  for mypy
    return {"provisioningState": "Succeeded", "isArchived": False, **given}
