"""What Vertex AI would refuse is refused here, at the path of the fault, before a request is sent.

The cases are written from the API reference; without them a rehearsal would pass what Google
refuses.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.gcp.validate import VERTEX, document, is_required, methods, problems, shaped
from tests.infra.gcp.bodies import GONE, GOOD, IMAGE, JOB, PARENT, PIPELINE, spoiled

_JOB, _PIPE = "customJobs.create", "pipelineJobs.create"
_POOL, _SECOND = "jobSpec.workerPoolSpecs[0]", "jobSpec.workerPoolSpecs[1]"
_MACHINE, _CONTAINER = f"{_POOL}.machineSpec", f"{_POOL}.containerSpec"
_SCHEDULE, _RUNTIME = "jobSpec.scheduling", "runtimeConfig"
_EXEC = "pipelineSpec.deploymentSpec.executors.exec-make.container"
_GPU = f"{_EXEC}.resources.accelerator"

BAD: list[tuple[str, dict[str, Any], str, Any, str]] = [
    # of the description: required, type, format, enumeration, unknown, Google's own
    (_JOB, JOB, "displayName", GONE, "displayName"),
    (_JOB, JOB, "jobSpec", GONE, "jobSpec"),
    (_JOB, JOB, "jobSpec.workerPoolSpecs", [], "jobSpec.workerPoolSpecs"),
    (_JOB, JOB, f"{_CONTAINER}.imageUri", GONE, f"{_CONTAINER}.imageUri"),
    (_JOB, JOB, f"{_CONTAINER}.env[0].value", GONE, f"{_CONTAINER}.env[0].value"),
    (_JOB, JOB, f"{_CONTAINER}.command", "python", f"{_CONTAINER}.command"),
    (_JOB, JOB, f"{_CONTAINER}.args[1]", 10, f"{_CONTAINER}.args[1]"),
    (_JOB, JOB, f"{_POOL}.replicaCount", "one", f"{_POOL}.replicaCount"),
    (_JOB, JOB, f"{_POOL}.diskSpec.bootDiskSizeGb", "100", f"{_POOL}.diskSpec.bootDiskSizeGb"),
    (_JOB, JOB, f"{_POOL}.diskSpec.bootDiskSizeGb", 2**40, f"{_POOL}.diskSpec.bootDiskSizeGb"),
    (_JOB, JOB, f"{_MACHINE}.acceleratorType", "nvidia.com/gpu", f"{_MACHINE}.acceleratorType"),
    (_JOB, JOB, f"{_MACHINE}.acceleratorType", "NVIDIA_A10G", f"{_MACHINE}.acceleratorType"),
    (_JOB, JOB, f"{_SCHEDULE}.strategy", "PREEMPTIBLE", f"{_SCHEDULE}.strategy"),
    (_JOB, JOB, f"{_SCHEDULE}.timeout", 3600, f"{_SCHEDULE}.timeout"),
    (_JOB, JOB, f"{_SCHEDULE}.timeout", "1h", f"{_SCHEDULE}.timeout"),
    (_JOB, JOB, f"{_SCHEDULE}.restartJobOnWorkerRestart", "yes",
     f"{_SCHEDULE}.restartJobOnWorkerRestart"),
    (_JOB, JOB, "jobSpec.spot", True, "jobSpec.spot"),
    (_JOB, JOB, "jobSpec.serviceaccount", "x", "jobSpec.serviceaccount"),
    (_JOB, JOB, "state", "JOB_STATE_RUNNING", "state"),
    (_JOB, JOB, "createTime", "2026-01-01T00:00:00Z", "createTime"),
    (_JOB, JOB, "labels.team", 3, "labels['team']"),
    (_JOB, JOB, "labels", ["a"], "labels"),
    (_PIPE, PIPELINE, f"{_RUNTIME}.gcsOutputDirectory", GONE, f"{_RUNTIME}.gcsOutputDirectory"),
    (_PIPE, PIPELINE, f"{_RUNTIME}.failurePolicy", "FAIL_FAST", f"{_RUNTIME}.failurePolicy"),
    (_PIPE, PIPELINE, f"{_RUNTIME}.enableCaching", True, f"{_RUNTIME}.enableCaching"),
    (_PIPE, PIPELINE, "jobDetail", {"taskDetails": [{}]}, "jobDetail"),
    (_PIPE, PIPELINE, "pipelineSpec", "generative.yaml", "pipelineSpec"),
    # of the reference: names, labels, addresses, machines, counts, limits
    (_JOB, JOB, "displayName", "x" * 129, "displayName"),
    (_JOB, JOB, "labels.Team", "models", "labels['Team']"),
    (_JOB, JOB, "labels.team", "Models!", "labels['team']"),
    (_JOB, JOB, "labels", {f"l{n}": "" for n in range(65)}, "labels"),
    (_JOB, JOB, "labels.goog-terraform", "x", "labels['goog-terraform']"),
    (_JOB, JOB, "encryptionSpec.kmsKeyName", "my-key", "encryptionSpec.kmsKeyName"),
    (_JOB, JOB, "jobSpec.baseOutputDirectory.outputUriPrefix", "s3://b/x",
     "jobSpec.baseOutputDirectory.outputUriPrefix"),
    (_JOB, JOB, "jobSpec.serviceAccount", "trefoil", "jobSpec.serviceAccount"),
    (_JOB, JOB, "jobSpec.network", "default", "jobSpec.network"),
    (_JOB, JOB, f"{_MACHINE}.machineType", "banana-7", f"{_MACHINE}.machineType"),
    (_JOB, JOB, f"{_MACHINE}.machineType", "ml.g5.xlarge", f"{_MACHINE}.machineType"),
    (_JOB, JOB, f"{_MACHINE}.machineType", GONE, f"{_MACHINE}.machineType"),
    (_JOB, JOB, f"{_MACHINE}.machineType", "n2-standard-8", f"{_MACHINE}.acceleratorType"),
    (_JOB, JOB, f"{_MACHINE}.machineType", "a2-highgpu-1g", f"{_MACHINE}.acceleratorType"),
    (_JOB, JOB, f"{_MACHINE}.acceleratorCount", 3, f"{_MACHINE}.acceleratorCount"),
    (_JOB, JOB, f"{_MACHINE}.acceleratorCount", GONE, f"{_MACHINE}.acceleratorCount"),
    (_JOB, JOB, f"{_MACHINE}.acceleratorType", GONE, f"{_MACHINE}.acceleratorType"),
    (_JOB, JOB, f"{_POOL}.machineSpec",
     {"machineType": "n1-standard-8", "acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 3},
     f"{_MACHINE}.acceleratorCount"),
    (_JOB, JOB, f"{_POOL}.replicaCount", "2", f"{_POOL}.replicaCount"),
    (_JOB, JOB, f"{_POOL}.replicaCount", GONE, f"{_POOL}.replicaCount"),
    (_JOB, JOB, f"{_SECOND}.replicaCount", "0", f"{_SECOND}.replicaCount"),
    (_JOB, JOB, "jobSpec.workerPoolSpecs", JOB["jobSpec"]["workerPoolSpecs"] * 3,
     "jobSpec.workerPoolSpecs"),
    (_JOB, JOB, f"{_POOL}.containerSpec", GONE, _POOL),
    (_JOB, JOB, f"{_POOL}.diskSpec.bootDiskSizeGb", 20, f"{_POOL}.diskSpec.bootDiskSizeGb"),
    (_JOB, JOB, f"{_CONTAINER}.imageUri", "Not An Image", f"{_CONTAINER}.imageUri"),
    (_JOB, JOB, f"{_CONTAINER}.env", [{"name": f"V{n}", "value": "x"} for n in range(101)],
     f"{_CONTAINER}.env"),
    (_JOB, JOB, f"{_CONTAINER}.env[0].name", "1ST", f"{_CONTAINER}.env[0].name"),
    (_JOB, JOB, f"{_SCHEDULE}.timeout", "0s", f"{_SCHEDULE}.timeout"),
    (_JOB, JOB, f"{_SCHEDULE}.maxWaitDuration", "60s", f"{_SCHEDULE}.maxWaitDuration"),
    (_JOB, JOB, f"{_SCHEDULE}.disableRetries", True, f"{_SCHEDULE}.restartJobOnWorkerRestart"),
    (_PIPE, PIPELINE, f"{_RUNTIME}.gcsOutputDirectory", "/gcs/bucket",
     f"{_RUNTIME}.gcsOutputDirectory"),
    (_PIPE, PIPELINE, "pipelineSpec", GONE, "pipelineSpec"),
    (_PIPE, PIPELINE, "runtimeConfig", GONE, "runtimeConfig"),
    # of the pipeline's IR
    (_PIPE, PIPELINE, "pipelineSpec.pipelineInfo.name", "", "pipelineSpec.pipelineInfo.name"),
    (_PIPE, PIPELINE, "pipelineSpec.root.dag.tasks", {}, "pipelineSpec.root.dag.tasks"),
    (_PIPE, PIPELINE, "pipelineSpec.root.dag.tasks.make.componentRef.name", "comp-other",
     "pipelineSpec.root.dag.tasks.make.componentRef.name"),
    (_PIPE, PIPELINE, "pipelineSpec.components.comp-make.executorLabel", "exec-other",
     "pipelineSpec.components.comp-make.executorLabel"),
    (_PIPE, PIPELINE, f"{_EXEC}.resources.spot", True, "pipelineSpec.deploymentSpec"),
    (_PIPE, PIPELINE, "pipelineSpec.steps", [], "pipelineSpec"),
    (_PIPE, PIPELINE, f"{_GPU}.type", "nvidia.com/gpu", f"{_GPU}.type"),
    (_PIPE, PIPELINE, f"{_GPU}.resourceType", GONE, f"{_GPU}.resourceType"),
    (_PIPE, PIPELINE, f"{_RUNTIME}.parameterValues", {}, f"{_RUNTIME}.parameterValues['text']"),
    (_PIPE, PIPELINE, f"{_RUNTIME}.parameterValues.more", 1,
     f"{_RUNTIME}.parameterValues['more']"),
]  # fmt: skip


def test_there_are_enough_of_them() -> None:
    assert len(BAD) >= 40


@pytest.mark.parametrize(("method", "body"), GOOD, ids=[method for method, _ in GOOD])
def test_what_the_reference_allows_is_not_refused(method: str, body: dict[str, Any]) -> None:
    assert problems(method, body, {"parent": PARENT}) == []


@pytest.mark.parametrize(
    ("method", "body", "field", "value", "path"), BAD,
    ids=[f"{at}-{case[2]}" for at, case in enumerate(BAD)],
)  # fmt: skip
def test_what_google_refuses_is_refused_at_its_path(
    method: str, body: dict[str, Any], field: str, value: Any, path: str
) -> None:
    found = problems(method, spoiled(body, field, value), {"parent": PARENT})
    assert path in [each.path for each in found], found
    assert all(each.words for each in found)


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({}, "parent"),
        ({"parent": "europe-west4"}, "parent"),
        ({"parent": PARENT, "pipelineJobId": "My_Run"}, "pipelineJobId"),
        ({"parent": PARENT, "jobId": "r-1"}, "jobId"),
    ],
)
def test_parameters_of_the_call_are_looked_at(params: dict[str, str], path: str) -> None:
    assert path in [each.path for each in problems(_PIPE, PIPELINE, params)]


def test_what_googles_launcher_is_told_is_held_against_the_api_too() -> None:
    """It is JSON within a word of a command: nobody else would look at it before it runs."""
    from tests.infra.gcp.lowering import generative, lowered

    plan = generative()
    steps = tuple(
        each._replace(resources=each.resources._replace(spot=True))
        if each.name == "train"
        else each
        for each in plan.steps
    )
    body: Any = lowered(plan._replace(steps=steps)).body
    job = json.loads(json.dumps(body["pipeline"]["job"]))
    component = job["pipelineSpec"]["components"]["comp-train"]
    pools = component["inputDefinitions"]["parameters"]["worker_pool_specs"]["defaultValue"]
    pools[0]["machine_spec"]["machine_type"] = "banana-7"
    where = "pipelineSpec.deploymentSpec.executors.exec-train.container.payload"
    assert [each.path for each in problems(_PIPE, job)] == [
        f"{where}.jobSpec.workerPoolSpecs[0].machineSpec.machineType"
    ]


def test_an_unknown_field_names_the_nearest_one() -> None:
    found = problems(_JOB, spoiled(JOB, "jobSpec.serviceacount", "x"))
    assert "did you mean serviceAccount?" in str(found[0])


def test_only_a_stand_in_takes_numbers_for_enumerations() -> None:
    """Google's own clients send them; what we send are names, which can be looked at."""
    body = spoiled(JOB, f"{_MACHINE}.acceleratorType", 12)
    name = f"aiplatform.projects.locations.{_JOB}"
    assert shaped(VERTEX, name, body, None, numbered=True) == []
    assert [each.path for each in shaped(VERTEX, name, body)] == [f"{_MACHINE}.acceleratorType"]


def test_the_description_is_the_one_that_was_read() -> None:
    """Which fields are required is read from prose; another wording would require nothing."""
    schemas = document(VERTEX)["schemas"]
    fields = [
        field for schema in schemas.values() for field in schema.get("properties", {}).values()
    ]
    assert sum(map(is_required, fields)) > 600
    container = schemas["GoogleCloudAiplatformV1ContainerSpec"]["properties"]
    assert [name for name, field in container.items() if is_required(field)] == ["imageUri"]
    assert "aiplatform.projects.locations.pipelineJobs.create" in methods(VERTEX)
    assert IMAGE
