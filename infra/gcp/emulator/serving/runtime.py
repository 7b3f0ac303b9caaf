"""What is asked of an endpoint: predict, as Vertex AI words it, and rawPredict, as it comes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.gcp.emulator.operations import Halted
from infra.gcp.emulator.refusal import Refused
from infra.gcp.emulator.serving.endpoints import Endpoints
from infra.gcp.emulator.vertex import Operation
from infra.gcp.emulator.world import Record
from infra.rehearsal.served import Reply
from infra.rehearsal.server import Answer, Call

_PREFIX = "aiplatform.projects.locations.endpoints"
_TOLD = ("predictions", "metadata")
_LARGEST = 1_500_000
"""Bytes of a request."""
_SECONDS = 60.0
"""That a container has for an answer."""
_STATUS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    409: "ABORTED", 429: "RESOURCE_EXHAUSTED", 501: "UNIMPLEMENTED", 503: "UNAVAILABLE",
}  # fmt: skip


class Runtime:
    """Answers predict and rawPredict."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def operations(self) -> dict[str, Operation]:
        """The operations there are, by the IDs of the description."""
        return {f"{_PREFIX}.predict": self._predict, f"{_PREFIX}.rawPredict": self._raw}

    def _predict(self, request: Mapping[str, Any]) -> dict[str, Any]:
        body = {key: request["body"][key] for key in ("instances", "parameters")
                if key in request["body"]}  # fmt: skip
        kind = {"Content-Type": "application/json"}
        deployed, record, reply = self._asked(request, json.dumps(body).encode(), kind)
        found = read(reply)
        about = self._endpoints.about(record, deployed)
        told: dict[str, Any] = {key: found[key] for key in _TOLD if key in found}
        return {**told, **about}

    def _raw(self, request: Mapping[str, Any]) -> Answer:
        call: Call = request["call"]
        wanted = {"Content-Type": call.header("Content-Type"), "Accept": call.header("Accept")}
        headers = {name: value for name, value in wanted.items() if value}
        deployed, record, reply = self._asked(request, call.body, headers)
        about = self._endpoints.about(record, deployed)
        told = (
            ("X-Vertex-AI-Endpoint-Id", record["name"]),
            ("X-Vertex-AI-Deployed-Model-Id", deployed),
            ("X-Vertex-AI-Model", about["model"]),
            ("X-Vertex-AI-Model-Version-Id", about["modelVersionId"]),
        )
        return Answer(reply.status, reply.body, reply.kind(), told)

    def _asked(
        self, request: Mapping[str, Any], body: bytes, headers: Mapping[str, str]
    ) -> tuple[str, Record, Reply]:
        record = self._endpoints.find(request["endpoint"])
        if record["body"].get("network"):
            words = f"The Endpoint {record['arn']} is reached from its own network alone."
            raise Refused("FAILED_PRECONDITION", words)
        traffic = record["traffic"]  # another one may take its place
        if not traffic:
            words = f"Endpoint `{record['arn']}` doesn't have traffic_split."
            raise Refused("FAILED_PRECONDITION", words)
        if len(body) > _LARGEST:
            raise Refused("INVALID_ARGUMENT", f"Request payload size exceeds {_LARGEST} bytes.")
        deployed = self._endpoints.fleet.turn(record["name"], traffic)
        try:
            server = self._endpoints.serving(record, deployed)
        except Halted:
            raise Refused("UNAVAILABLE", "the rehearsal ends") from None
        return deployed, record, server.predict(body, headers, _SECONDS)


def read(reply: Reply) -> dict[str, Any]:
    """What a container says in Vertex AI's wording. Raises Refused with its error, or its words."""
    text = reply.body.decode("utf-8", "replace")
    if reply.status >= 400:
        raise Refused(_STATUS.get(reply.status, "INTERNAL"), text)
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("predictions"), list):
        words = f"Invalid response from the model server, which has no predictions: {text[:200]}"
        raise Refused("FAILED_PRECONDITION", words)
    return found
