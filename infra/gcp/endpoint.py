"""Endpoints on Vertex AI: one name, behind which versions are deployed and share the requests.

A new version is uploaded, and deployed beside the old one without a request. Once Vertex AI found
it healthy, one change moves the traffic and what the labels remember, and then the version is tried
by a request. Killed before that change, a deployer leaves the old version serving; after it, the
new one; whoever comes next takes down what gets no requests any more.

A canary is both versions, each with its share. What is stopped keeps its name, its address and its
memory, which cost nothing. In a network of yours an endpoint has one version at a time, and is
away while another takes its place.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.cloud import deploying
from infra.errors import InputError, TrefoilError
from infra.gcp.names import label
from infra.gcp.serving import requests, state, trial, versions
from infra.gcp.serving.requests import (
    CANARY,
    ENDPOINT,
    PREVIOUS,
    SERVER_IMAGE,
    SERVING,
    VERSION,
    Release,
    told_by,
)
from infra.gcp.serving.state import YOUNG, At, State, Wanted, look, remembered, settled
from infra.gcp.session import connected
from infra.served import Endpoint

DEADLINE = 7200.0
"""Seconds that Vertex AI has: it gives up by itself before."""
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def check(
    *, workspace: Path, name: str, canary: int = 0, environment: Mapping[str, str] = os.environ
) -> None:
    """Refuse, before a run, what deploy would. Raises InputError, SettingsError."""
    del workspace
    if not _NAME.fullmatch(name):
        raise InputError(
            f"Vertex AI knows no endpoint {name}: up to 63 of a-z, 0-9 and -, a letter first, no - "
            "at the end"
        )
    requests.check(told_by(environment), canary)


def deploy(
    *,
    workspace: Path,
    name: str,
    version: str,
    model: Path,
    model_name: str = "",
    port: int | None = None,
    canary: int = 0,
    environment: Mapping[str, str] = os.environ,
    deadline: float = DEADLINE,
) -> Endpoint:
    """Serve a registered version; traffic moves only once its machines are healthy.

    With ``canary`` (1 to 50 percent) only that share of the requests; the same version without it
    then gets all, and becomes the default one of its model. Raises InputError, SettingsError, and
    what Vertex AI gives as its reason with the server's last lines: then the old version serves.
    """
    if port is not None:
        raise InputError("an endpoint of Vertex AI has an address of its own; leave --port out")
    check(workspace=workspace, name=name, canary=canary, environment=environment)
    at, operation = At(name, told_by(environment), deadline), deploying.operation(model)
    image = environment.get(SERVER_IMAGE)
    if not image:
        raise InputError(f"{SERVER_IMAGE}, which image serves, is not set; see {SERVING}")
    look(at)  # another's endpoint is refused before anything is uploaded
    release = Release(model_name or name, version, environment.get("TREFOIL_RUN_ID", ""))
    data = versions.put(at, model)
    found = versions.register(at, release, image, data)
    new = found.version

    def change(now: State) -> Wanted:
        current, shown = now.serves, now.labels.get(VERSION, "")
        if canary and current and now.deployed and current != new:
            shares = ((current, shown, 100 - canary), (new, version, canary))
            kept = remembered(current, shown, now.before, now.labels.get(PREVIOUS, ""))
            return Wanted(shares, kept | {CANARY: label(version)})
        if current == new:
            kept = remembered(new, version, now.before, now.labels.get(PREVIOUS, ""))
            return Wanted(((new, version, 100),), kept)
        return Wanted(((new, version, 100),), remembered(new, version, current, shown))

    state.create(at)
    return _switch(at, change, operation, found)


def rollback(
    *,
    workspace: Path,
    name: str,
    environment: Mapping[str, str] = os.environ,
    deadline: float = DEADLINE,
) -> Endpoint:
    """End a canary, or serve the version before the present one again. Raises InputError."""
    del workspace
    at = At(name, told_by(environment), deadline)

    def change(now: State) -> Wanted:
        current, shown = now.serves, now.labels.get(VERSION, "")
        if current is None:
            raise InputError(f"endpoint {name} was never deployed")
        before, previous = now.before, now.labels.get(PREVIOUS, "")
        if now.canary:
            kept = remembered(current, shown, before, previous)
            return Wanted(((current, shown, 100),), kept)
        if before is None:
            raise InputError(f"endpoint {name} has no earlier version to roll back to")
        return Wanted(((before, previous, 100),), remembered(before, previous, current, shown))

    return _switch(at, change)


def stop(*, workspace: Path, name: str, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """End all its machines, and with them its cost; what it served is remembered.

    Raises InputError.
    """
    del workspace
    at = At(name, told_by(environment), DEADLINE)
    while True:
        now = settled(at)
        if not now.there:
            raise InputError(f"endpoint {name} was never deployed")
        without = {key: text for key, text in now.labels.items() if key != CANARY}
        if not now.traffic or state.move(at, now, {}, without):
            break
    state.undeploy(at, now.deployed)
    return _told(at, settled(at))


def endpoints(*, workspace: Path, environment: Mapping[str, str] = os.environ) -> list[Endpoint]:
    """All endpoints of the project and region that are ours, stopped ones too."""
    del workspace
    serving = told_by(environment)
    gcp = connected(serving.project, serving.region)
    asked = {"parent": gcp.parent, "filter": f"labels.{ENDPOINT}:*"}
    every = gcp.pages("endpoints.list", "endpoints", "list the endpoints", **asked)
    there = {each["displayName"]: state.read(each) for each in every}
    return [_told(At(name, serving, DEADLINE), there[name]) for name in sorted(there)]


def _switch(
    at: At,
    change: Callable[[State], Wanted],
    operation: str = "",
    new: versions.Registered | None = None,
) -> Endpoint:
    """Deploy what is wanted, move the traffic there, and see to what follows from it.

    Where another deployer is at work, the change is made to what that one left. With an
    ``operation`` the ``new`` version is tried.
    """
    while True:
        before = settled(at)
        wanted = change(before)
        asked = [
            requests.deployment(version, f"{version.model} version {shown}", at.serving)
            for version, shown, _ in wanted.shares
        ]
        names = [each["deployedModel"]["id"] for each in asked]
        traffic = dict(zip(names, (share for _, _, share in wanted.shares), strict=True))
        try:
            if at.serving.network:  # there an endpoint has one version at a time
                state.undeploy(at, [name for name in before.deployed if name not in traffic])
            for each in asked:
                state.deploy(at, before, each)
            now = settled(at)
            moved = now.traffic == traffic and now.remembers(wanted.labels)
            if not moved and not state.move(at, now, traffic, wanted.labels):
                continue
            if operation and new:
                trial.use(at, look(at), names[-1], operation)
        except TrefoilError as error:
            raise _undone(at, before, traffic, new, error) from None
        return _kept(at, before, wanted)


def _undone(
    at: At,
    before: State,
    traffic: Mapping[str, int],
    new: versions.Registered | None,
    error: TrefoilError,
) -> TrefoilError:
    """Take back what was made, last first; the error says so, with the server's last lines."""
    lines = state.last_lines(at)
    now = settled(at)
    if now.traffic == traffic and now.traffic != before.traffic:
        state.move(at, now, before.traffic, before.labels)
    made = [name for name in traffic if name in now.deployed and name not in before.deployed]
    if made and at.serving.network:
        state.undeploy(at, made)
    for name in before.traffic:
        if name in before.deployed and name not in now.deployed:
            state.deploy(at, now, state.again(before.deployed[name]))
    state.undeploy(at, [name for name in made if not look(at).traffic.get(name)])
    if not before.serves and not settled(at).deployed:
        state.delete(at)
    if new and new.made:
        versions.forget(at, new.version)
    version = before.labels.get(VERSION, "before")
    told = f"\nversion {version} still serves" if before.traffic else ""
    return type(error)(f"{error}{lines}{told}")


