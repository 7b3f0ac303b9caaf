"""The rules for what runs pods: Deployment, StatefulSet, DaemonSet, Job and Pod.

A breach is told as the end of a sentence that begins with the document's title.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
_UNITS = {
    None: 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50,
}  # fmt: skip
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_VARIABLE = re.compile(r"(?<!\$)\$\((\w+)\)")
_LASTING = ("Deployment", "StatefulSet", "DaemonSet")
_REFERRED = {
    "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
    "configMap": ("ConfigMap", "name"),
    "secret": ("Secret", "secretName"),
}
"""Volume source -> the kind that it refers to, and the field with the name."""


def problems(
    document: Mapping[str, Any], names: Collection[str], headless: Collection[str]
) -> Iterator[str]:
    """Say what is wrong with a document's pods.

    ``names`` are the objects there are, as ``Kind/name``; ``headless`` the Services without an
    address, which alone give pods names of their own.
    """
    spec = template(document).get("spec", {})
    yield from _selector(document)
    yield from _restarts(document, spec)
    yield from _volumes(document, spec, names)
    account = spec.get("serviceAccountName", "default")
    if f"ServiceAccount/{account}" not in names:
        yield f": there is no ServiceAccount {account}"
    if account == "default" and spec.get("automountServiceAccountToken") is not False:
        yield ": its pods get a token they do not need; set automountServiceAccountToken: false"
    if spec.get("hostNetwork") or spec.get("hostPID") or spec.get("hostIPC"):
        yield ": its pods share the node's network, processes or memory"
    if spec.get("subdomain") and spec["subdomain"] not in headless:
        yield f": there is no headless Service {spec['subdomain']}, so its pods have no names"
    for container in (*spec.get("initContainers", []), *spec.get("containers", [])):
        lasting = document["kind"] in _LASTING and container in spec.get("containers", [])
        for words in _container(container, spec, names, lasting):
            yield f", container {container.get('name')}: {words}"


def template(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pod template of a document; empty where it runs no pods."""
    if document.get("kind") == "Pod":
        return document
    if document.get("kind") in (*_LASTING, "Job"):
        found: Mapping[str, Any] = document.get("spec", {}).get("template", {})
        return found
    return {}


