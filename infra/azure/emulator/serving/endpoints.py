"""Endpoints: a name, an address, keys, and the share of the requests that each deployment gets."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

from infra.azure.emulator.check import check
from infra.azure.emulator.refusal import Refused
from infra.azure.emulator.routing import Asked, Route
from infra.azure.emulator.serving.change import CHANGING, Changes
from infra.azure.emulator.world import World
from infra.azure.serving import rules
from infra.rehearsal.server import Answer, answer
from infra.rehearsal.store import Record

KIND, DEPLOYMENT = "onlineEndpoints", "deployments"
_ONE = "onlineEndpoints/([^/]+)"
_TOKEN = 3600


class Endpoints:
    """All endpoints of one workspace."""

    def __init__(self, world: World, changes: Changes) -> None:
        self._world, self._changes = world, changes

    def routes(self) -> list[Route]:
        """What is asked of them."""
        return [
            Route("PUT", _ONE, self._put),
            Route("GET", _ONE, self._get),
            Route("DELETE", _ONE, self._delete),
            Route("GET", KIND, self._list),
            Route("POST", f"{_ONE}/listKeys", self._keys),
            Route("POST", f"{_ONE}/regenerateKeys", self._renew),
            Route("POST", f"{_ONE}/token", self._token),
        ]

    def _put(self, asked: Asked) -> Answer:
        name, body = asked.names[0], asked.body()
        check_names(KIND, name)
        check(KIND, asked.version, body)
        with self._world.store.lock:
            record = self._world.store.get(KIND, name)
            self._require(name, body, record)
            if record is None:
                arn = self._world.id(f"{KIND}/{name}")
                record = self._world.store.add(
                    KIND, name, arn, request=body, status="Creating", operation="", error=None,
                    salt=0,
                )  # fmt: skip
                return self._begin(record, asked, 201)
            record.update(request=body, status="Updating")
            return self._begin(record, asked, 200)

    def _get(self, asked: Asked) -> Answer:
        return answer(self._told(find(self._world, asked.names[0])))

    def _list(self, _: Asked) -> Answer:
        return answer({"value": [self._told(each) for each in self._world.store.of(KIND)]})

    def _delete(self, asked: Asked) -> Answer:
        with self._world.store.lock:
            record = self._world.store.get(KIND, asked.names[0])
            if record is None:
                return Answer(204)
            steady(record, "endpoint")
            for each in deployments(self._world, record["name"]):
                steady(each, "deployment")
            record["status"] = "Deleting"
            return self._begin(record, asked, 202)

    def _keys(self, asked: Asked) -> Answer:
        record = find(self._world, asked.names[0])
        if record["request"]["properties"]["authMode"].lower() != "key":
            raise Refused(400, "BadRequest", f"Endpoint {record['name']} has no keys.")
        first, second = keys(record)
        return answer({"primaryKey": first, "secondaryKey": second})

    def _renew(self, asked: Asked) -> Answer:
        record = find(self._world, asked.names[0])
        record["salt"] += 1
        self._world.store.save(KIND, record)
        key = self._world.operations.begin()
        self._world.operations.end(key)
        return self._world.operations.accepted(key, asked)

    def _token(self, asked: Asked) -> Answer:
        record = find(self._world, asked.names[0])
        if record["request"]["properties"]["authMode"].lower() != "amltoken":
            raise Refused(400, "BadRequest", f"Endpoint {record['name']} has no tokens.")
        now = round(time.time())
        return answer({
            "accessToken": keys(record)[0], "tokenType": "Bearer",
            "expiryTimeUtc": now + _TOKEN, "refreshAfterTimeUtc": now + _TOKEN // 2,
        })  # fmt: skip

    def _require(self, name: str, body: Mapping[str, Any], record: Record | None) -> None:
        """Raise Refused where the body is right in itself, and does not fit what there is."""
        properties = body["properties"]
        for identity in body.get("identity", {}).get("userAssignedIdentities") or {}:
            if self._world.scope.identities and identity not in self._world.scope.identities:
                raise _wrong("identity.userAssignedIdentities", f"there is no identity {identity}")
        if body["location"].lower() != self._world.scope.region:
            raise _wrong("location", f"the workspace is in {self._world.scope.region}")
        if record is not None:
            steady(record, "endpoint")
            if record["request"]["properties"]["authMode"] != properties["authMode"]:
                raise _wrong("properties.authMode", "cannot be changed once the endpoint is there")
        there = {each["name"]: each for each in deployments(self._world, name)}
        for field in ("traffic", "mirrorTraffic"):
            for deployment, percent in (properties.get(field) or {}).items():
                known = there.get(f"{name}.{deployment}")
                if known is None:
                    words = f"there is no deployment {deployment} of {name}"
                    raise _wrong(f"properties.{field}[{deployment!r}]", words)
                if percent and known["status"] != "Succeeded":
                    words = f"the deployment {deployment} is {known['status']}"
                    raise _wrong(f"properties.{field}[{deployment!r}]", words)

    def _begin(self, record: Record, asked: Asked, status: int) -> Answer:
        record["operation"] = self._world.operations.begin()
        record["version"] = asked.version
        self._world.store.save(KIND, record)
        self._changes.begin(KIND, record)
        told = None if status == 202 else self._told(record)
        return self._world.operations.accepted(record["operation"], asked, told, status)

    def _told(self, record: Record) -> dict[str, Any]:
        asked, host = record["request"], address(self._world, record["name"])
        properties = {
            "traffic": {}, "mirrorTraffic": {}, "publicNetworkAccess": "Enabled",
            **asked["properties"],
            "scoringUri": f"https://{host}/score",
            "swaggerUri": f"https://{host}/swagger.json",
            "provisioningState": record["status"],
        }  # fmt: skip
        properties["properties"] = {
            **(properties.get("properties") or {}),
            "AzureAsyncOperationUri": self._world.operations.uri(
                record["operation"], record["version"]
            ),
        }
        return tracked(self._world, record, KIND, properties)


def find(world: World, name: str) -> Record:
    """An endpoint. Raises Refused."""
    found = world.store.get(KIND, name)
    if found is None:
        raise Refused(404, "ResourceNotFound", f"The endpoint {name} was not found.")
    return found


def deployments(world: World, endpoint: str) -> list[Record]:
    """Those of an endpoint."""
    return [each for each in world.store.of(DEPLOYMENT) if each["endpoint"] == endpoint]


def check_names(kind: str, *names: str) -> None:
    """Raise Refused where Azure would not take the names of an address."""
    if found := list(rules.named(kind, *names)):
        words = "; ".join(map(str, found))
        raise Refused(400, "BadArgument", words, tuple((e.path, e.words) for e in found))


def steady(record: Record, what: str) -> None:
    """Raise Refused where it changes just now."""
    if record["status"] in CHANGING:
        name = record["arn"].rpartition("/")[2]
        raise Refused(
            409, "Conflict", f"The {what} {name} is {record['status']} and takes no change now."
        )


def tracked(
    world: World, record: Record, kind: str, properties: Mapping[str, Any]
) -> dict[str, Any]:
    """A record as ARM returns it, with what tracked resources have beside their properties."""
    asked = record["request"]
    more = {key: asked[key] for key in ("identity", "kind", "sku") if key in asked}
    found = world.resource(record, kind, properties)
    return {**found, "location": asked["location"], "tags": asked.get("tags") or {}, **more}


def keys(record: Mapping[str, Any]) -> tuple[str, str]:
    """Made up of its name, so that a later rehearsal has the same."""
    text = f"{record['arn']} {record['salt']}"
    first, second = (hashlib.sha256(f"{text} {each}".encode()).hexdigest() for each in (1, 2))
    return first[:32], second[:32]


def address(world: World, name: str) -> str:
    """The host that answers for an endpoint."""
    return f"{name.lower()}.{world.scope.region}.inference.ml.azure.com"


def _wrong(path: str, words: str) -> Refused:
    return Refused(400, "BadArgument", f"{path}: {words}", ((path, words),))
