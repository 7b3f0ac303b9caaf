"""Which part of the stand-in answers a call to ARM, by what follows the workspace in its path."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from infra.azure.emulator.refusal import Refused
from infra.rehearsal.server import Answer, Call

PROVIDER = "Microsoft.MachineLearningServices"
_PATH = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)/providers/"
    r"Microsoft\.MachineLearningServices/workspaces/(?P<workspace>[^/]+)(?:/(?P<rest>.*))?",
    re.IGNORECASE,
)


_REGION = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/providers/Microsoft\.MachineLearningServices"
    r"(?P<rest>/locations/.*)",
    re.IGNORECASE,
)


class Asked(NamedTuple):
    """A call, what its path names, and the version of the API that it is written in."""

    call: Call
    names: tuple[str, ...]
    version: str

    def body(self) -> dict[str, Any]:
        """The document that was sent. Raises Refused."""
        try:
            found = json.loads(self.call.body or b"{}")
        except ValueError:
            raise Refused(400, "InvalidRequestContent", "The body is not JSON.") from None
        if not isinstance(found, dict):
            raise Refused(400, "InvalidRequestContent", "The body is no object.")
        return found

    def query(self, name: str) -> str:
        """The first value of a parameter; empty where there is none."""
        return self.call.query.get(name, [""])[0]


Handler = Callable[[Asked], Answer]


class Route(NamedTuple):
    """``pattern`` is of the whole of what follows the workspace; its groups are the names.

    One that begins with a slash is of what follows the subscription.
    """

    method: str
    pattern: str
    handler: Handler


class Router:
    """Finds the handler for a path of one workspace."""

    def __init__(self, scope: tuple[str, str, str], routes: Iterable[Route]) -> None:
        """``scope`` is subscription, resource group and workspace: there are no others."""
        subscription, group, workspace = scope
        self._scope = (subscription.lower(), group.lower(), workspace.lower())
        self._routes = [(route, re.compile(route.pattern)) for route in routes]

    def answer(self, call: Call) -> Answer:
        """What a call is answered. Raises Refused at what is not known here."""
        version = call.query.get("api-version", [""])[0]
        if not version:
            raise Refused(
                400, "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )  # fmt: skip
        if match := _REGION.fullmatch(call.path):
            self._require((match["subscription"], *self._scope[1:]))
            return self._route(match["rest"], call, version)
        match = _PATH.fullmatch(call.path)
        if match is None:
            raise Refused(404, "NotFound", f"this rehearsal does not know {call.path}")
        named = (match["subscription"], match["group"], match["workspace"])
        self._require(named)
        return self._route(match["rest"] or "", call, version)

    def _route(self, rest: str, call: Call, version: str) -> Answer:
        other = []
        for route, pattern in self._routes:
            found = pattern.fullmatch(rest)
            if found is None:
                continue
            if route.method == call.method:
                return route.handler(Asked(call, found.groups(), version))
            other.append(route.method)
        if other:
            words = f"this rehearsal takes {', '.join(other)} of {rest}, not {call.method}"
            raise Refused(405, "MethodNotAllowed", words)
        kind = rest.partition("/")[0]
        raise Refused(
            404, "InvalidResourceType",
            f"The resource type '{kind}' could not be found in the namespace '{PROVIDER}' for api "
            f"version '{version}': this rehearsal does not know {call.method} {rest or '/'}",
        )  # fmt: skip

    def _require(self, named: tuple[str, str, str]) -> None:
        subscription, group, workspace = (each.lower() for each in named)
        if subscription != self._scope[0]:
            words = f"The subscription '{named[0]}' could not be found."
            raise Refused(404, "SubscriptionNotFound", words)
        if group != self._scope[1]:
            words = f"Resource group '{named[1]}' could not be found."
            raise Refused(404, "ResourceGroupNotFound", words)
        if workspace != self._scope[2]:
            words = (
                f"The Resource '{PROVIDER}/workspaces/{named[2]}' under resource group "
                f"'{named[1]}' was not found."
            )
            raise Refused(404, "ResourceNotFound", words)
