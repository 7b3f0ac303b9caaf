"""What an endpoint is on Vertex AI: versions, deployed, and a split of its traffic. Pure.

A version is uploaded once, and what is deployed of it has an id that says what it is made of: a
request that is repeated finds what is there. The endpoint's labels say what it serves and what it
served before; one change moves them and the traffic at once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from infra.cloud import deploying
from infra.errors import InputError, SettingsError
from infra.gcp import GcpSettings, machines
from infra.gcp.names import label
from infra.plan import canonical

Found: TypeAlias = dict[str, Any]

SERVING = "TREFOIL_SERVING"
"""How the step deploy is told what endpoints are made of, as JSON."""
SERVER_IMAGE = "TREFOIL_SERVER_IMAGE"
"""And which image serves."""
ENDPOINT, MODEL, DIGEST = "trefoil-endpoint", "trefoil-model", "trefoil-digest"
VERSION, CANARY, PREVIOUS = "trefoil-version", "trefoil-canary", "trefoil-previous"
SERVES, BEFORE = "trefoil-serves", "trefoil-before"
"""Labels. The last two name versions of Vertex AI's own: MODEL_NUMBER."""
PORT, HEALTH, PREDICT = 8080, "/health", "/predict"
"""Where the server listens; it is told so by AIP_HTTP_PORT and its kin."""
_NETWORK = re.compile(r"projects/\d+/global/networks/[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_METRICS = "aiplatform.googleapis.com/prediction/online"
_BUSY = 60
"""Percent of an accelerator's time above which there shall be another machine."""
_LONGEST_MODEL = 50


class Serving(NamedTuple):
    """What endpoints are made of; GcpSettings says what each means."""

    project: str
    region: str
    bucket: str
    prefix: str
    service_account: str
    kms_key: str
    labels: Mapping[str, str]
    machine_type: str
    instances: int
    requests: int
    accelerator: str
    spot: bool
    network: str

    @classmethod
    def of(cls, settings: GcpSettings) -> Serving:
        """What the settings say of it."""
        return cls(
            project=settings.project,
            region=settings.region,
            bucket=settings.bucket,
            prefix=settings.prefix,
            service_account=settings.serving_service_account,
            kms_key=settings.kms_key,
            labels=settings.labels,
            machine_type=settings.serving_machine_type,
            instances=settings.serving_instances,
            requests=settings.serving_requests,
            accelerator=settings.serving_accelerator,
            spot=settings.serving_spot,
            network=settings.serving_private_network,
        )

    def parent(self) -> str:
        """What everything in a project and region is named after."""
        return f"projects/{self.project}/locations/{self.region}"

    def uri(self, *names: str) -> str:
        """Where something lies in the bucket."""
        return "/".join((f"gs://{self.bucket}", self.prefix.strip("/"), *names))

    def labelled(self, **own: str) -> dict[str, str]:
        """The labels of something, ``own`` by the end of their names."""
        found = {f"trefoil-{key}": label(value) for key, value in own.items() if value}
        return found | dict(self.labels)

    def text(self) -> str:
        """As it stands in the environment."""
        return json.dumps(self._asdict())


class Release(NamedTuple):
    """A version of a registered model, and the run that made it, where one did."""

    model_name: str
    version: str
    run: str = ""


class Version(NamedTuple):
    """A version in Vertex AI's registry: ``number`` of the model ``model``."""

    model: str
    number: str

    def label(self) -> str:
        """As labels name it."""
        return f"{self.model}_{self.number}"

    def name(self, serving: Serving) -> str:
        """As requests name it."""
        return f"{serving.parent()}/models/{self.model}@{self.number}"

    @classmethod
    def read(cls, text: str) -> Version | None:
        """What a label or a resource's name says; None where it says nothing."""
        model, _, number = text.rpartition("/")[2].replace("@", "_").rpartition("_")
        return cls(model, number) if model and number.isdecimal() else None


def told_by(environment: Mapping[str, str]) -> Serving:
    """What deploy is told. Raises InputError where it is not."""
    return deploying.told_by(environment, SERVING, Serving, "gcp")


def check(serving: Serving, canary: int) -> None:
    """Refuse what Vertex AI could not serve. Raises InputError, SettingsError, UnsupportedError."""
    if not 0 <= canary <= 50:
        raise InputError(f"a canary of {canary} percent is not in 0..50")
    if not serving.service_account:
        raise SettingsError(
            "an endpoint needs a service account, to fetch its model: set "
            "TREFOIL_SERVING_SERVICE_ACCOUNT"
        )
    if serving.instances < 1 or serving.requests < 1:
        raise SettingsError(
            f"the settings serving_instances ({serving.instances}) and serving_requests "
            f"({serving.requests}) are at least 1"
        )
    accelerator(serving)
    if not serving.network:
        return
    if not _NETWORK.fullmatch(serving.network):
        raise SettingsError(
            f"the setting serving_private_network is {serving.network}, and a network is called "
            "projects/NUMBER/global/networks/NAME"
        )
    if canary:
        raise InputError("an endpoint in a network of yours has one version, and no canary")


def accelerator(serving: Serving) -> Found:
    """The accelerators of each machine, as its specification has them. Raises UnsupportedError."""
    if not serving.accelerator:
        return {}
    kind, count = machines.attached(serving.accelerator)
    return {"acceleratorType": kind, "acceleratorCount": count}


def model_id(model_name: str) -> str:
    """What the model is called in Vertex AI's registry; other names never become one."""
    cleaned = label(model_name)[:_LONGEST_MODEL].strip("-_")
    if cleaned == model_name and cleaned[:1].isalpha():
        return cleaned
    digest = hashlib.sha256(model_name.encode()).hexdigest()[:8]
    return f"m-{cleaned[: _LONGEST_MODEL - 11]}-{digest}"


def upload(release: Release, image: str, data: str, serving: Serving, there: bool) -> Found:
    """models.upload: a version of the model, of which it is the first unless one is ``there``.

    Its label says what is in it, by which a repeated request finds it.
    """
    container: Found = {
        "imageUri": image,
        "env": [
            {"name": "TREFOIL_MODEL_NAME", "value": release.model_name},
            {"name": "TREFOIL_MODEL_VERSION", "value": release.version},
        ],
        "ports": [{"containerPort": PORT}],
        "healthRoute": HEALTH,
        "predictRoute": PREDICT,
    }
    digest = hashlib.sha256(canonical({"data": data, **container})).hexdigest()[:40]
    model: Found = {
        "displayName": release.model_name,
        "versionDescription": f"{release.model_name} version {release.version}",
        "versionAliases": [alias(release.version)],
        "artifactUri": data,
        "containerSpec": container,
        "labels": serving.labelled(
            model=release.model_name, version=release.version, digest=digest, run=release.run
        ),
    }
    name = model_id(release.model_name)
    if there:
        return {"parentModel": f"{serving.parent()}/models/{name}", "model": model | _key(serving)}
    return {"modelId": name, "model": model | _key(serving)}


def alias(version: str) -> str:
    """How a version of the registry is found in Vertex AI's."""
    return label(f"v{version}").replace("_", "-").rstrip("-")


def endpoint(name: str, serving: Serving) -> Found:
    """endpoints.create; ``name`` is its id as well, so that there is one of it."""
    body: Found = {"displayName": name, "labels": serving.labelled(endpoint=name)}
    if serving.network:
        body["network"] = serving.network
    return body | _key(serving)


def deployment(version: Version, shown: str, serving: Serving) -> Found:
    """endpoints.deployModel: machines for a version, which get no request before traffic moves.

    Its id says what it is made of, but for how many machines there may be: that can be changed.
    """
    fixed: Found = {"model": version.name(serving), "serviceAccount": serving.service_account}
    resources: Found = {"machineSpec": machine(serving)}
    if serving.spot:
        resources["spot"] = True
    said = hashlib.sha256(canonical({**fixed, **resources})).hexdigest()
    return {
        "deployedModel": {
            "id": str(10**9 + int(said, 16) % (9 * 10**9)),
            **fixed,
            "displayName": shown,
            "dedicatedResources": resources | replicas(serving),
        }
    }


def machine(serving: Serving) -> Found:
    """What serves: a type of machine, and what accelerates it."""
    return {"machineType": serving.machine_type, **accelerator(serving)}


def replicas(serving: Serving) -> Found:
    """How many machines there are, and what makes there be more."""
    metrics = [{"metricName": f"{_METRICS}/request_count", "target": serving.requests}]
    if serving.accelerator:
        metrics.append({"metricName": f"{_METRICS}/accelerator/duty_cycle", "target": _BUSY})
    found: Found = {"minReplicaCount": 1, "maxReplicaCount": serving.instances}
    return found | ({"autoscalingMetricSpecs": metrics} if serving.instances > 1 else {})


def mutation(deployed: str, serving: Serving) -> Found:
    """endpoints.mutateDeployedModel: other numbers of machines."""
    paths = ("minReplicaCount", "maxReplicaCount", "autoscalingMetricSpecs")
    resources = {"machineSpec": machine(serving), **replicas(serving)}
    return {
        "deployedModel": {"id": deployed, "dedicatedResources": resources},
        "updateMask": ",".join(f"dedicatedResources.{path}" for path in paths),
    }


def batch(
    name: str, version: Version, source: str, parameters: Mapping[str, Any], serving: Serving
) -> Found:
    """batchPredictionJobs.create: each line of the files at ``source`` is an instance."""
    body: Found = {
        "displayName": name,
        "model": version.name(serving),
        "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [source]}},
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": serving.uri("answers", name)},
        },
        "dedicatedResources": {
            "machineSpec": machine(serving),
            "startingReplicaCount": 1,
            "maxReplicaCount": serving.instances,
        },
        "serviceAccount": serving.service_account,
        "labels": serving.labelled(batch=name),
    }
    if parameters:
        body["modelParameters"] = dict(parameters)
    return body | _key(serving)


def _key(serving: Serving) -> Found:
    return {"encryptionSpec": {"kmsKeyName": serving.kms_key}} if serving.kms_key else {}
