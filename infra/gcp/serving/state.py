"""How an endpoint stands: what is deployed, who gets the requests, what its labels remember."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from infra.errors import InputError, TrefoilError
from infra.gcp.names import label
from infra.gcp.serving import operations, requests
from infra.gcp.serving.requests import (
    BEFORE,
    CANARY,
    ENDPOINT,
    PREVIOUS,
    SERVES,
    VERSION,
    Found,
    Serving,
    Version,
)
from infra.gcp.session import Gcp, connected, required
from infra.served import EndpointState

YOUNG = 3600.0
"""Seconds in which what gets no requests yet is left to whoever is deploying it."""
_CONFLICT = (400, 409, 412)
"""How Vertex AI says that an endpoint is not any more what it was when it was looked at."""
_LINES = 15
_MOVING = (SERVES, VERSION, CANARY, BEFORE, PREVIOUS)
"""Labels that change when the traffic moves."""
_SIZES = ("minReplicaCount", "maxReplicaCount", "autoscalingMetricSpecs")


class At(NamedTuple):
    """An endpoint, what it is made of, and how many seconds Vertex AI has to change it."""

    name: str
    serving: Serving
    deadline: float

    @property
    def gcp(self) -> Gcp:
        """The way there."""
        return connected(self.serving.project, self.serving.region)

    @property
    def resource(self) -> str:
        """What it is called in requests."""
        return f"{self.serving.parent()}/endpoints/{self.name}"


class Deployed(NamedTuple):
    """Machines that are there for a version. ``found`` is all that Vertex AI says of them."""

    version: Version
    created: float
    found: Mapping[str, Any]


class State(NamedTuple):
    """An endpoint. ``deployed`` and ``traffic``, in percent, are by the ids of what is deployed."""

    there: bool
    deployed: Mapping[str, Deployed]
    traffic: Mapping[str, int]
    labels: Mapping[str, str]
    etag: str = ""
    changed: float | None = None

    @property
    def serves(self) -> Version | None:
        """The version that gets most of the requests, or did when it was stopped."""
        return Version.read(self.labels.get(SERVES, ""))

    @property
    def before(self) -> Version | None:
        """The version that a rollback brings back."""
        return Version.read(self.labels.get(BEFORE, ""))

    @property
    def canary(self) -> str:
        """The version of the registry that is on trial, empty where none is."""
        return self.labels.get(CANARY, "")

    def remembers(self, labels: Mapping[str, str]) -> bool:
        """Whether its labels say this, and nothing else of what it serves."""
        return {key: self.labels[key] for key in _MOVING if key in self.labels} == labels

    def idle(self) -> list[str]:
        """Of what is deployed, what gets no requests."""
        return [each for each in self.deployed if not self.traffic.get(each)]

    def told(self) -> EndpointState:
        """In the words that all places share."""
        if not self.deployed:
            return "stopped"
        if not any(self.traffic.values()):
            return "unhealthy"
        return "canary" if self.canary else "serving"


class Wanted(NamedTuple):
    """What shall be served: shares as (version, its name for people, percent), and the labels."""

    shares: tuple[tuple[Version, str, int], ...]
    labels: Mapping[str, str]


def remembered(serves: Version, version: str, before: Version | None, previous: str) -> Found:
    """Labels of an endpoint: what it serves, and what it served before."""
    found = {SERVES: serves.label(), VERSION: label(version)}
    return found | ({BEFORE: before.label(), PREVIOUS: label(previous)} if before else {})


def look(at: At) -> State:
    """An endpoint of ours as it is now. Raises InputError where another's has the name."""
    found = at.gcp.find("endpoints.get", f"look at the endpoint {at.name}", name=at.resource)
    if found is None:
        return State(False, {}, {}, {})
    if found.get("labels", {}).get(ENDPOINT) != label(at.name):
        raise InputError(
            f"there is an endpoint {at.name} in this project that Trefoil did not make; choose "
            "another name"
        )
    return read(found)


def read(found: Found) -> State:
    """What Vertex AI says of an endpoint. Raises ProviderError where it does not say all of it."""
    deployed = dict(_deployed(each) for each in found.get("deployedModels", ()))
    traffic = {name: share for name, share in found.get("trafficSplit", {}).items() if share}
    if found.get("network"):
        traffic = dict.fromkeys(deployed, 100)
    labels = found.get("labels", {})
    changed = _time(required(found, "updateTime", "an endpoint"))
    return State(True, deployed, traffic, labels, found.get("etag", ""), changed)


def settled(at: At) -> State:
    """The same once nothing changes any more. Raises ProviderError when that takes too long."""
    operations.quiet(at.gcp, at.resource, at.deadline)
    return look(at)


def create(at: At) -> State:
    """Make the endpoint where it is not there; as it is then, once nothing changes any more."""
    state = settled(at)
    if state.there:
        return state
    asked = {"parent": at.serving.parent(), "endpointId": at.name}
    operations.done(
        at.gcp, "endpoints.create", f"make the endpoint {at.name}", at.deadline, (409,),
        body=requests.endpoint(at.name, at.serving), **asked,
    )  # fmt: skip
    return settled(at)


