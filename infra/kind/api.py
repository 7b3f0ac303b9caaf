"""The Kubernetes API for what acts on a cluster: the only importer of its client.

In a pod the service account's, elsewhere that of the kubeconfig (context kind-trefoil where there
is one).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from infra.errors import CredentialsError, ProviderError, QuotaError, TrefoilError
from infra.kind.cluster import CONTEXT

Object: TypeAlias = dict[str, Any]

_PATHS = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Service": "/api/v1/namespaces/{}/services",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
}
_MANAGER = "trefoil"
_APPLY = "application/apply-patch+yaml"
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECONDS = 30.0


class Conflict(ProviderError):
    """An object is no more as it was when it was read."""


class Cluster:
    """One namespace of a cluster. Raises ProviderError where there is none to talk to."""

    def __init__(self, namespace: str = "") -> None:
        from kubernetes.client import ApiClient

        self.namespace = namespace or _own_namespace()
        self._client = ApiClient(_configuration())

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def create(self, manifest: Object) -> Object:
        """Make an object. Raises Conflict where there is one of its name."""
        asked = {"fieldManager": _MANAGER, "fieldValidation": "Strict"}
        return self._call("POST", self._path(manifest["kind"]), asked, manifest)

    def apply(self, manifest: Object) -> Object:
        """Make an object, or change it to what is said of it here. The whole is one change."""
        path = f"{self._path(manifest['kind'])}/{manifest['metadata']['name']}"
        asked = {"fieldManager": _MANAGER, "force": "true", "fieldValidation": "Strict"}
        return self._call("PATCH", path, asked, manifest, _APPLY)

    def patch(self, kind: str, name: str, change: Object) -> Object:
        """Change a part of an object, by JSON merge: null takes a field out.

        Raises Conflict where the change names a resourceVersion that is not the object's any more.
        """
        path, form = f"{self._path(kind)}/{name}", "application/merge-patch+json"
        return self._call("PATCH", path, {"fieldManager": _MANAGER}, change, form)

    def find(self, kind: str, name: str) -> Object | None:
        """The object; None where there is none."""
        return self._call("GET", f"{self._path(kind)}/{name}", missing=True) or None

    def all(self, kind: str, labels: Mapping[str, str]) -> list[Object]:
        """The objects with these labels."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        found = self._call("GET", self._path(kind), {"labelSelector": selector})
        items: list[Object] = found["items"]
        return items

    def delete(self, kind: str, name: str) -> None:
        """Remove an object, if it is there, and the pods that it made."""
        asked = {"propagationPolicy": "Background"}  # else a Job leaves its pods
        self._call("DELETE", f"{self._path(kind)}/{name}", asked, missing=True)

    def log(self, pod: str, container: str, previous: bool, lines: int) -> list[str]:
        """The last lines that a container printed; none where there is no log."""
        asked = {"container": container, "tailLines": str(lines), "previous": str(previous).lower()}
        try:
            text = self._call("GET", f"{self._path('Pod')}/{pod}/log", asked, text=True)
        except ProviderError:  # the node has thrown it away
            return []
        return str(text.get("text", "")).splitlines()

    def timed(self, pod: str, container: str, after: str) -> list[tuple[str, str]]:
        """What a container printed, line by line, each with its time; ``after`` one of these.

        None where there is no log yet.
        """
        asked = {"container": container, "timestamps": "true"}
        since = {"sinceTime": after} if after else {}  # the server may round it down
        try:
            text = self._call("GET", f"{self._path('Pod')}/{pod}/log", asked | since, text=True)
        except ProviderError:
            return []
        lines = [line.partition(" ")[::2] for line in str(text["text"]).splitlines()]
        return [(at, line) for at, line in lines if not after or _sortable(at) > _sortable(after)]

    def _path(self, kind: str) -> str:
        return _PATHS[kind].format(self.namespace)

    def _call(
        self,
        method: str,
        path: str,
        asked: Mapping[str, str] | None = None,
        body: Object | None = None,
        form: str = "application/json",
        missing: bool = False,
        text: bool = False,
    ) -> Object:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer = self._client.call_api(
                path,
                method,
                query_params=list((asked or {}).items()),
                header_params={"Accept": "*/*", "Content-Type": form},
                body=body,
                auth_settings=["BearerToken"],
                response_type="str",
                _return_http_data_only=True,
                _preload_content=False,
                _request_timeout=_SECONDS,
            )
        except ApiException as error:
            if error.status == 404 and missing:
                return {}
            said = error.body.decode() if isinstance(error.body, bytes) else error.reason
            raise _refused(error.status, str(said)) from None
        except HTTPError as error:
            host = self._client.configuration.host
            raise ProviderError(f"no Kubernetes API answers at {host}: {error}") from None
        content = answer.data.decode()
        found: Object = {"text": content} if text else json.loads(content)
        return found


def _configuration() -> Any:
    from kubernetes import config
    from kubernetes.client import Configuration

    found = Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=found)
        else:
            file = os.environ.get("KUBECONFIG")  # read now, not when the client was imported
            # never the current context: it may be somebody's production
            config.load_kube_config(file, CONTEXT, client_configuration=found)
        return found
    except (config.ConfigException, OSError) as error:
        raise ProviderError(
            f"there is no cluster to talk to ({error}); make one with: "
            "python -m pipelines cluster up"
        ) from None


def _sortable(at: str) -> str:
    """A time as logs have it, with all nine digits of a second: others are left out at its end."""
    seconds, _, rest = at.removesuffix("Z").partition(".")
    return f"{seconds}.{rest:0<9}"


def _own_namespace() -> str:
    try:
        return (_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except OSError:
        return "kubeflow"


def _refused(status: int, body: str) -> TrefoilError:
    """Kubernetes' own words, and what to do where that is known."""
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body
    if "exceeded quota" in message:
        return QuotaError(f"the namespace has no more room: {message}")
    if status in (401, 403):
        return CredentialsError(
            f"Kubernetes refuses it: {message}; `python -m pipelines cluster up` grants what "
            "is needed, by the Roles trefoil-deploy and trefoil-jobs"
        )
    if status == 409:
        return Conflict(f"somebody else changed it meanwhile: {message}")
    return ProviderError(f"Kubernetes answers {status}: {message}")
