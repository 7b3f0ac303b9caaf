"""Endpoint configurations: which models are behind an endpoint. Nothing changes one, once made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infra.aws.emulator.serving.resource import CONFIGURATION, MODEL
from infra.aws.emulator.world import World


class Configurations:
    """All configurations. One may be deleted while an endpoint is made of it, as with AWS."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """The operations there are, by name."""
        return {
            "CreateEndpointConfig": self._create,
            "DescribeEndpointConfig": self._describe,
            "ListEndpointConfigs": self._list,
            "DeleteEndpointConfig": self._delete,
        }

    def _create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.store.lock:
            for variant in request["ProductionVariants"]:
                if "ModelName" in variant:
                    MODEL.find(self._world, variant["ModelName"])
            record = CONFIGURATION.add(self._world, request)
        return {"EndpointConfigArn": record["arn"]}

    def _describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        found = CONFIGURATION.find(self._world, request["EndpointConfigName"])
        return CONFIGURATION.described(found)

    def _list(self, request: Mapping[str, Any]) -> dict[str, Any]:
        found = [CONFIGURATION.told(each) for each in CONFIGURATION.wanted(self._world, request)]
        return self._world.page(found, request, "EndpointConfigs")

    def _delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        found = CONFIGURATION.find(self._world, request["EndpointConfigName"])
        self._world.store.remove("EndpointConfig", found["name"])
        return {}
