"""How an endpoint stands: what Azure says of it and its deployments, and what its tags remember."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from infra.azure import validate
from infra.azure.arm import VERSION as ARM_VERSION
from infra.azure.arm import Arm, Found
from infra.azure.serving.requests import (
    CANARY,
    ENDPOINT,
    MAIN,
    MOVES,
    PREVIOUS,
    RUN,
    VERSION,
    Serving,
    Shares,
)
from infra.azure.session import required
from infra.errors import CredentialsError, InputError, ProviderError
from infra.served import EndpointState

CHANGING = {"Creating", "Updating", "Scaling", "Deleting"}
_SHORTEST_WAIT, _LONGEST_WAIT = 0.05, 15.0
"""Seconds between two looks; the longer a change goes on, the longer."""
_YOUNG = 3600.0
"""Seconds in which something that gets no requests yet is left to whoever is making it."""
_LINES = 15
_CONTAINERS = {"InferenceServer": "the server", "StorageInitializer": "what fetches the model"}


class At(NamedTuple):
    """An endpoint, what it is made of, and how many seconds Azure has to change it."""

    name: str
    serving: Serving
    deadline: float

    @property
    def arm(self) -> Arm:
        """The way there."""
        return Arm(self.serving.where)

    @property
    def path(self) -> str:
        """Its address."""
        return self.serving.endpoint(self.name)

    def deployment(self, name: str, *more: str) -> str:
        """The address of one of its deployments, or of something below it."""
        return self.serving.deployment(self.name, name, *more)

    def put(
        self, kind: str, path: str, body: Found, doing: str, version: str = ARM_VERSION, *,
        once: bool = False,
    ) -> Found | None:  # fmt: skip
        """See Arm. Raises InputError at what Azure would refuse."""
        if found := validate.problems(kind, version, body):
            lines = "".join(f"\n  {each}" for each in found)
            raise InputError(f"Azure would not {doing}; nothing was sent:{lines}")
        return self.arm.put(path, body, doing, version, once=once)


class Deployed(NamedTuple):
    """A deployment of ours: the servers of one version."""

    name: str
    version: str
    status: str
    run: str
    created: float
    asked: str
    """Where Azure tells how its last change went."""


class State(NamedTuple):
    """An endpoint. Without a ``status`` there is none. ``shares`` is what its tags remember.

    ``moves`` are the marks of the last moves of its traffic.
    """

    status: str
    shares: Shares
    deployments: Mapping[str, Deployed]
    traffic: Mapping[str, int]
    mirror: Mapping[str, int]
    url: str
    changed: float | None
    moves: tuple[str, ...] = ()

    def standing(self) -> Shares:
        """What its tags remember, of what is still there."""
        if self.shares.main not in self.deployments:
            return Shares()
        gone = {self.shares.canary, self.shares.previous} - self.deployments.keys()
        canary, previous = ("" if each in gone else each
                            for each in (self.shares.canary, self.shares.previous))  # fmt: skip
        percent = self.shares.percent if canary else 0
        return self.shares._replace(canary=canary, percent=percent, previous=previous)

    def serves(self, shares: Shares) -> bool:
        """Whether it is as it shall be, all of it."""
        return self.shares == shares and shares.main in self.deployments and bool(self.traffic)

    def ready(self, name: str) -> bool:
        """Whether a deployment is there, and can answer."""
        return name in self.deployments and self.deployments[name].status == "Succeeded"

    def told(self) -> EndpointState:
        """In the words that all places share."""
        if not self.deployments:
            return "stopped"
        main = self.deployments.get(self.shares.main)
        if self.status in ("Failed", "Canceled", "Deleting") or (
            main and main.status in ("Failed", "Canceled")
        ):
            return "dead"
        if not self.traffic or main is None:
            return "unhealthy"
        return "canary" if self.shares.canary in self.deployments else "serving"

    def idle(self) -> Iterator[Deployed]:
        """Deployments that get no requests, and that no rollback comes back to."""
        kept = {self.shares.main, self.shares.canary, self.shares.previous}
        for name, each in self.deployments.items():
            if name not in {*kept, *self.traffic, *self.mirror}:
                yield each


def look(at: At) -> State:
    """An endpoint of ours as it is now. Raises InputError where another's has the name."""
    found = at.arm.get(at.path, f"look at the endpoint {at.name}")
    if found is None:
        return State("", Shares(), {}, {}, {}, "", None)
    tags, properties = found.get("tags") or {}, found.get("properties") or {}
    if tags.get(ENDPOINT) != at.name:
        raise InputError(
            f"there is an endpoint {at.name} in this workspace that Trefoil did not make; choose "
            "another name"
        )
    pages = at.arm.pages(f"{at.path}/deployments", f"list what the endpoint {at.name} serves")
    deployments = {each.name: each for each in map(_deployed, pages)}
    traffic = {name: each for name, each in (properties.get("traffic") or {}).items() if each}
    mirror = {name: each for name, each in (properties.get("mirrorTraffic") or {}).items() if each}
    canary = tags.get(CANARY, "")
    shares = Shares(
        tags.get(VERSION, ""), tags.get(MAIN, ""), canary,
        mirror.get(canary) or traffic.get(canary, 0), tags.get(PREVIOUS, ""),
    )  # fmt: skip
    status = required(found, "properties", "provisioningState", of=f"the endpoint {at.name}")
    url, changed = properties.get("scoringUri") or "", _when(found, "lastModifiedAt")
    moves = tuple(tags.get(MOVES, "").split())
    return State(status, shares, deployments, traffic, mirror, url, changed, moves)


