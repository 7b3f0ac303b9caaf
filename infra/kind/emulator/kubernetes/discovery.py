"""What a Kubernetes API server says of itself: its kinds, their paths, and how to send them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Place: TypeAlias = Mapping[str, str | None]
"""A path's parts: base, namespace, plural, name, sub and rest, as far as it has them."""

_KINDS = {
    "v1": {
        "Namespace": "namespaces", "Node": "nodes", "PersistentVolume": "persistentvolumes",
        "ConfigMap": "configmaps", "Event": "events", "PersistentVolumeClaim":
        "persistentvolumeclaims", "Pod": "pods", "Secret": "secrets", "Service": "services",
        "ServiceAccount": "serviceaccounts",
    },
    "apps/v1": {"Deployment": "deployments"},
    "batch/v1": {"Job": "jobs"},
    "networking.k8s.io/v1": {"NetworkPolicy": "networkpolicies"},
    "rbac.authorization.k8s.io/v1": {"Role": "roles", "RoleBinding": "rolebindings"},
    "apiextensions.k8s.io/v1": {"CustomResourceDefinition": "customresourcedefinitions"},
}  # fmt: skip
_OF_THE_CLUSTER = {"Namespace", "Node", "PersistentVolume", "CustomResourceDefinition"}
_PATH = re.compile(
    r"(?P<base>/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/.))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+)(?P<rest>/.*)?)?"
)


class Refused(Exception):
    """The server's answer to what it does not do: a Status of Kubernetes."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason


def discovery(path: str) -> dict[str, Any] | None:
    """What the server says of itself at a path; None where that path is of a resource."""
    return _ANSWERS.get(path)


def place(path: str) -> Place:
    """Take a path apart. Raises Refused where there is no such resource."""
    match = _PATH.fullmatch(path)
    if match is None or match["plural"] not in _KINDS.get(group_of(match["base"]), {}).values():
        raise Refused(404, "NotFound", "the server could not find the requested resource")
    return match.groupdict()


def path_of(body: Mapping[str, Any]) -> str:
    """Where an object belongs."""
    group, kind = body["apiVersion"], body["kind"]
    inside = "" if kind in _OF_THE_CLUSTER else f"/namespaces/{body['metadata']['namespace']}"
    return f"{_base(group)}{inside}/{_KINDS[group][kind]}/{body['metadata']['name']}"


def kind_of(at: Place) -> str:
    """The kind that a path is about."""
    kinds = _KINDS[group_of(at["base"])]
    return next(kind for kind, plural in kinds.items() if plural == at["plural"])


def group_of(base: str | None) -> str:
    """Group and version of a base path: apps/v1 of /apis/apps/v1."""
    return (base or "").removeprefix("/apis/").removeprefix("/api/")


def _groups() -> Iterator[dict[str, Any]]:
    for group in _KINDS:
        name, _, version = group.rpartition("/")
        if name:
            of = {"groupVersion": group, "version": version}
            yield {"name": name, "versions": [of], "preferredVersion": of}


def _resources(group: str, kinds: Mapping[str, str]) -> dict[str, Any]:
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    return {
        "kind": "APIResourceList",
        "groupVersion": group,
        "resources": [
            {
                "name": plural, "singularName": kind.lower(), "kind": kind, "verbs": verbs,
                "namespaced": kind not in _OF_THE_CLUSTER,
            }
            for kind, plural in kinds.items()
        ],
    }  # fmt: skip


def _validating(group: str, kinds: Mapping[str, str]) -> dict[str, Any]:
    """Operations that take fieldValidation, so that kubectl leaves validation to the server."""
    name, _, version = group.rpartition("/")
    paths = {}
    for kind, plural in kinds.items():
        of = {"group": name, "version": version, "kind": kind}
        parameters = [{"name": "fieldValidation", "in": "query"}]
        operation = {"x-kubernetes-group-version-kind": of, "parameters": parameters}
        paths[f"{_base(group)}/{plural}/{{name}}"] = {"patch": operation}
    return {"openapi": "3.0.0", "paths": paths}


def _base(group: str) -> str:
    return f"/apis/{group}" if "/" in group else f"/api/{group}"


_ANSWERS: dict[str, dict[str, Any]] = {
    "/readyz": {"ready": True},
    "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "groups": list(_groups())},
    "/openapi/v3": {
        "paths": {
            _base(group)[1:]: {"serverRelativeURL": f"/openapi/v3{_base(group)}"}
            for group in _KINDS
        }
    },
    **{_base(group): _resources(group, kinds) for group, kinds in _KINDS.items()},
    **{f"/openapi/v3{_base(group)}": _validating(group, kinds) for group, kinds in _KINDS.items()},
}
