"""Until a version's pods can answer, or why they cannot."""

from __future__ import annotations

import time

from infra.errors import ProviderError
from infra.kind.api import Cluster, Object
from infra.kind.cluster.waiting import pod_reasons
from infra.kind.endpoint_manifests import Release, deployment_name, labels

_POLL = 0.5
_LINES = 15
_STARTS = 3
"""How often a container may be started again; with Kubernetes' pauses that is after a minute."""


def until_ready(cluster: Cluster, name: str, release: Release, deadline: float) -> None:
    """Wait for a version's pods. Raises ProviderError with the reason they give in the end."""
    full = deployment_name(name, release)
    end = time.monotonic() + deadline
    while not ready(cluster.find("Deployment", full)):
        pods = cluster.all("Pod", labels(name, release))
        if any(map(_hopeless, pods)):
            raise ProviderError(f"version {release.version} fails: {_reason(cluster, pods)}")
        if time.monotonic() > end:
            raise ProviderError(
                f"version {release.version} is not ready after {deadline:g} s: "
                f"{_reason(cluster, pods)}"
            )
        time.sleep(_POLL)


def ready(found: Object | None) -> bool:
    """Whether a Deployment's pods are what it asks for, and can answer."""
    if found is None:
        return False
    status = found.get("status", {})
    seen = status.get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
    wanted = max(1, found["spec"].get("replicas", 1))
    return bool(seen and status.get("availableReplicas", 0) >= wanted)


def _hopeless(pod: Object) -> bool:
    """Whether a container of the pod ends badly however often it is started."""
    return any(each.get("restartCount", 0) >= _STARTS for each in _containers(pod))


def _reason(cluster: Cluster, pods: list[Object]) -> str:
    for pod in pods:
        for words in pod_reasons(pod):
            return words + _log(cluster, pod)
    return "its pods run, and are not ready yet" if pods else "it has no pods yet"


def _log(cluster: Cluster, pod: Object) -> str:
    """The last lines of its first container that ended badly, fetching ones before serving ones."""
    for each in _containers(pod):
        last, now = each.get("lastState", {}), each.get("state", {})
        ended = last.get("terminated") or now.get("terminated")
        if ended and ended.get("exitCode"):
            previous = bool(last.get("terminated"))
            lines = cluster.log(pod["metadata"]["name"], each["name"], previous, _LINES)
            return "".join(f"\n    {line}" for line in lines)
    return ""


def _containers(pod: Object) -> list[Object]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
