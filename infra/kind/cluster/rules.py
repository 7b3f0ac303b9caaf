"""What a manifest must keep to that no schema can say: references that meet, limits, least rights.

``problems(documents)`` gives a sentence for each breach. Every rule is one generator in ``_RULES``
that reads top to bottom; rules about pods are in ``podrules``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from infra.kind.cluster import podrules
from infra.kind.cluster.podrules import selects

Document: TypeAlias = Mapping[str, Any]

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_SERVICE = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")
_OF_THE_CLUSTER = {
    "Namespace", "PersistentVolume", "CustomResourceDefinition", "ClusterRole",
    "ClusterRoleBinding", "StorageClass", "RuntimeClass", "PriorityClass",
}  # fmt: skip


class Beside(NamedTuple):
    """What is in the cluster already, so that manifests may refer to it.

    ``names`` are ``Kind/name``; ``pods`` are labels of pods; ``node_ports`` those that kind maps
    to this machine; ``headless`` the names of Services without an address.
    """

    names: frozenset[str] = frozenset()
    pods: tuple[Mapping[str, str], ...] = ()
    node_ports: frozenset[int] = frozenset()
    headless: frozenset[str] = frozenset()


def problems(documents: Iterable[Document], beside: Beside | None = None) -> list[str]:
    """Say what is wrong with the documents taken together; empty where nothing is."""
    there = list(documents)
    known = beside or Beside()
    return [words for rule in _RULES for words in rule(there, known)]


def title(document: Document) -> str:
    """What a document is called in a sentence: ``Deployment mlflow``."""
    return f"{document.get('kind')} {document.get('metadata', {}).get('name')}"


def _named_well(documents: list[Document], _: Beside) -> Iterator[str]:
    """Names are DNS names, and no two documents are one object."""
    seen = set()
    for document in documents:
        kind, name = document.get("kind", ""), str(document.get("metadata", {}).get("name", ""))
        form = _SERVICE if kind == "Service" else _LABEL if kind == "Namespace" else _SUBDOMAIN
        if not form.fullmatch(name):
            yield f"{title(document)}: its name is no DNS name"
        key = (kind, document.get("metadata", {}).get("namespace"), name)
        if key in seen:
            yield f"{title(document)}: is there twice"
        seen.add(key)


def _in_a_namespace(documents: list[Document], _: Beside) -> Iterator[str]:
    for document in documents:
        if document.get("kind") in _OF_THE_CLUSTER:
            continue
        if not document.get("metadata", {}).get("namespace"):
            yield f"{title(document)}: names no namespace"


def _services_meet_pods(documents: list[Document], beside: Beside) -> Iterator[str]:
    """A Service without pods answers nobody, and says nothing about it."""
    pods = [(podrules.labels(each), each) for each in documents if podrules.template(each)]
    for service in documents:
        if service.get("kind") != "Service":
            continue
        selector = service["spec"].get("selector", {})
        met = [each for labels, each in pods if selects(selector, labels)]
        elsewhere = any(selects(selector, labels) for labels in beside.pods)
        if not selector or not (met or elsewhere):
            yield f"{title(service)}: its selector {selector} meets no pod"
            continue
        for port in service["spec"].get("ports", []):
            target = port.get("targetPort", port.get("port"))
            if met and not any(target in podrules.ports(each) for each in met):
                yield f"{title(service)}: no container of its pods has the port {target}"
            if "name" in port and not _PORT_NAME.fullmatch(port["name"]):
                yield f"{title(service)}: {port['name']} is no name of a port"


def _node_ports_are_mapped(documents: list[Document], beside: Beside) -> Iterator[str]:
    """A node port that kind does not map cannot be reached; two cannot have the same."""
    seen = set()
    for service in documents:
        if service.get("kind") != "Service":
            continue
        kind = service["spec"].get("type", "ClusterIP")
        if kind == "LoadBalancer":
            yield f"{title(service)}: kind has no load balancer; make it a NodePort"
        for port in service["spec"].get("ports", []):
            number = port.get("nodePort")
            if kind == "NodePort" and number not in beside.node_ports:
                yield f"{title(service)}: kind does not map the node port {number}"
            if number and number in seen:
                yield f"{title(service)}: another Service has the node port {number} too"
            seen.add(number)


def _policies_meet_pods(documents: list[Document], beside: Beside) -> Iterator[str]:
    pods = [podrules.labels(each) for each in documents if podrules.template(each)]
    for policy in documents:
        if policy.get("kind") != "NetworkPolicy":
            continue
        selector = policy["spec"].get("podSelector", {}).get("matchLabels", {})
        if not any(selects(selector, labels) for labels in (*pods, *beside.pods)):
            yield f"{title(policy)}: its selector {selector} meets no pod"


def _rights_are_few(documents: list[Document], beside: Beside) -> Iterator[str]:
    """No wildcard, no cluster-wide right, and a binding binds what is there."""
    names = _names(documents, beside)
    for document in documents:
        kind = document.get("kind", "")
        if kind in ("ClusterRole", "ClusterRoleBinding"):
            yield f"{title(document)}: gives rights in the whole cluster; make it a {kind[7:]}"
        for rule in document.get("rules", []) if kind.endswith("Role") else []:
            if any("*" in rule.get(part, []) for part in ("apiGroups", "resources", "verbs")):
                yield f"{title(document)}: gives rights by *; name them"
        if not kind.endswith("Binding"):
            continue
        role = document["roleRef"]
        wanted = [f"{role['kind']}/{role['name']}"]
        wanted += [f"{each['kind']}/{each['name']}" for each in document.get("subjects", [])]
        for each in wanted:
            if each not in names:
                yield f"{title(document)}: there is no {each.replace('/', ' ')}"


def _secrets_are_made_elsewhere(documents: list[Document], _: Beside) -> Iterator[str]:
    for document in documents:
        if document.get("kind") == "Secret" and (
            document.get("data") or document.get("stringData")
        ):
            yield f"{title(document)}: holds a secret in clear; make it when the cluster is made"


def _claims_are_possible(documents: list[Document], _: Beside) -> Iterator[str]:
    for claim in documents:
        if claim.get("kind") != "PersistentVolumeClaim":
            continue
        size = claim["spec"].get("resources", {}).get("requests", {}).get("storage")
        if podrules.amount(size) is None:
            yield f"{title(claim)}: {size} is no quantity of storage"


def _pods_are_sound(documents: list[Document], beside: Beside) -> Iterator[str]:
    names = _names(documents, beside)
    headless = {
        each["metadata"]["name"]
        for each in documents
        if each.get("kind") == "Service" and each["spec"].get("clusterIP") == "None"
    }
    for document in documents:
        if podrules.template(document):
            for words in podrules.problems(document, names, headless | beside.headless):
                yield f"{title(document)}{words}"


def _names(documents: list[Document], beside: Beside) -> set[str]:
    own = {f"{each.get('kind')}/{each.get('metadata', {}).get('name')}" for each in documents}
    return own | beside.names | {"ServiceAccount/default"}


_RULES = (
    _named_well,
    _in_a_namespace,
    _services_meet_pods,
    _node_ports_are_mapped,
    _policies_meet_pods,
    _rights_are_few,
    _secrets_are_made_elsewhere,
    _claims_are_possible,
    _pods_are_sound,
)