def settled(at: At) -> State:
    """The same once nothing changes any more. Raises ProviderError when that takes too long."""
    begun = time.monotonic()
    while changing := _changing(state := look(at)):
        waited = time.monotonic() - begun
        if waited > at.deadline:
            raise ProviderError(
                f"the endpoint {at.name} is {changing} for {waited:.0f} s now; look again with "
                "python -m pipelines endpoints --provider azure"
            )
        time.sleep(min(_LONGEST_WAIT, _SHORTEST_WAIT + waited / 5))
    return state


def why(at: At, deployed: Deployed) -> str:
    """Why a deployment did not come to serve: Azure's reason, and what its containers printed."""
    return f"{_reason(at, deployed) or deployed.status}{last_lines(at, deployed.name)}"


def last_lines(at: At, name: str) -> str:
    """What a deployment's containers printed last; empty where nothing."""
    told = ""
    for container, words in _CONTAINERS.items():
        asked = {"containerType": container, "tail": _LINES}
        found = at.arm.post(at.deployment(name, "getLogs"), asked, f"read the log of {name}")
        lines = [each for each in ((found or {}).get("content") or "").splitlines() if each.strip()]
        if lines:
            told += f"\n{words} printed last:" + "".join(f"\n  {each}" for each in lines[-_LINES:])
    return told


def delete(at: At, *names: str) -> None:
    """Delete deployments that get no requests, and wait until they are gone."""
    for name in names:
        while not at.arm.delete(at.deployment(name), f"delete the deployment {name}"):
            settled(at)
    if names:
        settled(at)


def tidy(at: At, state: State, left: Iterable[str]) -> None:
    """Begin to delete what gets no requests any more: ``left``, and what nobody is making.

    What is younger than the version before may be another deployer's, who is at it still.
    """
    known, now = set(left), time.time()
    kept = (state.shares.main, state.shares.previous)
    since = min((state.deployments[n].created for n in kept if n in state.deployments), default=now)
    for each in state.idle():
        old = each.created < since or now - each.created > _YOUNG
        if each.name in known or old or each.status == "Failed":
            at.arm.delete(at.deployment(each.name), f"delete the deployment {each.name}")


def _deployed(found: Mapping[str, Any]) -> Deployed:
    name = required(found, "name", of="a deployment")
    status = required(found, "properties", "provisioningState", of=f"the deployment {name}")
    tags, own = found.get("tags") or {}, found["properties"].get("properties") or {}
    asked = own.get("AzureAsyncOperationUri") or found.get("id", "")
    return Deployed(
        name, tags.get(VERSION, ""), status, tags.get(RUN, ""),
        _when(found, "createdAt") or time.time(), asked,
    )  # fmt: skip


def _reason(at: At, deployed: Deployed) -> str:
    """What Azure says of its last change; of who may not read that, the refusal."""
    try:
        asked = at.arm.get(deployed.asked, f"tell why {deployed.name} does not serve")
    except CredentialsError as refused:
        return f"{deployed.status}; {refused}"
    error = (asked or {}).get("error") or {}
    return ": ".join(filter(None, (error.get("code"), error.get("message"))))


def _changing(state: State) -> str:
    """What changes just now, in words; empty where nothing."""
    if state.status in CHANGING:
        return state.status
    changing = (each for each in state.deployments.values() if each.status in CHANGING)
    return next((f"{each.status} {each.name}" for each in changing), "")


def _when(found: Mapping[str, Any], what: str) -> float | None:
    text = (found.get("systemData") or {}).get(what)
    if not text:
        return None
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
