"""Requests held against Google's own description of its API, and what its reference says beside it.

    problems("pipelineJobs.create", body) -> [Problem(path, what is wrong)]

The description (a discovery document) comes with google-api-python-client: fields, types, formats,
enumerations, which fields are Google's own, and in the prose of 648 of them that they are required.
What it cannot say is in ``infra.gcp.rules``, a pipeline's IR in ``infra.gcp.pipeline``.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.cloud.problems import Problem, shown, under
from infra.errors import InputError, nearest

VERTEX = "aiplatform.v1"
_PREFIX = "aiplatform.projects.locations."
_FORMATS = {
    "int64": (re.compile(r"-?\d{1,19}"), "a whole number"),
    "uint64": (re.compile(r"\d{1,20}"), "a whole number"),
    "google-duration": (re.compile(r"-?\d+(\.\d{1,9})?s"), "seconds as in 3.5s"),
    "google-datetime": (
        re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"),
        "a time as in 2026-01-31T12:00:00Z",
    ),
    "byte": (re.compile(r"[A-Za-z0-9+/_-]*={0,2}"), "base64"),
}
_RANGES = {"int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1)}


class Method(NamedTuple):
    """A call of an API: its schema, and its parameters."""

    id: str
    verb: str
    path: str
    body: str
    parameters: Mapping[str, Mapping[str, Any]]


def problems(
    method: str, body: Mapping[str, Any] | None, params: Mapping[str, Any] | None = None
) -> list[Problem]:
    """Everything wrong with a request, in the order of its fields. Raises KeyError: no method.

    ``method`` is "pipelineJobs.create"; ``params`` are those of path and query, where they are to
    be looked at. Where the description finds something, the rules are not asked: they count on it.
    """
    from infra.gcp import pipeline, rules

    found = shaped(VERTEX, f"{_PREFIX}{method}", body, params)
    if found:
        return found
    request = body or {}
    found = [*rules.given(method, params or {}), *rules.problems(method, request)]
    if method == "pipelineJobs.create":
        found += pipeline.problems(request)
    return found


def parameters(method: str, params: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the parameters of a call. Raises KeyError: no method."""
    from infra.gcp import rules

    found = list(_parameters(methods(VERTEX)[f"{_PREFIX}{method}"], params))
    return found or list(rules.given(method, params))


def shaped(
    api: str, method: str, body: Mapping[str, Any] | None,
    params: Mapping[str, Any] | None = None, numbered: bool = False,
) -> list[Problem]:  # fmt: skip
    """What a description alone finds wrong. With ``numbered`` an enumeration may be a number."""
    known = methods(api)[method]
    found = list(_parameters(known, params)) if params is not None else []
    if not known.body:
        if body:
            found.append(Problem("", f"has a body, and {known.id} takes none"))
        return found
    walk = _Walk(document(api)["schemas"], numbered)
    return [*found, *walk.object(walk.schemas[known.body], body or {}, "")]


@functools.cache
def document(api: str) -> Mapping[str, Any]:
    """A description, as "aiplatform.v1". Raises InputError where the client is not installed."""
    from importlib.util import find_spec

    spec = find_spec("googleapiclient")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "Google Cloud needs google-api-python-client: run `make setup`, or install the extra "
            "gcp"
        )
    folder = Path(spec.submodule_search_locations[0], "discovery_cache", "documents")
    found: Mapping[str, Any] = json.loads((folder / f"{api}.json").read_bytes())
    return found


@functools.cache
def methods(api: str) -> Mapping[str, Method]:
    """Every call of an API, by its ID."""
    return {method.id: method for method in _methods(document(api))}


def _methods(resource: Mapping[str, Any]) -> Iterator[Method]:
    for told in resource.get("methods", {}).values():
        body = told.get("request", {}).get("$ref", "")
        yield Method(told["id"], told["httpMethod"], told["path"], body, told.get("parameters", {}))
    for inner in resource.get("resources", {}).values():
        yield from _methods(inner)


