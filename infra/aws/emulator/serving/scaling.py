"""Application Auto Scaling, as far as endpoints have it: targets and policies. Nothing is scaled.

moto's would take a target of an endpoint that is not there, and has another error where none is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from infra.aws import validate
from infra.aws.emulator.refusal import Refused, refusal
from infra.aws.emulator.serving.resource import ENDPOINT
from infra.aws.emulator.world import World
from infra.rehearsal.server import Answer, Call
from infra.rehearsal.store import Record

_SERVICE = "application-autoscaling"
_TARGET, _POLICY = "ScalableTarget", "ScalingPolicy"
_RESOURCE = re.compile(r"endpoint/([\w-]+)/variant/([\w-]+)")
_DIMENSION = "sagemaker:variant:DesiredInstanceCount"


class Scaling:
    """Answers for the service namespace sagemaker."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._operations: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "RegisterScalableTarget": self._register,
            "DeregisterScalableTarget": self._deregister,
            "DescribeScalableTargets": self._targets,
            "PutScalingPolicy": self._put,
            "DescribeScalingPolicies": self._policies,
        }

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        name = call.header("X-Amz-Target").partition(".")[2]
        try:
            if name not in self._operations:
                raise Refused("UnknownOperationException", f"this rehearsal does not do {name}")
            request = json.loads(call.body)
            if found := validate.shaped(_SERVICE, name, request):
                raise Refused("ValidationException", "; ".join(map(str, found)))
            told = self._operations[name](request)
        except Refused as refused:
            return refusal(refused, call)
        return Answer(200, json.dumps(told).encode(), "application/x-amz-json-1.1")

    def _register(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A new target, or other limits of one that there is."""
        with self._world.store.lock:
            self._check(request)
            known = self._world.store.get(_TARGET, _key(request))
            if known is None and not {"MinCapacity", "MaxCapacity"} <= request.keys():
                raise Refused("ValidationException", "MinCapacity and MaxCapacity are required")
            asked = {**(known["request"] if known else {}), **request}
            if asked["MinCapacity"] > asked["MaxCapacity"]:
                raise Refused("ValidationException", "Maximum capacity is less than minimum")
            arn = self._arn("scalable-target", request)
            self._world.store.add(_TARGET, _key(request), arn, request=asked)
        return {"ScalableTargetARN": arn}

    def _deregister(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.store.lock:
            self._world.store.remove(_TARGET, self._target(request)["name"])
            for each in self._world.store.of(_POLICY):
                if _key(each["request"]) == _key(request):
                    self._world.store.remove(_POLICY, each["name"])
        return {}

    def _targets(self, request: Mapping[str, Any]) -> dict[str, Any]:
        wanted = request.get("ResourceIds")
        return {
            "ScalableTargets": [
                {
                    **each["request"],
                    "ScalableTargetARN": each["arn"],
                    "CreationTime": each["created"],
                }
                for each in self._world.store.of(_TARGET)
                if wanted is None or each["request"]["ResourceId"] in wanted
            ]
        }

    def _put(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.store.lock:
            self._target(request)
            arn = self._arn("scalingPolicy", request)
            name = f"{_key(request)}.{request['PolicyName']}"
            self._world.store.add(_POLICY, name, arn, request=dict(request))
        return {"PolicyARN": arn, "Alarms": []}

    def _policies(self, request: Mapping[str, Any]) -> dict[str, Any]:
        wanted = request.get("ResourceId")
        return {
            "ScalingPolicies": [
                {**each["request"], "PolicyARN": each["arn"], "CreationTime": each["created"]}
                for each in self._world.store.of(_POLICY)
                if wanted is None or each["request"]["ResourceId"] == wanted
            ]
        }

    def _check(self, request: Mapping[str, Any]) -> None:
        """Raise Refused unless it is about a variant that there is."""
        found = _RESOURCE.fullmatch(request["ResourceId"])
        if not found or request["ScalableDimension"] != _DIMENSION:
            raise Refused(
                "ValidationException", "Unsupported service namespace, resource type or dimension"
            )
        endpoint = self._world.store.get(ENDPOINT.kind, found[1])
        if endpoint is None or found[2] not in [each["name"] for each in endpoint["variants"]]:
            raise Refused(
                "ValidationException", f"No variant found for resource ID: {request['ResourceId']}"
            )

    def _target(self, request: Mapping[str, Any]) -> Record:
        found = self._world.store.get(_TARGET, _key(request))
        if found is None:
            raise Refused(
                "ObjectNotFoundException",
                "No scalable target registered for service namespace: sagemaker, resource ID: "
                f"{request['ResourceId']}, scalable dimension: {request['ScalableDimension']}",
            )
        return found

    def _arn(self, what: str, request: Mapping[str, Any]) -> str:
        place = f"{_SERVICE}:{self._world.region}:{self._world.account}"
        return f"arn:aws:{place}:{what}/{_key(request)}"


def _key(request: Mapping[str, Any]) -> str:
    """A resource as the name of a file."""
    resource: str = request["ResourceId"]
    return resource.replace("/", ".")
