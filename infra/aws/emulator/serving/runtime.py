"""What is asked of an endpoint: runtime.sagemaker, which has an address for each endpoint."""

from __future__ import annotations

import http.client
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from infra.aws.emulator.refusal import Refused, refusal
from infra.aws.emulator.serving.endpoints import Endpoints
from infra.aws.emulator.serving.fleet import Fleet, shares
from infra.aws.emulator.serving.later import Later
from infra.aws.emulator.serving.resource import ENDPOINT
from infra.aws.emulator.serving.server import Halted, Unhealthy
from infra.aws.emulator.world import World
from infra.rehearsal.served import Reply
from infra.rehearsal.server import Answer, Call
from infra.rehearsal.store import Record

_PATH = re.compile(r"/endpoints/([\w-]+)/(invocations|async-invocations)")
_LARGEST = 6_291_456
"""Bytes of a request, as the service's model has it."""
_SECONDS = 60.0
"""That a container has for an answer."""
_SERVING = frozenset({"InService", "Updating", "RollingBack"})
_VARIANT, _OWN = "X-Amzn-SageMaker-Target-Variant", "X-Amzn-SageMaker-Custom-Attributes"
_NO_ANSWER = "Your invocation timed out while waiting for a response from container primary."
_LONGEST = 2048
"""Characters of what a container said that an error repeats."""


class Runtime:
    """Answers InvokeEndpoint and InvokeEndpointAsync."""

    def __init__(self, world: World, endpoints: Endpoints) -> None:
        self._world, self._endpoints = world, endpoints
        self._later = Later(world)

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        found = _PATH.fullmatch(call.path)
        try:
            if not found or call.method != "POST":
                raise Refused(
                    "UnknownOperationException", f"this rehearsal does not do {call.path}", 404
                )
            record = self._serving(found[1])
            return (
                self._at_once(record, call)
                if found[2] == "invocations"
                else self._soon(record, call)
            )
        except (Unhealthy, Halted) as reason:
            return refusal(Refused("ServiceUnavailable", str(reason), 503), call)
        except Refused as refused:
            return refusal(refused, call)

    def close(self) -> None:
        """Wait for what is under way."""
        self._later.close()

    def _serving(self, name: str) -> Record:
        record = self._world.store.get(ENDPOINT.kind, name)
        if record is None or record["status"] not in _SERVING:
            raise Refused(
                "ValidationError", f"Endpoint {name} of account {self._world.account} not found."
            )
        return record

    def _at_once(self, record: Record, call: Call) -> Answer:
        if record["asynchronous"]:
            raise Refused(
                "ValidationError", f"Endpoint {record['name']} is asynchronous: InvokeEndpointAsync"
            )
        if len(call.body) > _LARGEST:
            raise Refused("ValidationError", f"Request body is larger than {_LARGEST} bytes", 413)
        fleet = self._endpoints.fleet(record)
        variant = self._variant(record, fleet, call.header(_VARIANT))
        kind = call.header("Content-Type")
        headers = {**_passed(call), **({"Content-Type": kind} if kind else {})}
        try:
            reply = fleet.servers[variant].ask("POST", "/invocations", call.body, headers, _SECONDS)
        except (OSError, http.client.HTTPException):
            return self._model_error(record, variant, 0, _NO_ANSWER)
        if reply.status >= http.client.BAD_REQUEST:
            told = reply.body.decode("utf-8", "replace")
            return self._model_error(record, variant, reply.status, told)
        return _answered(reply, variant)

    def _variant(self, record: Record, fleet: Fleet, wanted: str) -> str:
        if not wanted:
            return fleet.turn(shares(record))
        if wanted not in fleet.servers:
            raise Refused(
                "ValidationError",
                f"Variant {wanted} not found for endpoint {record['name']} of account "
                f"{self._world.account}.",
            )
        return wanted

    def _soon(self, record: Record, call: Call) -> Answer:
        config = record["asynchronous"]
        if not config:
            raise Refused(
                "ValidationError", f"Endpoint {record['name']} is not asynchronous: InvokeEndpoint"
            )
        source = call.header("X-Amzn-SageMaker-InputLocation")
        if not source.startswith("s3://"):
            raise Refused("ValidationError", "this rehearsal takes an InputLocation in S3 alone")
        fleet = self._endpoints.fleet(record)
        server = fleet.servers[self._variant(record, fleet, "")]
        kind = call.header("X-Amzn-SageMaker-Content-Type")
        headers = {**_passed(call), **({"Content-Type": kind} if kind else {})}
        output, number = config["OutputConfig"], str(uuid.uuid4())
        success = _under(output["S3OutputPath"], f"{number}.out")
        there = [("X-Amzn-SageMaker-OutputLocation", success)]
        failure = ""
        if output.get("S3FailurePath"):
            failure = _under(output["S3FailurePath"], f"{number}-error.out")
            there.append(("X-Amzn-SageMaker-FailureLocation", failure))
        self._later.begin(server, headers, source, success, failure)
        known = call.header("X-Amzn-SageMaker-Inference-Id") or str(uuid.uuid4())
        body = json.dumps({"InferenceId": known}).encode()
        return Answer(202, body, "application/json", tuple(there))

    def _model_error(self, record: Record, variant: str, status: int, told: str) -> Answer:
        """The container's error, as a 424 with what the container said."""
        whose = "client" if 400 <= status < 500 else "server"
        name = record["name"]
        group = f"/aws/sagemaker/Endpoints/{name}"
        logs = f"arn:aws:logs:{self._world.region}:{self._world.account}:log-group:{group}"
        body = {
            "Message": f"Received {whose} error ({status}) from {variant} with message "
            f'"{told[:_LONGEST]}". See {group} in CloudWatch.',
            "OriginalStatusCode": status,
            "OriginalMessage": told[:_LONGEST],
            "LogStreamArn": logs,
        }
        return Answer(
            424,
            json.dumps(body).encode(),
            "application/json",
            (("x-amzn-ErrorType", "ModelError"),),
        )


def _passed(call: Call) -> dict[str, str]:
    """The headers that go on to the container, beside the type."""
    wanted = {"Accept": call.header("Accept"), _OWN: call.header(_OWN)}
    return {name: value for name, value in wanted.items() if value}


def _answered(reply: Reply, variant: str) -> Answer:
    headers: Mapping[str, Any] = {name.lower(): value for name, value in reply.headers.items()}
    told = [("x-Amzn-Invoked-Production-Variant", variant)]
    if own := headers.get(_OWN.lower()):
        told.append((_OWN, own))
    kind = headers.get("content-type", "application/octet-stream")
    return Answer(200, reply.body, kind, tuple(told))


def _under(place: str, name: str) -> str:
    return f"{place.rstrip('/')}/{name}"