def _parameters(method: Method, given: Mapping[str, Any]) -> Iterator[Problem]:
    for name, told in method.parameters.items():
        if told.get("required") and not given.get(name):
            yield Problem(name, "is missing")
    shared = document(method.id.partition(".")[0] + "." + "v1")["parameters"] if given else {}
    for name, value in given.items():
        known = method.parameters.get(name)
        if known is None:
            if name not in shared:
                yield Problem(name, f"is no parameter of {method.id}")
            continue
        pattern = known.get("pattern")
        if pattern and not re.fullmatch(pattern, str(value)):
            yield Problem(name, f"is {shown(value)}, which does not match {pattern}")


class _Walk:
    """Holds values against schemas."""

    def __init__(self, schemas: Mapping[str, Any], numbered: bool) -> None:
        self.schemas, self._numbered = schemas, numbered
        self._checks: Mapping[str, Callable[[Any, Any, str], Iterator[Problem]]] = {
            "object": self.object, "array": self._array, "string": self._string,
            "integer": self._number, "number": self._number, "boolean": self._boolean,
        }  # fmt: skip

    def object(self, schema: Mapping[str, Any], value: Any, path: str) -> Iterator[Problem]:
        """A message, or a map."""
        if not isinstance(value, Mapping):
            yield Problem(path, f"is {shown(value)}, not an object")
            return
        fields = schema.get("properties")
        if fields is None:
            inner = schema.get("additionalProperties", {"type": "any"})
            for name, item in value.items():
                yield from self._value(inner, item, f"{path}[{name!r}]")
            return
        for name, field in fields.items():
            if is_required(field) and value.get(name) in (None, "", [], {}):
                yield Problem(under(path, name), "is missing")
        for name, item in value.items():
            if name not in fields:
                yield Problem(under(path, name), f"is not known; {nearest(name, fields)}")
            elif fields[name].get("readOnly") and item not in (None, "", [], {}):
                yield Problem(under(path, name), "is set by Google alone")
            else:
                yield from self._value(fields[name], item, under(path, name))

    def _value(self, schema: Mapping[str, Any], value: Any, path: str) -> Iterator[Problem]:
        if value is None:
            return
        if "$ref" in schema:
            yield from self.object(self.schemas[schema["$ref"]], value, path)
        elif check := self._checks.get(schema.get("type", "any")):
            yield from check(schema, value, path)

    def _array(self, schema: Any, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, list | tuple):
            yield Problem(path, f"is {shown(value)}, not a list")
            return
        for at, item in enumerate(value):
            yield from self._value(schema["items"], item, f"{path}[{at}]")

    def _string(self, schema: Any, value: Any, path: str) -> Iterator[Problem]:
        known, form = schema.get("enum"), schema.get("format", "")
        if known and self._numbered and isinstance(value, int) and not isinstance(value, bool):
            return
        if form in ("int64", "uint64") and isinstance(value, int) and not isinstance(value, bool):
            return
        if not isinstance(value, str):
            yield Problem(path, f"is {shown(value)}, not text")
        elif known and value not in known:
            some = nearest(value, known) if len(known) > 8 else ", ".join(known)
            yield Problem(path, f"is {shown(value)}, none of the known values: {some}")
        elif form in _FORMATS and not _FORMATS[form][0].fullmatch(value):
            yield Problem(path, f"is {shown(value)}, not {_FORMATS[form][1]}")

    def _number(self, schema: Any, value: Any, path: str) -> Iterator[Problem]:
        whole = schema["type"] == "integer"
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            yield Problem(path, f"is {shown(value)}, not a {'whole ' * whole}number")
            return
        low, high = _RANGES.get(schema.get("format", ""), (None, None))
        if low is not None and high is not None and not low <= value <= high:
            yield Problem(path, f"is {value}; it lies between {low} and {high}")

    def _boolean(self, _: Any, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, bool):
            yield Problem(path, f"is {shown(value)}, neither true nor false")


def is_required(field: Mapping[str, Any]) -> bool:
    """Whether the prose of a field says that it must be there."""
    return str(field.get("description", "")).startswith("Required.") and not field.get("readOnly")
