"""Deployments: the servers of a model behind an endpoint, and what they print."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.azure.emulator.check import check
from infra.azure.emulator.refusal import Refused
from infra.azure.emulator.routing import Asked, Route
from infra.azure.emulator.serving import models
from infra.azure.emulator.serving.change import Changes, logs
from infra.azure.emulator.serving.endpoints import (
    DEPLOYMENT,
    KIND,
    check_names,
    deployments,
    find,
    steady,
    tracked,
)
from infra.azure.emulator.world import World
from infra.rehearsal.server import Answer, answer
from infra.rehearsal.store import Record

_ALL = "onlineEndpoints/([^/]+)/deployments"
_ONE = f"{_ALL}/([^/]+)"
_ASSET = re.compile(r"(?:azureml:)?(?P<scope>/.*)/(?P<kind>models|environments)/"
                    r"(?P<name>[^/]+)/versions/(?P<version>[^/]+)")  # fmt: skip
_SHORT = re.compile(r"azureml:(?P<name>[^:/]+):(?P<version>[^:/]+)")


class Deployments:
    """All deployments of one workspace."""

    def __init__(self, world: World, changes: Changes) -> None:
        self._world, self._changes = world, changes

    def routes(self) -> list[Route]:
        """What is asked of them."""
        return [
            Route("PUT", _ONE, self._put),
            Route("GET", _ONE, self._get),
            Route("DELETE", _ONE, self._delete),
            Route("GET", _ALL, self._list),
            Route("POST", f"{_ONE}/getLogs", self._logs),
        ]

    def _put(self, asked: Asked) -> Answer:
        endpoint, name = asked.names
        body = asked.body()
        check_names(KIND, endpoint, name)
        check("onlineDeployments", asked.version, body)
        with self._world.store.lock:
            steady(find(self._world, endpoint), "endpoint")
            key = f"{endpoint}.{name}"
            record = self._world.store.get(DEPLOYMENT, key)
            if record is not None:
                steady(record, "deployment")
            made_of = self._made_of(body["properties"])
            self._require_quota(body, record)
            if record is None:
                arn = self._world.id(f"{KIND}/{endpoint}/deployments/{name}")
                record = self._world.store.add(
                    DEPLOYMENT, key, arn, endpoint=endpoint, request=body, made_of=made_of,
                    status="Creating", operation="", error=None,
                )  # fmt: skip
                return self._begin(record, asked, 201)
            record.update(request=body, made_of=made_of, status="Updating", error=None)
            return self._begin(record, asked, 200)

    def _get(self, asked: Asked) -> Answer:
        return answer(self._told(self._find(asked)))

    def _list(self, asked: Asked) -> Answer:
        find(self._world, asked.names[0])
        found = deployments(self._world, asked.names[0])
        return answer({"value": [self._told(each) for each in found]})

    def _delete(self, asked: Asked) -> Answer:
        endpoint, name = asked.names
        with self._world.store.lock:
            record = self._world.store.get(DEPLOYMENT, f"{endpoint}.{name}")
            if record is None:
                return Answer(204)
            steady(record, "deployment")
            shares = find(self._world, endpoint)["request"]["properties"]
            for field in ("traffic", "mirrorTraffic"):
                if (shares.get(field) or {}).get(name):
                    raise Refused(
                        400, "BadArgument",
                        f"The deployment {name} gets requests of {endpoint}, and cannot be "
                        "deleted; set its traffic to 0 first.",
                        ((f"properties.{field}[{name!r}]", "is not 0"),),
                    )  # fmt: skip
            record["status"] = "Deleting"
            return self._begin(record, asked, 202)

    def _logs(self, asked: Asked) -> Answer:
        record, body = self._find(asked), asked.body()
        container = body.get("containerType") or "InferenceServer"
        if container not in logs(self._world, record):
            raise Refused(
                400, "BadArgument", f"containerType: there is no container {container}",
                (("containerType", f"is {container}"),),
            )  # fmt: skip
        lines = _read(logs(self._world, record)[container])
        tail = body.get("tail")
        return answer({"content": "".join(lines[-tail:] if tail else lines)})

    def _find(self, asked: Asked) -> Record:
        endpoint, name = asked.names
        find(self._world, endpoint)
        found = self._world.store.get(DEPLOYMENT, f"{endpoint}.{name}")
        if found is None:
            raise Refused(
                404, "ResourceNotFound", f"The deployment {name} of {endpoint} was not found."
            )
        return found

    def _made_of(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """The model and the environment that a deployment names. Raises Refused."""
        model = self._asset(properties, "model", "models")
        environment = self._asset(properties, "environmentId", "environments")
        if "inferenceConfig" not in environment["properties"]:
            raise Refused(
                400, "BadArgument",
                "properties.environmentId: an environment of an own image needs its routes "
                "(inferenceConfig), where a deployment has no code",
                (("properties.environmentId", "has no inferenceConfig"),),
            )  # fmt: skip
        return {
            "model": model["properties"]["modelUri"], "model_name": model["name"],
            "image": environment["properties"]["image"],
            "routes": environment["properties"]["inferenceConfig"],
        }  # fmt: skip

    def _asset(self, properties: Mapping[str, Any], field: str, kind: str) -> Record:
        text = properties.get(field) or ""
        found = _ASSET.fullmatch(text) or _SHORT.fullmatch(text)
        try:
            if found is None or found.groupdict().get("kind", kind) != kind:
                raise Refused(400, "BadArgument", f"names none of the {kind}")
            if kind == "models":
                return models.find(self._world, found["name"], found["version"])
            record = self._world.store.get(kind, f"{found['name']}~{found['version']}")
            if record is None:
                raise Refused(404, "UserError", f"{kind} {text} was not found.")
        except Refused as refused:
            words = f"properties.{field}: {refused.message}"
            details = ((f"properties.{field}", refused.message),)
            raise Refused(400, "BadArgument", words, details) from None
        return record

    def _require_quota(self, body: Mapping[str, Any], there: Record | None) -> None:
        """Raise Refused where the scenario gives the subscription too few machines of a type."""
        limits: Mapping[str, int] = self._world.scenario.get("limits", {})
        machine = body["properties"].get("instanceType", "")
        limit = limits.get(machine, limits.get("*"))
        if limit is None:
            return
        used = sum(
            _count(each["request"])
            for each in self._world.store.of(DEPLOYMENT)
            if each["request"]["properties"].get("instanceType") == machine and each is not there
        )
        if used + _count(body) > limit:
            raise Refused(
                400, "OutOfQuota",
                f"Not enough quota available for {machine} in SubscriptionId "
                f"{self._world.scope.subscription}. Current usage/limit: {used}/{limit}. "
                f"Additional needed: {used + _count(body) - limit}.",
                (("properties.instanceType", f"is {machine}"),),
            )  # fmt: skip

    def _begin(self, record: Record, asked: Asked, status: int) -> Answer:
        record["operation"] = self._world.operations.begin()
        record["version"] = asked.version
        self._world.store.save(DEPLOYMENT, record)
        self._changes.begin(DEPLOYMENT, record)
        told = None if status == 202 else self._told(record)
        return self._world.operations.accepted(record["operation"], asked, told, status)

    def _told(self, record: Record) -> dict[str, Any]:
        asked = record["request"]["properties"]
        where = self._world.operations.uri(record["operation"], record["version"])
        properties = {
            "appInsightsEnabled": False, "scaleSettings": {"scaleType": "Default"}, **asked,
            "provisioningState": record["status"],
            "properties": {**(asked.get("properties") or {}), "AzureAsyncOperationUri": where},
        }  # fmt: skip
        return tracked(self._world, record, f"{KIND}/deployments", properties)


def _count(body: Mapping[str, Any]) -> int:
    return int((body.get("sku") or {}).get("capacity") or 1)


def _read(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return []
