"""Requests for endpoints that Vertex AI would not take, each refused with the path of its fault."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from infra.gcp.serving import requests
from infra.gcp.serving.requests import Release, Serving, Version
from infra.gcp.validate import problems
from tests.infra.gcp.serving.place import IMAGE, NUMBER, PARENT, SETTINGS

Body = dict[str, Any]
SERVING = Serving.of(SETTINGS._replace(serving_instances=3))
VERSION = Version("vae", "2")
NAME = f"{PARENT}/endpoints/digits"
UPLOAD: Body = requests.upload(Release("vae", "3"), IMAGE, "gs://example-bucket/a/", SERVING, False)
CREATE: Body = requests.endpoint("digits", SERVING)
DEPLOY: Body = requests.deployment(VERSION, "vae version 3", SERVING)
MUTATE: Body = requests.mutation("1234567890", SERVING)
UNDEPLOY: Body = {"deployedModelId": "1234567890"}
PATCH: Body = {"displayName": "digits", "trafficSplit": {"1": 90, "2": 10}}
MERGE: Body = {"versionAliases": ["champion", "-challenger"]}
BATCH: Body = requests.batch("night", VERSION, "gs://example-bucket/in.jsonl", {}, SERVING)
GOOD: dict[str, tuple[Body, Body]] = {
    "models.upload": (UPLOAD, {"parent": PARENT}),
    "models.mergeVersionAliases": (MERGE, {"name": f"{PARENT}/models/vae@2"}),
    "endpoints.create": (CREATE, {"parent": PARENT, "endpointId": "digits"}),
    "endpoints.patch": (PATCH, {"name": NAME, "updateMask": "trafficSplit,labels"}),
    "endpoints.deployModel": (DEPLOY, {"endpoint": NAME}),
    "endpoints.mutateDeployedModel": (MUTATE, {"endpoint": NAME}),
    "endpoints.undeployModel": (UNDEPLOY, {"endpoint": NAME}),
    "batchPredictionJobs.create": (BATCH, {"parent": PARENT}),
}
_RESOURCES, _MACHINE = "deployedModel.dedicatedResources", "machineSpec"
_SPEC, _METRICS = "model.containerSpec", f"{_RESOURCES}.autoscalingMetricSpecs"


def at(path: str, value: Any) -> Callable[[Body, Body], None]:
    """Put a value at a path of the body; with "?" of the parameters. None takes it away."""

    def change(body: Body, params: Body) -> None:
        here: Any = params if path.startswith("?") else body
        *folders, last = path.lstrip("?").split("/")
        for folder in folders:
            here = here[int(folder) if isinstance(here, list) else folder]
        key: Any = int(last) if isinstance(here, list) else last
        if value is None:
            del here[key]
        else:
            here[key] = value

    return change


BAD: list[tuple[str, Callable[[Body, Body], None], str]] = [
    ("models.upload", at("modelId", "3-vae"), "modelId"),
    ("models.upload", at("modelId", "v" * 64), "modelId"),
    ("models.upload", at("parentModel", f"{PARENT}/models/vae"), "modelId"),
    ("models.upload", at("model/versionAliases", ["3"]), "model.versionAliases[0]"),
    ("models.upload", at("model/versionAliases", ["v3", "v3"]), "model.versionAliases[1]"),
    ("models.upload", at("model/versionAliases", ["my_best"]), "model.versionAliases[0]"),
    ("models.upload", at("model/artifactUri", "s3://bucket/a/"), "model.artifactUri"),
    ("models.upload", at("model/displayName", "v" * 129), "model.displayName"),
    ("models.upload", at("model/displayName", None), "model.displayName"),
    ("models.upload", at("model/labels/Team", "x"), "model.labels['Team']"),
    ("models.upload", at("model/containerSpec/imageUri", "python:3.11"), f"{_SPEC}.imageUri"),
    ("models.upload", at("model/containerSpec/imageUri", "what image"), f"{_SPEC}.imageUri"),
    ("models.upload", at("model/containerSpec/healthRoute", "health"), f"{_SPEC}.healthRoute"),
    ("models.upload", at("model/containerSpec/ports/0/containerPort", 65536),
     f"{_SPEC}.ports[0].containerPort"),
    ("models.upload", at("model/containerSpec/env/0/name", "MY-NAME"), f"{_SPEC}.env[0].name"),
    ("models.upload", at("model/containerSpec/deploymentTimeout", "7201s"),
     f"{_SPEC}.deploymentTimeout"),
    ("models.upload", at("model/containerSpec/invokeRoutePrefix", "/*"),
     f"{_SPEC}.invokeRoutePrefix"),
    ("models.upload", at("model/versionId", "3"), "model.versionId"),
    ("models.mergeVersionAliases", at("versionAliases", ["-2"]), "versionAliases[0]"),
    ("models.mergeVersionAliases", at("versionAliases", []), "versionAliases"),
    ("endpoints.create", at("?endpointId", "Digits"), "endpointId"),
    ("endpoints.create", at("?endpointId", "d" * 64), "endpointId"),
    ("endpoints.create", at("trafficSplit", {"1": 100}), "trafficSplit"),
    ("endpoints.create", at("network", "inner"), "network"),
    ("endpoints.create", at("dedicatedEndpoint", True), "dedicatedEndpoint"),
    ("endpoints.patch", at("trafficSplit/2", 20), "trafficSplit"),
    ("endpoints.patch", at("trafficSplit", {"1": 110, "2": -10}), "trafficSplit['1']"),
    ("endpoints.patch", at("trafficSplit", {"0": 100}), "trafficSplit['0']"),
    ("endpoints.patch", at("?updateMask", "deployedModels"), "updateMask"),
    ("endpoints.deployModel", at("deployedModel/id", "vae-2"), "deployedModel.id"),
    ("endpoints.deployModel", at("deployedModel/id", "12345678901"), "deployedModel.id"),
    ("endpoints.deployModel", at("deployedModel/model", "vae"), "deployedModel.model"),
    ("endpoints.deployModel", at("deployedModel/model", None), "deployedModel.model"),
    ("endpoints.deployModel", at("deployedModel/serviceAccount", "me"),
     "deployedModel.serviceAccount"),
    ("endpoints.deployModel", at("deployedModel/automaticResources", {"minReplicaCount": 1}),
     "deployedModel"),
    ("endpoints.deployModel", at("deployedModel/dedicatedResources", None), "deployedModel"),
    ("endpoints.deployModel", at("deployedModel/dedicatedResources/minReplicaCount", 0),
     f"{_RESOURCES}.minReplicaCount"),
    ("endpoints.deployModel", at("deployedModel/dedicatedResources/minReplicaCount", 4),
     f"{_RESOURCES}.maxReplicaCount"),
    ("endpoints.deployModel", at("deployedModel/dedicatedResources/machineSpec/machineType", "big"),
     f"{_RESOURCES}.machineSpec.machineType"),
    ("endpoints.deployModel", at("deployedModel/dedicatedResources/machineSpec/acceleratorType",
     "NVIDIA_L4"), f"{_RESOURCES}.machineSpec.acceleratorCount"),
    ("endpoints.deployModel", at("deployedModel/dedicatedResources/machineSpec/acceleratorType",
     "nvidia.com/gpu"), f"{_RESOURCES}.machineSpec.acceleratorType"),
    ("endpoints.deployModel", at("deployedModel/dedicatedResources/autoscalingMetricSpecs/0",
     {"metricName": "load"}), f"{_METRICS}[0].metricName"),
    ("endpoints.deployModel", at("deployedModel/dedicatedResources/autoscalingMetricSpecs/0",
     {"metricName": "aiplatform.googleapis.com/prediction/online/cpu/utilization", "target": 101}),
     f"{_METRICS}[0].target"),
    ("endpoints.deployModel", at("deployedModel/dedicatedResources/autoscalingMetricSpecs/0",
     {"metricName": "aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle"}),
     f"{_METRICS}[0].metricName"),
    ("endpoints.deployModel", at("trafficSplit", {"0": 50}), "trafficSplit"),
    ("endpoints.mutateDeployedModel", at("updateMask", "dedicatedResources.machineSpec"),
     "updateMask"),
    ("endpoints.mutateDeployedModel", at("deployedModel/id", None), "deployedModel.id"),
    ("endpoints.undeployModel", at("trafficSplit", {"1234567890": 100}),
     "trafficSplit['1234567890']"),
    ("endpoints.undeployModel", at("deployedModelId", ""), "deployedModelId"),
    ("batchPredictionJobs.create", at("model", None), ""),
    ("batchPredictionJobs.create", at("inputConfig/instancesFormat", "json"),
     "inputConfig.instancesFormat"),
    ("batchPredictionJobs.create", at("inputConfig/gcsSource", None), "inputConfig"),
    ("batchPredictionJobs.create", at("inputConfig/gcsSource/uris/0", "/in.jsonl"),
     "inputConfig.gcsSource.uris[0]"),
    ("batchPredictionJobs.create", at("outputConfig/gcsDestination/outputUriPrefix", "out"),
     "outputConfig.gcsDestination.outputUriPrefix"),
    ("batchPredictionJobs.create", at("dedicatedResources/startingReplicaCount", 5),
     "dedicatedResources.startingReplicaCount"),
]  # fmt: skip


@pytest.mark.parametrize("method", GOOD)
def test_a_good_request_is_taken(method: str) -> None:
    """Whatever is refused below would prove nothing."""
    assert problems(method, *GOOD[method]) == []


@pytest.mark.parametrize(
    ("method", "change", "path"),
    BAD,
    ids=[f"{at}-{method}" for at, (method, _, _) in enumerate(BAD)],
)
def test_a_bad_request_is_refused_with_the_path_of_its_fault(
    method: str, change: Callable[[Body, Body], None], path: str
) -> None:
    """Without the path a person would look for it in a body of a hundred lines."""
    body, params = copy.deepcopy(GOOD[method])
    change(body, params)
    found = problems(method, body, params)
    assert path in [each.path for each in found], found


def test_an_endpoint_is_in_one_network() -> None:
    """Vertex AI would take neither of both, minutes later."""
    body = {**CREATE, "network": f"projects/{NUMBER}/global/networks/inner"}
    assert problems("endpoints.create", body) == []
    both = {**body, "privateServiceConnectConfig": {"enablePrivateServiceConnect": True}}
    (found,) = problems("endpoints.create", both)
    assert found.path == "privateServiceConnectConfig"
