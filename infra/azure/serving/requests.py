"""What an endpoint is on Azure ML: deployments, and the share of the requests that each gets. Pure.

A deployment never changes: its name ends in a digest of what it says. The endpoint's tags remember
which one serves, which is on trial and which came before, so that one PUT changes these and the
traffic together.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from infra.azure import AzureSettings
from infra.azure.session import Where
from infra.cloud import deploying
from infra.errors import InputError, SettingsError
from infra.plan import canonical

Found: TypeAlias = dict[str, Any]

SERVING = "TREFOIL_SERVING"
"""How the step deploy is told what endpoints are made of, as JSON."""
SERVER_IMAGE = "TREFOIL_SERVER_IMAGE"
"""And which image serves."""
ENDPOINT, VERSION, RUN = "trefoil.endpoint", "trefoil.version", "trefoil.run"
MAIN, CANARY, PREVIOUS = "trefoil.main", "trefoil.canary", "trefoil.previous"
MOVES = "trefoil.moves"
"""The last moves of the traffic, each by a mark of its own: whoever made one sees if it was made,
though its answer was lost or others have moved since."""
ENVIRONMENT = "trefoil-server"
MOUNT = "/var/trefoil"
"""Where Azure mounts the model; the server searches it for what it serves."""
_PORT = 8080
_ROUTES = {"livenessRoute": "/live", "readinessRoute": "/ready", "scoringRoute": "/score"}
_TIMEOUT = "PT1M30S"
"""That one request may take, of at most three minutes."""
_LONGEST = 32
"""Letters of a deployment's name."""
_DIGEST = 10
_MOVES = 8
"""Moves that are remembered; a tag has room for 256 letters."""


class Serving(NamedTuple):
    """What endpoints are made of; AzureSettings says what each means."""

    subscription: str
    resource_group: str
    ml_workspace: str
    region: str
    storage_account: str
    container: str
    datastore: str
    prefix: str
    identity: str
    tags: Mapping[str, str]
    instance_type: str
    instances: int
    requests: int
    mirror: bool

    @property
    def where(self) -> Where:
        """The workspace."""
        return Where(
            self.subscription, self.resource_group, self.ml_workspace,
            self.storage_account, self.container,
        )  # fmt: skip

    def address(self, *names: str) -> str:
        """The address of something in the workspace."""
        return "/".join((self.where.path, *names))

    def endpoint(self, name: str, *more: str) -> str:
        """The address of an endpoint, or of something below it."""
        return self.address("onlineEndpoints", name, *more)

    def deployment(self, endpoint: str, name: str, *more: str) -> str:
        """The address of a deployment, or of something below it."""
        return self.endpoint(endpoint, "deployments", name, *more)

    def text(self) -> str:
        """As it stands in the environment."""
        return json.dumps(self._asdict())


class Release(NamedTuple):
    """A version of a registered model; ``model`` and ``environment`` are addresses of Azure's."""

    model_name: str
    version: str
    run: str = ""
    model: str = ""
    environment: str = ""


class Shares(NamedTuple):
    """Who gets the requests of an endpoint, and what it remembers: names of deployments."""

    version: str = ""
    main: str = ""
    canary: str = ""
    percent: int = 0
    previous: str = ""


def of(settings: AzureSettings) -> Serving:
    """What the settings say of endpoints."""
    return Serving(
        subscription=settings.subscription,
        resource_group=settings.resource_group,
        ml_workspace=settings.ml_workspace,
        region=settings.region,
        storage_account=settings.storage_account,
        container=settings.container,
        datastore=settings.datastore,
        prefix=settings.prefix,
        identity=settings.serving_identity,
        tags=settings.tags,
        instance_type=settings.serving_instance_type,
        instances=settings.serving_instances,
        requests=settings.serving_requests,
        mirror=settings.serving_mirror,
    )


def told_by(environment: Mapping[str, str]) -> Serving:
    """What deploy is told. Raises InputError where it is not."""
    return deploying.told_by(environment, SERVING, Serving, "azure")


def check(serving: Serving, canary: int) -> None:
    """Refuse what Azure could not serve. Raises InputError, SettingsError."""
    if not 0 <= canary <= 50:
        raise InputError(f"a canary of {canary} percent is not in 0..50")
    if not serving.identity:
        raise SettingsError(
            "an endpoint needs an identity that may read the model and pull the image: set "
            "TREFOIL_SERVING_IDENTITY to the resource id of one"
        )
    for setting, value in (("instances", serving.instances), ("requests", serving.requests)):
        if value < 1:
            raise SettingsError(f"the setting serving_{setting} is {value}; it is at least 1")


