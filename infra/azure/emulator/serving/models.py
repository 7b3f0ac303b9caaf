"""Models: versions that name where their files lie. A version never names anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.azure.emulator.check import check
from infra.azure.emulator.mounts import Unavailable, place_of
from infra.azure.emulator.refusal import Refused
from infra.azure.emulator.routing import Asked, Route
from infra.azure.emulator.serving.endpoints import check_names
from infra.azure.emulator.world import World
from infra.rehearsal.server import Answer, answer

KIND = "models"
_VERSION = r"models/([^/]+)/versions/([^/]+)"


class Models:
    """All of them in one workspace."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """What is asked of them."""
        return [
            Route("PUT", _VERSION, self._put),
            Route("GET", _VERSION, self._get),
            Route("DELETE", _VERSION, self._delete),
            Route("GET", "models/([^/]+)/versions", self._list),
        ]

    def _put(self, asked: Asked) -> Answer:
        name, version = asked.names
        body = asked.body()
        check_names(KIND, name, version)
        check(KIND, asked.version, body)
        uri, store = body["properties"].get("modelUri", ""), self._world.store
        self._require(uri)
        with store.lock:
            record, status = store.get(KIND, f"{name}~{version}"), 200
            if record is None:
                arn = self._world.id(f"models/{name}/versions/{version}")
                record = store.add(KIND, f"{name}~{version}", arn, properties=body["properties"])
                status = 201
            elif record["properties"].get("modelUri") != uri:
                raise Refused(
                    409, "UserError", f"Model {name}:{version} exists, and its path never changes.",
                    (("properties.modelUri", "cannot be changed"),),
                )  # fmt: skip
            else:
                record["properties"] = body["properties"]
                store.save(KIND, record)
        return answer(self._told(record), status)

    def _get(self, asked: Asked) -> Answer:
        return answer(self._told(find(self._world, *asked.names)))

    def _delete(self, asked: Asked) -> Answer:
        found = find(self._world, *asked.names)
        self._world.store.remove(KIND, found["name"])
        return Answer(200)

    def _list(self, asked: Asked) -> Answer:
        found = [
            e for e in self._world.store.of(KIND) if e["name"].startswith(f"{asked.names[0]}~")
        ]
        return answer({"value": [self._told(each) for each in found[::-1]]})

    def _require(self, uri: str) -> None:
        """Raise Refused where nothing lies at the address."""
        try:
            place = place_of(uri, self._world)
        except Unavailable as error:
            raise Refused(400, "UserError", str(error), (("properties.modelUri", uri),)) from None
        if not any(self._world.blobs.listed(place.container, place.prefix.rstrip("/"))):
            raise Refused(
                400, "UserError", f"The path of the model does not exist: {uri}",
                (("properties.modelUri", "leads nowhere"),),
            )  # fmt: skip

    def _told(self, record: Mapping[str, Any]) -> dict[str, Any]:
        given = {"isArchived": False, "isAnonymous": False, "flavors": {}, **record["properties"]}
        return self._world.resource(dict(record), "models/versions", given)


def find(world: World, name: str, version: str) -> dict[str, Any]:
    """A version. Raises Refused."""
    found = world.store.get(KIND, f"{name}~{version}")
    if found is None:
        raise Refused(404, "UserError", f"Model {name}:{version} was not found.")
    return found