def labels(document: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels that its pods will have."""
    found = dict(template(document).get("metadata", {}).get("labels") or {})
    if document.get("kind") == "Job":  # Kubernetes adds them
        name = document["metadata"]["name"]
        found |= {"job-name": name, "batch.kubernetes.io/job-name": name}
    return found


def ports(document: Mapping[str, Any]) -> set[int | str]:
    """The ports of its containers, by number and by name."""
    found: set[int | str] = set()
    for container in template(document).get("spec", {}).get("containers", []):
        for port in container.get("ports", []):
            found |= {port["containerPort"], port.get("name", "")}
    return found


def selects(selector: Mapping[str, str], of_a_pod: Mapping[str, str]) -> bool:
    """Whether a selector's labels are all among those of a pod."""
    return selector.items() <= of_a_pod.items()


def amount(quantity: object) -> float | None:
    """A quantity of Kubernetes as a number; None where it is none."""
    match = _QUANTITY.fullmatch(str(quantity))
    return float(match[1]) * _UNITS[match[2]] if match else None


def _selector(document: Mapping[str, Any]) -> Iterator[str]:
    if document["kind"] not in _LASTING:
        return
    selector = document["spec"].get("selector", {}).get("matchLabels", {})
    if not selector or not selects(selector, labels(document)):
        yield f": its selector {selector} does not meet its own pods"


def _restarts(document: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[str]:
    policy = spec.get("restartPolicy", "Always")
    if policy not in ("Always", "OnFailure", "Never"):
        yield f": {policy} is no restartPolicy"
    elif document["kind"] == "Job" and policy == "Always":
        yield ": a Job's restartPolicy is OnFailure or Never"
    elif document["kind"] in _LASTING and policy != "Always":
        yield f": a {document['kind']}'s restartPolicy is Always"
    if document["kind"] == "Job" and "backoffLimit" not in document["spec"]:
        yield ": says not how often it may fail; set backoffLimit"


def _volumes(
    document: Mapping[str, Any], spec: Mapping[str, Any], names: Collection[str]
) -> Iterator[str]:
    for volume in spec.get("volumes", []):
        if "hostPath" in volume:
            yield f": the volume {volume['name']} is a folder of the node"
        for source, (kind, field) in _REFERRED.items():
            if source in volume and f"{kind}/{volume[source].get(field)}" not in names:
                yield f": there is no {kind} {volume[source].get(field)}"
    declared = {each["name"] for each in spec.get("volumes", [])}
    if document["kind"] == "StatefulSet":
        claims = document["spec"].get("volumeClaimTemplates", [])
        declared |= {each["metadata"]["name"] for each in claims}
    mounted = set()
    for container in (*spec.get("initContainers", []), *spec.get("containers", [])):
        mounted |= {each["name"] for each in container.get("volumeMounts", [])}
    for name in sorted(mounted - declared):
        yield f": mounts the volume {name}, which is not among its volumes"
    for name in sorted(declared - mounted):
        yield f": no container mounts its volume {name}"


def _container(
    container: Mapping[str, Any], spec: Mapping[str, Any], names: Collection[str], lasting: bool
) -> Iterator[str]:
    if not _NAME.fullmatch(str(container.get("name", ""))):
        yield "its name is no DNS name"
    yield from _image(container)
    yield from _resources(container.get("resources", {}))
    yield from _security(container, spec)
    yield from _environment(container, names)
    for probe in ("readinessProbe", "livenessProbe") if lasting else ():
        if probe not in container:
            yield f"has no {probe}"
    own = {port.get("name") for port in container.get("ports", [])}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        for how in ("httpGet", "tcpSocket"):
            port = container.get(probe, {}).get(how, {}).get("port", 0)
            if isinstance(port, str) and port not in own:
                yield f"its {probe} asks the port {port}, which it has not"


def _image(container: Mapping[str, Any]) -> Iterator[str]:
    image = str(container.get("image", ""))
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if not image:
        yield "has no image"
    elif not digest and tag in ("", "latest"):
        yield f"the image {image} has no tag of its own; what runs would change by itself"
    if container.get("imagePullPolicy") == "Always":
        yield "imagePullPolicy Always asks a registry for images that only the node has"


def _resources(resources: Mapping[str, Any]) -> Iterator[str]:
    for name in ("cpu", "memory"):
        if name not in resources.get("limits", {}):
            yield f"has no limit of {name}"
    for part in ("requests", "limits"):
        for name, quantity in resources.get(part, {}).items():
            if amount(quantity) is None:
                yield f"{quantity} is no quantity of {name}"
    for name, asked in resources.get("requests", {}).items():
        least, most = amount(asked), amount(resources.get("limits", {}).get(name, asked))
        if least is not None and most is not None and least > most:
            yield f"asks for more {name} than its limit"


def _security(container: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[str]:
    """The restricted profile of Kubernetes' Pod Security Standards."""
    own = container.get("securityContext", {})
    both = {**spec.get("securityContext", {}), **own}
    if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
        yield "may run as root; set runAsNonRoot: true"
    if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
        yield "may gain privileges; set allowPrivilegeEscalation: false"
    if "ALL" not in own.get("capabilities", {}).get("drop", []):
        yield "keeps capabilities of the kernel; drop ALL"
    if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "has no seccompProfile; set RuntimeDefault"


def _environment(container: Mapping[str, Any], names: Collection[str]) -> Iterator[str]:
    set_before: set[str] = set()
    for variable in container.get("env", []):
        for name in _VARIABLE.findall(str(variable.get("value", ""))):
            if name not in set_before:
                yield f"{variable['name']} uses $({name}), which is not set before it"
        set_before.add(variable["name"])
        for source, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            wanted = variable.get("valueFrom", {}).get(source, {})
            if not wanted or wanted.get("optional") or f"{kind}/{wanted['name']}" in names:
                continue
            yield f"{variable['name']} comes from the {kind} {wanted['name']}, which is not there"