def model(release: Release, serving: Serving, digest: str, about: Mapping[str, str]) -> Found:
    """A version of a model in the registry; its files lie under the ``digest`` of all of them."""
    place = (
        f"azureml://subscriptions/{serving.subscription}/resourcegroups/{serving.resource_group}"
        f"/workspaces/{serving.ml_workspace}/datastores/{serving.datastore}"
    )
    return {
        "properties": {
            "modelType": "custom_model",
            "modelUri": f"{place}/paths/{folder(serving, digest)}",
            "description": f"{release.model_name} version {release.version}",
            "tags": {VERSION: release.version, **_runs(release), **serving.tags},
            "properties": {"trefoil.digest": digest, **about},
        }
    }


def model_version(release: Release, digest: str) -> str:
    """What the version is called: ours, and of which content."""
    return f"{_plain(release.version)[:17]}-{digest[:12]}"


def folder(serving: Serving, digest: str) -> str:
    """Where the files of a model lie in the container."""
    return f"{serving.prefix.strip('/')}/models/{digest}"


def environment(image: str, serving: Serving) -> Found:
    """The environment of the server: its image, and where it answers what."""
    routes = {name: {"path": path, "port": _PORT} for name, path in _ROUTES.items()}
    return {
        "properties": {
            "image": image,
            "osType": "Linux",
            "inferenceConfig": routes,
            "tags": dict(serving.tags),
        }
    }


def environment_version(body: Found) -> str:
    """What the version is called: by what it says, for nothing changes one once it is there."""
    said = {key: value for key, value in body["properties"].items() if key != "tags"}
    return hashlib.sha256(canonical(said)).hexdigest()[:20]


def endpoint(
    name: str, shares: Shares, serving: Serving, there: set[str], moves: Sequence[str] = ()
) -> Found:
    """An endpoint; only deployments that are ``there`` can get requests."""
    remembered = {
        ENDPOINT: name, VERSION: shares.version, MAIN: shares.main, CANARY: shares.canary,
        PREVIOUS: shares.previous, MOVES: " ".join(moves[-_MOVES:]),
    }  # fmt: skip
    traffic, mirror = _traffic(shares, serving, there)
    return {
        "location": serving.region,
        "kind": "Managed",
        "identity": {
            "type": "UserAssigned",
            "userAssignedIdentities": {serving.identity: {}},
        },
        "tags": {**{key: each for key, each in remembered.items() if each}, **serving.tags},
        "properties": {"authMode": "AADToken", "traffic": traffic, "mirrorTraffic": mirror},
    }


def deployment(endpoint_name: str, release: Release, serving: Serving) -> tuple[str, Found]:
    """The deployment of one version, and its name, which says what is in it."""
    properties: Found = {
        "endpointComputeType": "Managed",
        "model": release.model,
        "modelMountPath": MOUNT,
        "environmentId": release.environment,
        "environmentVariables": {
            "TREFOIL_MODEL_NAME": release.model_name,
            "TREFOIL_MODEL_VERSION": release.version,
            "TREFOIL_MODEL_MOUNT": MOUNT,
        },
        "instanceType": serving.instance_type,
        "scaleSettings": {"scaleType": "Default"},
        "livenessProbe": _probe(30, 10, 2, 30),
        "readinessProbe": _probe(5, 5, 2, 60),
        "requestSettings": {
            "requestTimeout": _TIMEOUT,
            "maxConcurrentRequestsPerInstance": serving.requests,
        },
    }
    digest = hashlib.sha256(canonical([endpoint_name, properties])).hexdigest()[:_DIGEST]
    version = _plain(release.version)[: _LONGEST - _DIGEST - 2]
    tags = {ENDPOINT: endpoint_name, VERSION: release.version, **_runs(release), **serving.tags}
    return f"v{version}-{digest}", {
        "location": serving.region,
        "kind": "Managed",
        "sku": {"name": "Default", "capacity": serving.instances},
        "tags": tags,
        "properties": properties,
    }


def _traffic(shares: Shares, serving: Serving, there: set[str]) -> tuple[Found, Found]:
    """The percent of the requests that each deployment answers, and those it gets copies of."""
    if shares.main not in there:
        return {}, {}
    if shares.canary not in there:
        return {shares.main: 100}, {}
    if serving.mirror:
        return {shares.main: 100}, {shares.canary: shares.percent}
    return {shares.main: 100 - shares.percent, shares.canary: shares.percent}, {}


def _probe(delay: int, period: int, timeout: int, failures: int) -> Found:
    """Seconds until the first look, between two, and for one; and how many may fail."""
    return {
        "initialDelay": f"PT{delay}S",
        "period": f"PT{period}S",
        "timeout": f"PT{timeout}S",
        "successThreshold": 1,
        "failureThreshold": failures,
    }


def _runs(release: Release) -> dict[str, str]:
    return {RUN: release.run} if release.run else {}


def _plain(version: str) -> str:
    return re.sub("[^A-Za-z0-9]+", "-", version).strip("-") or "0"
