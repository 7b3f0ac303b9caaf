"""Vertex AI's API, version v1: each call found in Google's description, held against it, done."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from infra.gcp import pipeline, rules, validate
from infra.gcp.emulator.refusal import Refused
from infra.gcp.validate import VERTEX, Method
from infra.rehearsal.server import Answer, Call, answer

Operation: TypeAlias = Callable[[Mapping[str, Any]], "dict[str, Any] | Answer"]
"""Carries a call out: given its parameters by name, ``body`` and ``call``. Raises Refused."""
PREFIX = "aiplatform.projects.locations."
_RAW = ":rawPredict"
_SHARED = frozenset({"alt", "$alt", "prettyPrint", "key", "fields", "quotaUser", "uploadType",
                     "$.xgafv"})  # fmt: skip


class Route(NamedTuple):
    """A call of the description, and how its path is read."""

    method: Method
    path: re.Pattern[str]


class Vertex:
    """Answers for one project in one region, by the operations that its parts have."""

    def __init__(self, operations: Mapping[str, Operation], projects: tuple[str, ...]) -> None:
        """``operations`` by the IDs of the description; ``projects`` are its ID and its number."""
        self._operations, self._projects = operations, projects
        self._known = [_route(validate.methods(VERTEX)[name]) for name in operations]

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        call = call._replace(path=re.sub("^/ui/", "/v1/", call.path))  # as SDKs ask for operations
        try:
            method, given = self._found(call)
            found = self._operations[method.id]({**given, "call": call})
        except Refused as refused:
            return refused.answer()
        return found if isinstance(found, Answer) else answer(found)

    def _found(self, call: Call) -> tuple[Method, dict[str, Any]]:
        """Which method it is, and what it is given, held against the description."""
        match = next(_matching(self._known, call), None)
        if match is None:
            raise _unknown(call)
        method, named = match
        body = _body(call) if method.body else {}
        query = {name: values[-1] for name, values in call.query.items() if name not in _SHARED}
        if method.verb == "PATCH":
            body = _given(method, body)
        if not call.path.endswith(_RAW):
            _check(method, body, {**named, **query}, bool(call.query.get("$alt")))
        self._check_project(named)
        return method, {**named, **query, "body": body}

    def _check_project(self, named: Mapping[str, str]) -> None:
        for value in named.values():
            parts = value.split("/")
            if parts[0] == "projects" and parts[1] not in self._projects:
                words = f"Permission denied on resource project {parts[1]}."
                raise Refused("PERMISSION_DENIED", words)


def _given(method: Method, body: dict[str, Any]) -> dict[str, Any]:
    """A resource as it was read and changed, without what Google alone sets."""
    fields = validate.document(VERTEX)["schemas"][method.body]["properties"]
    return {name: item for name, item in body.items() if not fields.get(name, {}).get("readOnly")}


def _body(call: Call) -> dict[str, Any]:
    if call.path.endswith(_RAW):
        return {}  # what it is is the container's business
    try:
        found = json.loads(call.body or b"{}")
    except ValueError as error:
        raise Refused("INVALID_ARGUMENT", f"Invalid JSON payload received. {error}") from None
    if not isinstance(found, dict):
        raise Refused("INVALID_ARGUMENT", "Invalid JSON payload received. Not an object")
    return found


def _check(
    method: Method, body: Mapping[str, Any], params: Mapping[str, Any], numbered: bool
) -> None:
    """Raise Refused where Google would not take the call, with every fault that it has."""
    name = method.id.removeprefix(PREFIX)
    found = validate.shaped(VERTEX, method.id, body, params, numbered)
    if not found:
        found = [*rules.given(name, params), *rules.problems(name, body)]
        if name == "pipelineJobs.create":
            found += pipeline.problems(body)
    if found:
        words = "; ".join(map(str, found))
        raise Refused("INVALID_ARGUMENT", f"{len(found)} field violation(s): {words}")


def _unknown(call: Call) -> Refused:
    """What to answer where no part does what is asked."""
    match = next(_matching(_all(), call), None)
    if match is None:
        return Refused("NOT_FOUND", f"Vertex AI has no {call.method} {call.path}")
    return Refused("UNIMPLEMENTED", f"this rehearsal does not do {match[0].id}")


def _matching(routes: list[Route], call: Call) -> Iterator[tuple[Method, dict[str, str]]]:
    for route in routes:
        if route.method.verb == call.method and (found := route.path.fullmatch(call.path)):
            names = [name for name, told in route.method.parameters.items()
                     if told.get("location") == "path"]  # fmt: skip
            yield route.method, {name: found[_group(name)] for name in names}


@functools.cache
def _all() -> list[Route]:
    return [_route(method) for method in validate.methods(VERTEX).values()]


def _route(method: Method) -> Route:
    """A path as "v1/{+parent}/customJobs", its parameters by their patterns."""
    pieces = re.split(r"\{\+?(\w+)\}", method.path)
    found = ""
    for at, piece in enumerate(pieces):
        if at % 2 == 0:
            found += re.escape(piece)
            continue
        pattern = method.parameters[piece].get("pattern", "[^/:]+").strip("^$")
        plain = re.sub(r"\[\^/\]\+$", "[^/:]+", pattern)  # a verb follows behind a colon
        found += f"(?P<{_group(piece)}>{plain})"
    return Route(method, re.compile(f"/{found}"))


def _group(name: str) -> str:
    return name.replace("$", "_").replace(".", "_")