def deploy(at: At, state: State, asked: Found) -> None:
    """Have machines for a version: those that there are, or new ones, which serve nobody yet.

    ``asked`` is of ``requests.deployment``. Raises TrefoilError with the reason where they do not
    come to serve.
    """
    given = asked["deployedModel"]
    if there := state.deployed.get(given["id"]):
        _resize(at, there)
        return
    doing, found = f"deploy {given['displayName']} at {at.name}", None
    while found is None and given["id"] not in state.deployed:
        found = operations.done(
            at.gcp, "endpoints.deployModel", doing, at.deadline, (409,),
            endpoint=at.resource, body=asked,
        )  # fmt: skip
        state = settled(at)


def again(deployed: Deployed) -> Found:
    """The request that brings back what was deployed."""
    told = ("id", "displayName", "serviceAccount", "dedicatedResources")
    given = {key: deployed.found[key] for key in told if key in deployed.found}
    model = deployed.found["model"].partition("@")[0]
    return {"deployedModel": {**given, "model": f"{model}@{deployed.version.number}"}}


def move(at: At, state: State, traffic: Mapping[str, int], labels: Mapping[str, str]) -> bool:
    """Have the requests shared otherwise; False where the endpoint was changed meanwhile.

    The one moment at which they move, together with what the labels remember. In a network of its
    own an endpoint shares nothing. Raises TrefoilError.
    """
    kept = {key: text for key, text in state.labels.items() if key not in _MOVING}
    body: Found = {"displayName": at.name, "labels": {**kept, **labels}, "etag": state.etag}
    asked = {"name": at.resource, "updateMask": "labels"}
    if not at.serving.network:
        body["trafficSplit"] = dict(traffic)
        asked["updateMask"] += ",trafficSplit"
    doing = f"share the requests of {at.name}"
    if at.gcp.find("endpoints.patch", doing, body, unless=_CONFLICT, **asked) is not None:
        return True
    now = look(at)
    if now.etag != state.etag:  # by us, where the answer was lost and the call made again
        shared = {name: share for name, share in traffic.items() if share}
        return (bool(at.serving.network) or now.traffic == shared) and now.remembers(labels)
    at.gcp.ask("endpoints.patch", doing, body, **asked)  # refused for another reason: it is told
    return True


def undeploy(at: At, names: Iterable[str]) -> None:
    """End the machines of what gets no requests, unless they are gone."""
    for name in names:
        operations.done(
            at.gcp, "endpoints.undeployModel", f"undeploy {name} at {at.name}", at.deadline,
            (404,), endpoint=at.resource, body={"deployedModelId": name},
        )  # fmt: skip


def delete(at: At) -> None:
    """Delete the endpoint, which nothing is deployed at, unless it is gone."""
    doing = f"delete the endpoint {at.name}"
    operations.done(at.gcp, "endpoints.delete", doing, at.deadline, (404,), name=at.resource)


def last_lines(at: At) -> str:
    """What the newest server of the endpoint printed last, a line each; empty where nothing."""
    wanted = (
        'resource.type="aiplatform.googleapis.com/Endpoint" AND '
        f'resource.labels.endpoint_id="{at.name}"'
    )
    body = {
        "resourceNames": [f"projects/{at.serving.project}"],
        "filter": wanted,
        "orderBy": "timestamp desc",
        "pageSize": _LINES,
    }
    try:
        found = at.gcp.call("logging", "entries.list", f"read the log of {at.name}", body)
    except TrefoilError as error:  # why it did not serve is told without it
        return f"\n  ({error})"
    lines = [_line(each) for each in found.get("entries", ())]
    return "".join(f"\n  {line}" for line in reversed(lines) if line)


def _resize(at: At, there: Deployed) -> None:
    """Let there be as many machines as the settings say now."""
    now, wanted = there.found.get("dedicatedResources", {}), requests.replicas(at.serving)
    if all(now.get(key) == wanted.get(key) for key in _SIZES):
        return
    operations.done(
        at.gcp, "endpoints.mutateDeployedModel", f"scale {at.name}", at.deadline,
        endpoint=at.resource, body=requests.mutation(there.found["id"], at.serving),
    )  # fmt: skip


def _deployed(found: Found) -> tuple[str, Deployed]:
    """One that is deployed, by its id."""
    name, model, number, created = (
        str(required(found, field, "what is deployed at an endpoint"))
        for field in ("id", "model", "modelVersionId", "createTime")
    )
    version = Version(model.rpartition("/")[2].partition("@")[0], number)
    return name, Deployed(version, _time(created), found)


def _line(entry: Found) -> str:
    message = entry.get("jsonPayload", {}).get("message") or entry.get("textPayload", "")
    return str(message).rstrip()


def _time(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()
