"""SageMaker's control plane: JSON in, JSON out, the operation named by X-Amz-Target."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from infra.aws import validate
from infra.aws.emulator.check import check
from infra.aws.emulator.jobs import Jobs
from infra.aws.emulator.pipelines import Pipelines
from infra.aws.emulator.refusal import Refused, refusal
from infra.aws.emulator.registry import Registry
from infra.aws.emulator.serving.configurations import Configurations
from infra.aws.emulator.serving.endpoints import Endpoints
from infra.aws.emulator.serving.models import Models
from infra.aws.emulator.tags import tagging
from infra.aws.emulator.world import World
from infra.rehearsal.server import Answer, Call

Operation: TypeAlias = Callable[[Mapping[str, Any]], dict[str, Any]]


class SageMaker:
    """Answers for one account in one region."""

    def __init__(self, world: World) -> None:
        self._jobs, registry = Jobs(world), Registry(world)
        self._pipelines = Pipelines(world, self._jobs, registry)
        self.endpoints = Endpoints(world)
        self._operations: Mapping[str, Operation] = {
            **self._jobs.operations(),
            **registry.operations(),
            **self._pipelines.operations(),
            **Models(world, registry).operations(),
            **Configurations(world).operations(),
            **self.endpoints.operations(),
            **tagging(world),
        }

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        try:
            return _json(self._carried_out(call))
        except Refused as refused:
            return refusal(refused, call)

    def resume(self) -> None:
        """Go on with what was under way when the stand-in ended."""
        self._jobs.resume()
        self._pipelines.resume()
        self.endpoints.resume()

    def close(self) -> None:
        """Halt what is under way."""
        self._pipelines.halt()
        self.endpoints.close()
        self._jobs.close()
        self._pipelines.join()

    def _carried_out(self, call: Call) -> dict[str, Any]:
        service, _, name = call.header("X-Amz-Target").partition(".")
        if service != "SageMaker" or name not in validate.operations():
            raise Refused("UnknownOperationException", f"SageMaker has no operation {name}")
        if name not in self._operations:
            raise Refused("UnknownOperationException", f"this rehearsal does not do {name}")
        try:
            request = json.loads(call.body or b"{}")
        except ValueError:
            raise Refused("SerializationException", "the request is not JSON") from None
        if not isinstance(request, dict):
            raise Refused("SerializationException", "the request is not an object")
        check(name, request)
        return self._operations[name](request)


def _json(document: Mapping[str, Any]) -> Answer:
    return Answer(200, json.dumps(document).encode(), "application/x-amz-json-1.1")
