"""Endpoints on Kubernetes: a Service in front of a Deployment for each version.

A new version is started beside the old one and gets no request before its pods are ready, which
they are once the model was loaded and each of its operations tried. Then one change of the Service
moves the traffic, and says so in its annotation. Killed before it, a deployer leaves the old
version serving; after it, the new one; whoever comes next takes down what nobody asks any more.

A canary is both versions behind the Service: it is asked as often as its share of the pods.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from infra.errors import InputError, ProviderError
from infra.kind import FETCHING, SERVING
from infra.kind.api import Cluster, Conflict, Object
from infra.kind.endpoint_manifests import (
    ENDPOINT,
    STARTING,
    Release,
    State,
    deployment,
    deployment_name,
    labels,
    service,
    starting_until,
    state_of,
    traffic,
)
from infra.kind.ready import ready, until_ready
from infra.served import Endpoint, EndpointState

DEADLINE = 300.0
"""Seconds that a new version has to become ready: its image may have to be pulled."""
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?")
_MOST_PODS = 10


def check(
    *, workspace: Path, name: str, canary: int = 0, environment: Mapping[str, str] = os.environ
) -> None:
    """Refuse, before a run, a name that no Service can have, and a canary too large to be one.

    Raises InputError.
    """
    del workspace, environment  # kubectl's configuration says where
    if not 0 <= canary <= 50:
        raise InputError(f"a canary of {canary} percent is not in 0..50")
    if not _NAME.fullmatch(name):
        raise InputError(
            f"endpoint {name} has no name for a Service: up to 52 of a-z, 0-9 and -, a letter first"
        )


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
    """Serve a registered version; traffic moves only once it is ready.

    With ``canary`` (1 to 50 percent) only that share of the requests; the same version without it
    then gets all. ``environment`` says what its pods are made of. Raises InputError, and
    ProviderError with the pod's reason when the new version does not become ready: then the old
    one goes on serving.
    """
    del model  # the pods fetch the version from the registry
    if port is not None:
        raise InputError("an endpoint of a cluster is at port 80 of its Service; leave --port out")
    check(workspace=workspace, name=name, canary=canary)
    with Cluster() as cluster:
        state = state_of(_service(cluster, name))
        release = Release(model_name or name, version)
        if state.current == release and not state.canary and not state.stopped and not canary:
            _tidy(cluster, name, state)
            return _look(cluster, name, state)
        new = _New(release, canary, deadline, environment)
        return _switch(cluster, name, state, new)


def rollback(
    *,
    workspace: Path,
    name: str,
    environment: Mapping[str, str] = os.environ,
    deadline: float = DEADLINE,
) -> Endpoint:
    """End a canary, or serve the version before the present one again. Raises InputError."""
    del workspace
    with Cluster() as cluster:
        state = _known(cluster, name)
        if state.canary:
            return _settle(cluster, name, _without_canary)
        if state.previous is None:
            raise InputError(f"endpoint {name} has no earlier version to roll back to")
        new = _New(state.previous, 0, deadline, environment)
        return _switch(cluster, name, state, new)


def stop(*, workspace: Path, name: str, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Answer no more requests; what it served is remembered. Raises InputError."""
    del workspace, environment
    with Cluster() as cluster:
        _known(cluster, name)
        return _settle(cluster, name, lambda now: _without_canary(now)._replace(stopped=True))


def endpoints(*, workspace: Path, environment: Mapping[str, str] = os.environ) -> list[Endpoint]:
    """All endpoints of the namespace and how they are."""
    del workspace, environment
    with Cluster() as cluster:
        services = cluster.all("Service", {"app.kubernetes.io/part-of": "trefoil"})
        found = {each["metadata"]["labels"].get(ENDPOINT): state_of(each) for each in services}
        found.pop(None, None)  # MLflow's and the page's
        return [_look(cluster, name, state) for name, state in sorted(found.items())]


class _New(NamedTuple):
    """A version that is to be served: its share of the requests, and until when it must be ready.

    ``environment`` says what its pods are made of, where they are not there any more.
    """

    release: Release
    canary: int
    deadline: float
    environment: Mapping[str, str]


def _switch(cluster: Cluster, name: str, state: State, new: _New) -> Endpoint:
    release, canary = new.release, new.canary
    beside = canary and state.current not in (None, release) and not state.stopped
    if beside and state.current:
        cluster.patch("Deployment", deployment_name(name, state.current), _scale(_share(canary)))
    _start(cluster, name, new)
    try:
        until_ready(cluster, name, release, new.deadline)
    except ProviderError as error:
        _discard(cluster, name, release)
        if not state.current or state.stopped:
            raise
        raise ProviderError(f"{error}\nversion {state.current.version} still serves") from None
    return _settle(cluster, name, lambda now: _after(now, release, bool(beside)))


