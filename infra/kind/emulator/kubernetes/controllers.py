"""What a cluster does by itself about its objects, one function for each kind that it acts on."""

from __future__ import annotations

import copy
import hashlib

from infra.kind.emulator.kubernetes.discovery import path_of
from infra.kind.emulator.kubernetes.node import is_ready
from infra.kind.emulator.kubernetes.objects import Object, Objects
from infra.plan import canonical

_HASH = "pod-template-hash"


def reconcile(objects: Objects) -> None:
    """Bring what is there a step nearer to what was asked for."""
    with objects.lock:
        for path, body in objects.of("Deployment"):
            _deployment(objects, path, body)
        for path, body in objects.of("Job"):
            _job(objects, path, body)


def settled(objects: Objects) -> bool:
    """Whether every Deployment has its pods, and each of them can answer or fails."""
    with objects.lock:
        return all(_is_settled(objects, body) for _, body in objects.of("Deployment"))


def _deployment(objects: Objects, path: str, body: Object) -> None:
    """As many pods of its template as it asks for, and none of an earlier one."""
    template, wanted = body["spec"]["template"], body["spec"].get("replicas", 1)
    version = hashlib.sha256(canonical(template)).hexdigest()[:10]
    own = {where: objects.get(where) for where in objects.owned(body)}
    current = {w: pod for w, pod in own.items() if pod["metadata"]["labels"][_HASH] == version}
    for where in (own.keys() - current.keys()) | set(list(current)[wanted:]):
        objects.delete(where)
        current.pop(where, None)
    for _ in range(wanted - len(current)):
        number = objects.revision
        name = f"{body['metadata']['name']}-{version[:5]}-{number}"
        objects.add(_pod_of(body, template, name, {_HASH: version}))
    ready = sum(is_ready(pod) for pod in current.values())
    objects.report(
        path,
        {
            "observedGeneration": body["metadata"]["generation"],
            "replicas": wanted, "updatedReplicas": wanted,
            "readyReplicas": ready, "availableReplicas": ready,
        },
    )  # fmt: skip


def _job(objects: Objects, path: str, body: Object) -> None:
    """A pod for each index; it fails with the first of them, and ends the others."""
    spec, own = body["spec"], [objects.get(each) for each in objects.owned(body)]
    name, ended = body["metadata"]["name"], bool(body.get("status", {}).get("conditions"))
    if ended:
        return
    if not own:
        for index in range(spec["completions"]):
            objects.add(_indexed(body, index))
        return
    phases = [pod.get("status", {}).get("phase") for pod in own]
    failed = [pod for pod in own if pod.get("status", {}).get("phase") == "Failed"]
    if failed:
        why = f"pod {failed[0]['metadata']['name']} failed, and no more may"
        told = {"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": why}
        objects.report(path, {"failed": len(failed), "conditions": [told]})
        for pod in own:
            if pod.get("status", {}).get("phase") not in ("Failed", "Succeeded"):
                objects.delete(path_of(pod))
    elif phases.count("Succeeded") == spec["completions"]:
        told = {"type": "Complete", "status": "True", "message": f"{name} has ended well"}
        objects.report(path, {"succeeded": spec["completions"], "conditions": [told]})


def _indexed(job: Object, index: int) -> Object:
    """One pod of an Indexed Job."""
    name = job["metadata"]["name"]
    labels = {"job-name": name, "batch.kubernetes.io/job-name": name}
    template = copy.deepcopy(job["spec"]["template"])
    of_index = "batch.kubernetes.io/job-completion-index"
    template["metadata"].setdefault("annotations", {})[of_index] = str(index)
    template["spec"]["hostname"] = f"{name}-{index}"
    for container in template["spec"]["containers"]:
        own = {"name": "JOB_COMPLETION_INDEX", "value": str(index)}
        container["env"] = [*container.get("env", []), own]
    return _pod_of(job, template, f"{name}-{index}-{job['metadata']['uid'][:5]}", labels)


def _pod_of(owner: Object, template: Object, name: str, labels: dict[str, str]) -> Object:
    own = template.get("metadata", {})
    metadata = {
        **own,
        "name": name,
        "namespace": owner["metadata"]["namespace"],
        "labels": {**own.get("labels", {}), **labels},
        "ownerReferences": [
            {
                "apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True,
                "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
            }
        ],
    }  # fmt: skip
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _is_settled(objects: Objects, deployment: Object) -> bool:
    pods = [objects.get(path) for path in objects.owned(deployment)]
    wanted = deployment["spec"].get("replicas", 1)
    ready = deployment.get("status", {}).get("availableReplicas", 0)
    return len(pods) == wanted and (ready == wanted or any(map(_failed, pods)))


def _failed(pod: Object) -> bool:
    told = pod.get("status", {})
    both = (*told.get("initContainerStatuses", []), *told.get("containerStatuses", []))
    return any(each["restartCount"] > 1 for each in both)
