"""What an endpoint is on Kubernetes: a Service, and a Deployment for each version. Pure.

The Service decides who is asked, by its selector, and remembers in its annotations what it serves
and served before: one object, changed as a whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from infra.kind.pods import secret_key

Object: TypeAlias = dict[str, Any]

ENDPOINT, RELEASE = "trefoil.dev/endpoint", "trefoil.dev/release"
STATE = "trefoil.dev/state"
STARTING = "trefoil.dev/starting-until"
"""Of a Deployment: until when (seconds since 1970) its deployer waits for it."""
PORT = 8080
_USER = 10001
"""As the images have it."""
_TMP = "/tmp"  # noqa: S108  the container's own
_EVERYONE = "0.0.0.0"  # noqa: S104  of the pod's network: the Service is who asks


class Release(NamedTuple):
    """A version of a registered model."""

    model_name: str
    version: str

    def key(self) -> str:
        """Short, and fit for a label and the end of a name."""
        return hashlib.sha256(f"{self.model_name}\0{self.version}".encode()).hexdigest()[:10]


class State(NamedTuple):
    """What an endpoint serves. ``canary`` takes part of the requests beside ``current``."""

    current: Release | None = None
    previous: Release | None = None
    canary: Release | None = None
    stopped: bool = False
    changed: float = 0.0

    def text(self) -> str:
        """As it stands in the annotation."""
        return json.dumps(self._asdict())


def state_of(service: Object | None) -> State:
    """Read the annotation of an endpoint's Service."""
    if service is None:
        return State()
    found = json.loads(service["metadata"].get("annotations", {}).get(STATE, "{}"))
    for name in ("current", "previous", "canary"):
        if found.get(name) is not None:
            found[name] = Release(*found[name])
    return State(**found)


def labels(name: str, release: Release | None = None) -> dict[str, str]:
    """The labels of an endpoint's objects, or of one version's pods."""
    found = {ENDPOINT: name}
    return found | {RELEASE: release.key()} if release else found


def deployment_name(name: str, release: Release) -> str:
    """Its name: the endpoint's, and which version."""
    return f"{name}-{release.key()}"


def service(name: str, namespace: str, state: State) -> Object:
    """The Service: both versions are asked in a canary, else the current one alone."""
    chosen = None if state.canary else state.current
    selector = labels(name, chosen)
    if state.stopped:
        selector |= {RELEASE: "none"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels(name) | {"app.kubernetes.io/part-of": "trefoil"},
            "annotations": {STATE: state.text()},
        },
        "spec": {
            "selector": selector,
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
    }


def traffic(name: str, state: State, found: Object) -> Object:
    """The change of a Service as it was found that makes it say and do what the state says."""
    wanted = service(name, "", state)
    return {
        "metadata": {
            "resourceVersion": found["metadata"]["resourceVersion"],
            "annotations": wanted["metadata"]["annotations"],
        },
        "spec": {"selector": {RELEASE: None, **wanted["spec"]["selector"]}},
    }


def starting_until(deployment: Object) -> float:
    """Until when its deployer waits for a Deployment."""
    return float(deployment["metadata"].get("annotations", {}).get(STARTING, 0.0))


def deployment(
    name: str,
    namespace: str,
    release: Release,
    images: Mapping[str, str],
    tracking_uri: str,
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> Object:
    """The Deployment of one version.

    Before its server starts, the registry's copy of the model is fetched and verified by the
    trainer's image, which knows MLflow; the server's does not. ``secrets`` is what MLflow is
    reached by, variable by variable as SECRET/KEY. Raises SettingsError where one is not.
    """
    model = {"name": "model", "mountPath": "/model"}
    fetch = {
        "name": "fetch",
        "image": images["trefoil-trainer"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "components.fetch"],
        "args": ["--model-name", release.model_name, "--version", release.version,
                 "--model", "/model/files"],
        "env": [{"name": "MLFLOW_TRACKING_URI", "value": tracking_uri},
                {"name": "HOME", "value": _TMP},
                *(_secret(variable, place) for variable, place in secrets.items())],
        "volumeMounts": [model, {"name": "tmp", "mountPath": _TMP}],
        "resources": resources("100m", "1", "256Mi", "1Gi"),
        "securityContext": CONFINED,
    }  # fmt: skip
    server = {
        "name": "server",
        "image": images["trefoil-server"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "components.serve"],
        "args": ["--host", _EVERYONE, "--port", str(PORT), "--model", "/model/files",
                 "--name", release.model_name, "--version", release.version],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 2},
        "livenessProbe": {"httpGet": {"path": "/live", "port": "http"}, "periodSeconds": 10,
                          "failureThreshold": 6},
        "volumeMounts": [{**model, "readOnly": True}, {"name": "tmp", "mountPath": _TMP}],
        "resources": resources("100m", "2", "256Mi", "1Gi"),
        "securityContext": CONFINED,
    }  # fmt: skip
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": deployment_name(name, release),
            "namespace": namespace,
            "labels": labels(name, release) | {"app.kubernetes.io/part-of": "trefoil"},
        },
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels(name, release)},
            "template": {
                "metadata": {"labels": labels(name, release)},
                "spec": {
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": 40,  # the server drains for 25
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": _USER,
                        "runAsGroup": _USER,
                        "fsGroup": _USER,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "initContainers": [fetch],
                    "containers": [server],
                    "volumes": [
                        {"name": "model", "emptyDir": {"sizeLimit": "8Gi"}},
                        {"name": "tmp", "emptyDir": {}},
                    ],
                },
            },
        },
    }


def _secret(variable: str, place: str) -> Object:
    secret, key = secret_key(variable, place)
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


CONFINED: Object = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def resources(cpu: str, most_cpu: str, memory: str, most_memory: str) -> Object:
    """What a container is given, and the most that it may take."""
    return {
        "requests": {"cpu": cpu, "memory": memory},
        "limits": {"cpu": most_cpu, "memory": most_memory},
    }
