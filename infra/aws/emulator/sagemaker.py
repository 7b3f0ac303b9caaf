"""SageMaker's control plane: JSON in, JSON out, the operation named by X-Amz-Target."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from infra.aws import validate
from infra.aws.emulator.jobs import Jobs
from infra.aws.emulator.refusal import Refused, refusal
from infra.aws.emulator.tags import tagging
from infra.aws.emulator.world import World
from infra.rehearsal.server import Answer, Call

Operation: TypeAlias = Callable[[Mapping[str, Any]], dict[str, Any]]


class SageMaker:
    """Answers for one account in one region."""

    def __init__(self, world: World) -> None:
        self.jobs = Jobs(world)
        self._operations: Mapping[str, Operation] = {**self.jobs.operations(), **tagging(world)}

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        try:
            return _json(self._carried_out(call))
        except Refused as refused:
            return refusal(refused, call)

    def resume(self) -> None:
        """Go on with what was under way when the stand-in ended."""
        self.jobs.resume()

    def close(self) -> None:
        """Halt what is under way."""
        self.jobs.close()

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


def check(operation: str, request: Mapping[str, Any]) -> None:
    """Raise Refused where SageMaker would not take the request, with every fault that it has."""
    if found := validate.problems(operation, request):
        count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected"
        raise Refused("ValidationException", f"{count}: {'; '.join(map(str, found))}")


def _json(document: Mapping[str, Any]) -> Answer:
    return Answer(200, json.dumps(document).encode(), "application/x-amz-json-1.1")
