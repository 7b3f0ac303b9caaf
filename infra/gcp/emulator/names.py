"""What a call to Google is called, in the log and in the summary."""

from __future__ import annotations

import re

from infra.rehearsal.server import Call

_VERTEX = re.compile(r"/v1/projects/[^/]+/locations/[^/]+/(.+)")
_VERBS = {"GET": "get", "POST": "create", "DELETE": "delete", "PATCH": "patch"}


def named(call: Call) -> str:
    """The service and the method; of anything else, the method and the path."""
    host = call.header("Host").partition(":")[0]
    if call.method == "CONNECT" or not host:
        return f"{call.method:<6} {call.path}"
    if host.endswith("aiplatform.googleapis.com") and (found := _VERTEX.fullmatch(call.path)):
        return f"aiplatform {_method(call.method, found[1])}"
    if host == "storage.googleapis.com":
        return f"storage {call.method}"
    if host.endswith(".googleapis.com"):
        return f"{host.partition('.')[0]} {call.path.rpartition('/')[2]}"
    return f"{call.method:<6} {call.path}"


def _method(verb: str, path: str) -> str:
    """endpoints/1:predict is endpoints.predict, GET endpoints/1 endpoints.get."""
    path, _, own = path.partition(":")
    pieces = path.split("/")
    collections = ".".join(pieces[::2])
    whole = len(pieces) % 2 == 0
    does = own or ("list" if verb == "GET" and not whole else _VERBS.get(verb, verb))
    return f"{collections}.{does}"