def _after(now: State, release: Release, canary: bool) -> State:
    """What the endpoint serves once a version is ready."""
    if canary:
        return now._replace(canary=release, changed=time.time())
    previous = now.previous if now.current == release else now.current
    return State(release, previous, changed=time.time())


def _start(cluster: Cluster, name: str, new: _New) -> None:
    """Make the version's Deployment, or give it a pod again; it knows how it was made."""
    release, until = new.release, time.time() + new.deadline
    if found := cluster.find("Deployment", deployment_name(name, release)):
        pods = max(1, found["spec"].get("replicas", 1))
        cluster.patch("Deployment", deployment_name(name, release), _scale(pods, until))
        return
    uri = new.environment.get("MLFLOW_TRACKING_URI", "")
    images = {image: new.environment.get(variable, "") for image, variable in SERVING.items()}
    if not (uri and all(images.values())):
        variables = ", ".join(("MLFLOW_TRACKING_URI", *SERVING.values()))
        raise InputError(
            f"deploy is told by {variables} what its pods are made of, and not all of these are "
            "set; run it in a pipeline, or by python -m pipelines deploy --provider kind"
        )
    secrets = json.loads(new.environment.get(FETCHING, "{}"))
    made = deployment(name, cluster.namespace, release, images, uri, secrets)
    made["metadata"]["annotations"] = {STARTING: str(until)}
    cluster.apply(made)


def _discard(cluster: Cluster, name: str, release: Release) -> None:
    """Take down a version that did not get ready, unless it is asked after all."""
    cluster.patch("Deployment", deployment_name(name, release), _scale(0))
    if found := _service(cluster, name):
        _tidy(cluster, name, state_of(found))


def _settle(cluster: Cluster, name: str, change: Callable[[State], State]) -> Endpoint:
    """The moment at which the traffic moves, and what follows from it.

    Where another deployer was quicker, the change is made to what that one left.
    """
    while True:
        found = _service(cluster, name)
        state = change(state_of(found))
        try:
            if found is None:
                cluster.create(service(name, cluster.namespace, state))
            else:
                cluster.patch("Service", name, traffic(name, state, found))
            break
        except Conflict:
            continue
    _tidy(cluster, name, state)
    return _look(cluster, name, state)


def _tidy(cluster: Cluster, name: str, state: State) -> None:
    """No pods for what is not asked; no trace of what no rollback can reach.

    What another deployer is just starting is left to it.
    """
    asked = {each.key() for each in (state.current, state.canary) if each and not state.stopped}
    kept = {each.key() for each in (state.current, state.canary, state.previous) if each}
    for each in cluster.all("Deployment", labels(name)):
        full, pods = each["metadata"]["name"], each["spec"].get("replicas", 1)
        key, starting = full.removeprefix(f"{name}-"), starting_until(each)
        if key in asked:
            wanted = pods if state.canary else 1
            if pods != wanted or starting:
                cluster.patch("Deployment", full, _scale(wanted))
        elif starting > time.time():
            continue
        elif key not in kept:
            cluster.delete("Deployment", full)
        elif pods:
            cluster.patch("Deployment", full, _scale(0))


def _look(cluster: Cluster, name: str, state: State) -> Endpoint:
    current = state.current
    found: EndpointState = "canary" if state.canary else "serving"
    if state.stopped:
        found = "stopped"
    elif not current or not ready(cluster.find("Deployment", deployment_name(name, current))):
        found = "unhealthy"
    version = current.version if current else ""
    previous = current if state.canary else state.previous
    return Endpoint(
        name=name,
        version=f"{version}, canary {state.canary.version}" if state.canary else version,
        url=f"http://{name}.{cluster.namespace}",
        state=found,
        pid=None,
        started=state.changed or None,
        previous=previous.version if previous else None,
    )


def _service(cluster: Cluster, name: str) -> Object | None:
    """The endpoint's Service. Raises InputError where another's has its name."""
    found = cluster.find("Service", name)
    if found and found["metadata"].get("labels", {}).get(ENDPOINT) != name:
        raise InputError(f"the Service {name} is there, and no endpoint; choose another name")
    return found


def _known(cluster: Cluster, name: str) -> State:
    found = _service(cluster, name)
    if found is None:
        raise InputError(f"endpoint {name} was never deployed")
    return state_of(found)


def _without_canary(now: State) -> State:
    return now._replace(canary=None, changed=time.time())


def _share(canary: int) -> int:
    """Pods of the current version beside one of a canary: its share, as near as whole pods go."""
    return min(_MOST_PODS - 1, max(1, round(100 / canary) - 1)) if canary else 1


def _scale(replicas: int, until: float = 0.0) -> Object:
    return {
        "metadata": {"annotations": {STARTING: str(until)}},
        "spec": {"replicas": replicas},
    }
