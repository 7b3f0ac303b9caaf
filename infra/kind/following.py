"""Several nodes for a step: its Job from its making to its end, and what comes out of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from infra.errors import ProviderError, StepFailed
from infra.kind.api import Cluster, Object
from infra.kind.cluster.waiting import pod_reasons
from infra.kind.job_manifests import CONTAINER, JOB
from infra.kind.shared import Shared

_SOON, _LATE = 0.1, 2.0
"""Seconds between two looks at the Job, at first and later."""
_PATIENCE = 90.0
"""Seconds that ended pods have to be gone: more than their grace."""
_AWAY = 300.0
"""Seconds that the API server may be away, as when it is upgraded: the pods train on meanwhile."""
_LINES = 15
_ALSO = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "TREFOIL_STEP", "TREFOIL_ATTEMPT")
"""Variables of the launcher that its pods get too, where they are set."""

Say = Callable[[str], None]
Stopped = Callable[[], bool]
_Told = tuple[Object, list[Object]]


class Failed(StepFailed):
    """A pod ended badly; ``exit_code`` is its."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code


class Ended(Exception):
    """Somebody asked for the end; the pods have had their time to save what they had."""


def filled(
    manifests: Sequence[Object], command: Sequence[str], names: Sequence[str], shared: Shared
) -> Sequence[Object]:
    """The manifests with what their pods run, and this environment's variables of these names."""
    (container,) = manifests[1]["spec"]["template"]["spec"]["containers"]
    container["command"] = _command(shared.seen(command), container)
    container["env"] = [*_passed(names, container), *container["env"], shared.variable()]
    return manifests


def run(
    manifests: Sequence[Object], shared: Shared, deadline: float, say: Say, stopped: Stopped
) -> None:
    """Make a Service and a Job, whose pods have ``deadline`` seconds to start; bring the outputs.

    ``say`` hears what the first pod prints. Raises Failed, Ended, and ProviderError; whatever
    happens, the Job is gone afterwards.
    """
    service, job = manifests
    name = job["metadata"]["name"]
    with Cluster(job["metadata"]["namespace"]) as cluster:
        _remove(cluster, name)  # what a killed launcher left
        shared.bring_in()
        try:
            cluster.apply(service)
            cluster.apply(job)
            told, pods = _follow(_Look(cluster, name, say), shared, job, deadline, stopped)
            if _is(told, "Failed"):
                raise _failure(cluster, told, pods)
        finally:
            _remove(cluster, name)
    shared.bring_out()


def _command(words: list[str], container: Object) -> list[str]:
    """The step's own command; by torchrun where a pod has several processes."""
    if all(each["name"] != "PET_NNODES" for each in container["env"]):
        return words
    torchrun = ["python", "-m", "torch.distributed.run"]
    if words[:2] == ["python", "-m"]:
        return [*torchrun, "--module", *words[2:]]
    return [*torchrun, "--no-python", *words]


def _passed(names: Sequence[str], container: Object) -> Iterator[Object]:
    """The launcher's own environment, as far as it is the step's."""
    set_there = {each["name"] for each in container["env"]}
    for name in dict.fromkeys((*names, *_ALSO)):
        if name in os.environ and name not in set_there:
            yield {"name": name, "value": os.environ[name]}


class _Look:
    """What is told of a Job and its pods, again and again, by a server that may be away."""

    def __init__(self, cluster: Cluster, name: str, say: Say) -> None:
        self._cluster, self._name, self._say = cluster, name, say
        self._printed = ""
        self._seen = time.monotonic()

    def again(self) -> _Told | None:
        """The Job and its pods, once what is new in the log was told; None without an answer.

        Raises ProviderError where the Job is gone, or the server for too long.
        """
        try:
            job = self._cluster.find("Job", self._name)
            pods = self._cluster.all("Pod", {JOB: self._name})
            for pod in pods:
                if _index(pod) == 0 and _has_begun(pod):
                    self._print(pod["metadata"]["name"])
        except ProviderError:
            if time.monotonic() - self._seen > _AWAY:
                raise
            return None
        if job is None:
            raise ProviderError(f"the Job {self._name} was removed by somebody else")
        self._seen = time.monotonic()
        return job, pods

    def _print(self, pod: str) -> None:
        for at, line in self._cluster.timed(pod, CONTAINER, self._printed):
            self._say(line)
            self._printed = at


def _follow(look: _Look, shared: Shared, job: Object, deadline: float, stopped: Stopped) -> _Told:
    """Wait until the Job has ended. Raises Ended, and ProviderError where it does not begin."""
    nodes = job["spec"]["completions"]
    began, wait, started = time.monotonic(), _SOON, False
    while True:
        shared.show()
        if found := look.again():
            told, pods = found
            if _is(told, "Complete") or _is(told, "Failed"):
                return found
            started = started or sum(map(_has_begun, pods)) >= nodes
            if not started and time.monotonic() - began > deadline:
                raise ProviderError(
                    f"{nodes} pods could not be started within {deadline:g} s: {_obstacle(pods)}"
                )
        _pause(wait, stopped)
        wait = min(_LATE, wait * 1.2)


def _pause(seconds: float, stopped: Stopped) -> None:
    """Wait, but not with the end: who asked for it may wait only a moment. Raises Ended."""
    until = time.monotonic() + seconds
    while not stopped():
        if time.monotonic() > until:
            return
        time.sleep(_SOON / 2)
    raise Ended


def _failure(cluster: Cluster, job: Object, pods: list[Object]) -> Failed:
    """The pod that ended badly first, and why."""
    ended = sorted(
        (found["finishedAt"], number, pod)
        for number, pod in enumerate(pods)
        if (found := _ending(pod)) and found["exitCode"]
    )
    if not ended:
        why = next(each for each in job["status"]["conditions"] if each["type"] == "Failed")
        return Failed(f"the Job failed ({why.get('reason')}): {why.get('message')}", 1)
    pod = ended[0][2]
    lines = cluster.log(pod["metadata"]["name"], CONTAINER, False, _LINES) if _index(pod) else []
    tail = "".join(f"\n    {line}" for line in lines)
    words, nodes = next(pod_reasons(pod)), job["spec"]["completions"]
    return Failed(f"node {_index(pod)} of {nodes}: {words}{tail}", _ending(pod)["exitCode"])


def _remove(cluster: Cluster, name: str) -> None:
    """Remove the Job with its pods, and its Service; wait until they are gone."""
    cluster.delete("Job", name)
    cluster.delete("Service", name)
    end = time.monotonic() + _PATIENCE
    while cluster.all("Pod", {JOB: name}) and time.monotonic() < end:
        time.sleep(_SOON)


def _index(pod: Object) -> int:
    annotations = pod["metadata"].get("annotations", {})
    return int(annotations["batch.kubernetes.io/job-completion-index"])


def _is(job: Object, condition: str) -> bool:
    conditions = job.get("status", {}).get("conditions", [])
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)


def _has_begun(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Running", "Succeeded", "Failed")


def _ending(pod: Object) -> Any:
    for each in pod.get("status", {}).get("containerStatuses", []):
        return each.get("state", {}).get("terminated") or {}
    return {}


def _obstacle(pods: list[Object]) -> str:
    return "; ".join(dict.fromkeys(words for pod in pods for words in pod_reasons(pod))) or (
        "Kubernetes does not say why"
    )
