"""Several nodes for a step: an Indexed Job, a pod for each, and the Service that names them. Pure.

The first pod has a name of its own, where the others meet it: by the variables of torch's env://,
or by torchrun's where a node has several accelerators and so several processes. One pod that fails
ends all. Inputs, outputs and checkpoints go by a folder in a claim that all of them mount: that
takes no server between them, and what was saved outlives every pod. On kind's one node any claim
can be shared; a cluster of several needs one that is ReadWriteMany.

Kubeflow Pipelines may kill a launcher before it could remove its Job. So it shows in the folder
that it lives, and pods whose launcher is silent are ended by their own probe, with time to save.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from infra.kind import KindSettings
from infra.kind.endpoint_manifests import CONFINED, resources
from infra.plan import Step

Object: TypeAlias = dict[str, Any]

WORK = "/trefoil/work"
"""Where the claim is mounted, in the launcher and in the pods."""
CONTAINER = "node"
JOB = "trefoil.dev/job"
PORT = 29500
GIVEN = ("emptyDirMounts", "imagePullPolicy", "nodeSelector", "pvcMount", "secretAsEnv",
         "tolerations", "activeDeadlineSeconds")  # fmt: skip
"""Of what a pipeline asks of its pod, what those of a Job are given."""
_INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
_TMP = "/tmp"  # noqa: S108  the container's own
_CPU, _MEMORY = "2", "4Gi"
"""Limits of a pod where the step names none."""
_NAME = "$(job)"
_LONGEST = 50
_SILENT = 3
"""Minutes without a sign of the launcher after which its pods are ended."""


def manifests(step: Step, image: str, pod: Object, settings: KindSettings) -> list[Object]:
    """The Service, then the Job, without a name and its container's command: see ``named``."""
    metadata = {"name": _NAME, "namespace": settings.namespace, "labels": {JOB: _NAME}}
    nodes = step.resources.nodes
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,  # they meet before they are ready
            "selector": {JOB: _NAME},
            "ports": [{"name": "rendezvous", "port": PORT, "targetPort": "rendezvous"}],
        },
    }
    failed = {"containerName": CONTAINER, "operator": "NotIn", "values": [0]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "completionMode": "Indexed",
            "completions": nodes,
            "parallelism": nodes,
            "backoffLimit": 0,
            "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": failed}]},
            "ttlSecondsAfterFinished": 3600,  # if its launcher is no more
            **({"activeDeadlineSeconds": int(step.timeout)} if step.timeout else {}),
            "template": {
                "metadata": {"labels": {JOB: _NAME}},
                "spec": _pod(step, image, pod, settings),
            },
        },
    }
    return [service, job]


def named(text: str, name: str) -> list[Object]:
    """Manifests that were put into JSON, under the name of a Job of this run."""
    found: list[Object] = json.loads(text.replace(_NAME, name))
    return found


def job_name(run_id: str, step: str) -> str:
    """A name that leaves room for a pod's number, the same for every attempt."""
    name = re.sub(r"[^a-z0-9-]", "-", f"{run_id}-{step}".lower()).strip("-")
    if len(name) <= _LONGEST and name[:1].isalpha():
        return name
    return f"job-{hashlib.sha256(name.encode()).hexdigest()[:20]}"


def alive(name: str) -> str:
    """The file that the launcher of a Job touches for as long as it lives."""
    return f"{WORK}/{name}/alive"


def _pod(step: Step, image: str, pod: Object, settings: KindSettings) -> Object:
    mounts, volumes = _volumes(pod, settings)
    asked = step.resources
    memory = f"{asked.memory_gb * 1e9 / 2**20:.0f}Mi" if asked.memory_gb else _MEMORY
    limits = resources("100m", f"{asked.cpu:g}" if asked.cpu else _CPU, "256Mi", memory)
    if asked.accelerators:
        kind = asked.accelerator or ""
        resource = kind if "/" in kind else settings.gpu_resource
        limits["limits"][resource] = str(asked.accelerators)
    container = {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": pod["imagePullPolicy"],
        "env": [*_meeting(step), *_secrets(pod), {"name": "HOME", "value": _TMP}],
        "ports": [{"name": "rendezvous", "containerPort": PORT}],
        "resources": limits,
        "livenessProbe": {
            "exec": {"command": ["sh", "-c", f'test -n "$(find {alive(_NAME)} -mmin -{_SILENT})"']},
            "periodSeconds": 30,
            "timeoutSeconds": 10,
        },
        "volumeMounts": mounts,
        "securityContext": {**CONFINED, "readOnlyRootFilesystem": False},
    }
    found: Object = {
        "restartPolicy": "Never",
        "subdomain": _NAME,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,  # for a checkpoint
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": volumes,
    }
    if labels := pod.get("nodeSelector", {}).get("labels"):
        found["nodeSelector"] = labels
    if tolerations := pod.get("tolerations"):
        found["tolerations"] = [_toleration(each) for each in tolerations]
    return found


def _meeting(step: Step) -> list[Object]:
    """How a pod finds the others. torchrun takes its flags from variables, and sets the rest."""
    nodes, processes = step.resources.nodes, step.resources.accelerators
    index: Object = {"valueFrom": {"fieldRef": {"fieldPath": _INDEX}}}
    front, count, number = ("", "WORLD_SIZE", "RANK")
    if processes > 1:
        front, count, number = ("PET_", "PET_NNODES", "PET_NODE_RANK")
    found: list[Object] = [
        {"name": count, "value": str(nodes)},
        {"name": number, **index},
        {"name": f"{front}MASTER_ADDR", "value": f"{_NAME}-0.{_NAME}"},
        {"name": f"{front}MASTER_PORT", "value": str(PORT)},
    ]
    if processes > 1:
        found.append({"name": "PET_NPROC_PER_NODE", "value": str(processes)})
    return found


def _volumes(pod: Object, settings: KindSettings) -> tuple[list[Object], list[Object]]:
    """Mounts, and the volumes that they are of."""
    found: list[tuple[str, str, Object]] = [
        ("tmp", _TMP, {"emptyDir": {}}),
        ("work", WORK, {"persistentVolumeClaim": {"claimName": settings.work_claim}}),
    ]
    for each in pod.get("emptyDirMounts", []):
        own = {"medium": each.get("medium", ""), "sizeLimit": each.get("sizeLimit")}
        kept = {name: value for name, value in own.items() if value}
        found.append((each["volumeName"], each["mountPath"], {"emptyDir": kept}))
    for number, each in enumerate(pod.get("pvcMount", [])):
        claim = each.get("constant") or each["pvcNameParameter"]["runtimeValue"]["constant"]
        volume = {"persistentVolumeClaim": {"claimName": claim}}
        found.append((f"claim-{number}", each["mountPath"], volume))
    mounts = [{"name": name, "mountPath": path} for name, path, _ in found]
    return mounts, [{"name": name, **volume} for name, _, volume in found]


def _secrets(pod: Object) -> Iterator[Object]:
    for each in pod.get("secretAsEnv", []):
        for key in each["keyToEnv"]:
            place = {"name": each["secretName"], "key": key["secretKey"]}
            yield {"name": key["envVar"], "valueFrom": {"secretKeyRef": place}}


def _toleration(toleration: Mapping[str, Any]) -> Object:
    """As Kubernetes has it; see ``pods``."""
    found = dict(toleration)
    if "tolerationSeconds" in found:
        found["tolerationSeconds"] = int(found["tolerationSeconds"])
    return found
