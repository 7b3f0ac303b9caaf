"""Until the named Deployments are ready; and where one is not in time, the reason its pods give."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from infra.errors import ProviderError
from infra.kind.cluster import NAMESPACE, tools
from infra.kind.cluster.tools import Say

_UPSTREAM = "application-crd-id=kubeflow-pipelines"
"""The label of everything that is Kubeflow Pipelines' own."""
_LINES = 8


def wait(deployments: Iterable[str], minutes: float, say: Say) -> None:
    """Wait for Deployments, then for the Jobs that set Kubeflow Pipelines up.

    Raises ProviderError with the reason once the minutes are over.
    """
    deadline = time.monotonic() + minutes * 60
    say(f"▶ waiting for what a run needs, {minutes:g} minutes at most")
    for name in deployments:
        _until(("rollout", "status", f"deployment/{name}"), name, minutes, deadline)
        say(f"✓ {name} is ready")
    for name in _jobs():
        _until(("wait", "--for=condition=complete", f"job/{name}"), name, minutes, deadline)
        say(f"✓ {name} is done")


def reason(workload: str) -> str:
    """Why a workload, as ``deployment/NAME``, is not ready: one sentence, and last log lines."""
    selector = _selector(workload)
    if not selector:
        return "it is not there"
    pods = _get("pods", "-l", selector)
    for pod in pods:
        for words in pod_reasons(pod):
            return words + _log(pod)
    return "its pods run, and are not ready yet" if pods else "it has no pods yet"


def pod_reasons(pod: Mapping[str, Any]) -> Iterator[str]:
    """What a pod, as the API gives it, says is wrong with it; nothing where it is well."""
    status = pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"no room for its pod: {condition.get('message', condition.get('reason'))}"
    for container in (
        *status.get("initContainerStatuses", []),
        *status.get("containerStatuses", []),
    ):
        waiting = container.get("state", {}).get("waiting", {})
        ended = container.get("lastState", {}).get("terminated") or container.get("state", {}).get(
            "terminated"
        )
        why, told = waiting.get("reason", ""), waiting.get("message", "")
        if "Image" in why:
            yield f"the image {container['image']} cannot be pulled ({why}): {told}"
        elif ended and ended.get("exitCode"):
            yield f"its container {container['name']} ended with {_ending(ended)}"
        elif why and why not in ("ContainerCreating", "PodInitializing"):
            yield f"its container {container['name']} waits ({why}): {told}"
    if status.get("phase") == "Failed" and status.get("message"):
        yield f"its pod failed ({status.get('reason')}): {status['message']}"


def _until(words: tuple[str, ...], name: str, minutes: float, deadline: float) -> None:
    left = max(1, int(deadline - time.monotonic()))
    try:
        tools.kubectl(*words, "-n", NAMESPACE, f"--timeout={left}s", timeout=left + 30)
    except tools.ToolFailed as error:
        why = reason(words[-1])
        raise ProviderError(
            f"{name} is not ready within {minutes:g} minutes: {why}\n"
            f"  look on with kubectl -n {NAMESPACE} describe {words[-1]}, "
            "mend it and give the same command again"
        ) from error


def _selector(workload: str) -> str:
    found = tools.kubectl("get", workload, "-n", NAMESPACE, "-o", "json", "--ignore-not-found")
    spec = json.loads(found)["spec"] if found else {}
    labels = spec.get("selector", {}).get("matchLabels", {})
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _jobs() -> list[str]:
    return [job["metadata"]["name"] for job in _get("jobs", "-l", _UPSTREAM)]


def _get(*words: str) -> list[dict[str, Any]]:
    found = tools.kubectl("get", *words, "-n", NAMESPACE, "-o", "json")
    items: list[dict[str, Any]] = json.loads(found)["items"]
    return items


def _log(pod: Mapping[str, Any]) -> str:
    """The last lines that its crashed container printed; nothing where it never ran."""
    crashed = [
        each
        for each in pod.get("status", {}).get("containerStatuses", [])
        if each.get("lastState", {}).get("terminated") or each.get("state", {}).get("terminated")
    ]
    if not crashed:
        return ""
    words = ["logs", pod["metadata"]["name"], "-n", NAMESPACE, f"--tail={_LINES}"]
    words += ["-c", crashed[0]["name"]]
    if crashed[0].get("lastState", {}).get("terminated"):
        words.append("--previous")
    try:
        lines = tools.kubectl(*words).splitlines()
    except tools.ToolFailed:  # the node has thrown the log away
        return ""
    return "".join(f"\n    {line}" for line in lines)


def _ending(ended: Mapping[str, Any]) -> str:
    if ended.get("reason") == "OOMKilled":
        return "exit code 137: it took more memory than its limit"
    return f"exit code {ended['exitCode']}"