def _kept(at: At, before: State, wanted: Wanted) -> Endpoint:
    """What follows from a switch: no machine that serves nobody, and aliases that are true."""
    now = look(at)
    old = time.time() - YOUNG
    idle = [
        name
        for name in now.idle()
        if name in before.traffic
        or now.deployed[name].version == now.before
        or now.deployed[name].created < old
    ]
    state.undeploy(at, idle)
    if not now.canary:
        versions.promote(at, wanted.shares[0][0])
    return _told(at, settled(at))


def _told(at: At, now: State) -> Endpoint:
    version, previous = now.labels.get(VERSION, ""), now.labels.get(PREVIOUS)
    if now.canary:
        version, previous = f"{version}, canary {now.canary}", version
    serving = at.serving
    return Endpoint(
        name=at.name,
        version=version,
        url=f"https://{serving.region}-aiplatform.googleapis.com/v1/{at.resource}:predict",
        state=now.told(),
        pid=None,
        started=now.changed if now.deployed else None,
        previous=previous,
        message=_message(at, now),
    )


def _message(at: At, now: State) -> str:
    """What a deployer that was killed left, and what to do."""
    idle = [now.deployed[name].found.get("displayName", name) for name in now.idle()]
    if not idle:
        return ""
    return (
        f"{at.name} has machines that get no requests, for {', '.join(idle)}: a deployer is at "
        "work, or was killed; deploy again goes on, stop ends them all"
    )
