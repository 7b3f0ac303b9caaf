"""Models: an image, and where the files lie that it serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infra.aws.emulator.refusal import Refused
from infra.aws.emulator.registry import Registry
from infra.aws.emulator.serving.resource import MODEL
from infra.aws.emulator.world import World


class Models:
    """All models."""

    def __init__(self, world: World, registry: Registry) -> None:
        self._world, self._registry = world, registry

    def operations(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """The operations there are, by name."""
        return {
            "CreateModel": self._create,
            "DescribeModel": self._describe,
            "ListModels": self._list,
            "DeleteModel": self._delete,
        }

    def _create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._world.check_role(request.get("ExecutionRoleArn", ""))
        container = self._container(request)
        uri = data(container)
        if uri and not self._world.objects.exists(uri):
            raise Refused("ValidationException", f"Could not find model data at {uri}.")
        with self._world.store.lock:
            record = MODEL.add(self._world, request, container=container)
        return {"ModelArn": record["arn"]}

    def _container(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What runs: of a package, what the package says, and the model's own environment."""
        given = [request.get("PrimaryContainer"), *request.get("Containers", ())]
        containers = [each for each in given if each]
        if len(containers) != 1:
            raise Refused(
                "ValidationException",
                f"this rehearsal serves a model of one container, and here are {len(containers)}",
            )
        own = dict(containers[0])
        if "ModelPackageName" not in own:
            return own
        package = self._registry.package(own["ModelPackageName"])["request"]
        packed = package["InferenceSpecification"]["Containers"][0]
        environment = {**packed.get("Environment", {}), **own.get("Environment", {})}
        return {**packed, "Environment": environment}

    def _describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return MODEL.described(MODEL.find(self._world, request["ModelName"]))

    def _list(self, request: Mapping[str, Any]) -> dict[str, Any]:
        found = [MODEL.told(each) for each in MODEL.wanted(self._world, request)]
        return self._world.page(found, request, "Models")

    def _delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._world.store.remove("Model", MODEL.find(self._world, request["ModelName"])["name"])
        return {}


def data(container: Mapping[str, Any]) -> str:
    """Where the files of a container's model lie; empty where it has none."""
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    uri: str = container.get("ModelDataUrl") or source.get("S3Uri", "")
    return uri
