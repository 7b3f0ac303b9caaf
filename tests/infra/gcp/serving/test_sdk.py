"""Google's own SDK, unmodified: it asks for what we ask for, and is answered by what we deployed.

What differs and why, taken away before bodies are compared: the SDK names enumerations by number,
writes defaults out, cannot say a deployed model's ``id``, and moves the traffic in the call that
deploys (``trafficSplit``), where ours is moved once the new version was found healthy.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.gcp.serving.requests import SERVER_IMAGE
from tests.infra.gcp.serving.place import (
    BUCKET,
    IMAGE,
    PARENT,
    PROJECT,
    REGION,
    SERVED_BY,
    Place,
    place,
    threaded,
)
from tests.served import write_model

pytestmark = pytest.mark.timeout(600)
_GPU: dict[str, Any] = {
    "serving_machine_type": "g2-standard-24", "serving_accelerator": "L4:2",
    "serving_instances": 3, "serving_requests": 300, "serving_spot": True,
}  # fmt: skip


def sdk() -> Any:
    """The SDK, spoken by REST: led to the stand-in by the environment alone."""
    from google.cloud import aiplatform

    aiplatform.init(project=PROJECT, location=REGION, api_transport="rest")
    return aiplatform


def test_the_sdk_sends_the_same(tmp_path: Path) -> None:
    """Two who read the same reference agree, or one of them has misread it."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    with threaded(ours, **_GPU) as there:
        there.deploy("1")
        there.deploy("2", canary=10)
        sent = _captured(there)
    with threaded(theirs, **_GPU) as there:
        store = there.gcp.store(BUCKET)
        for body in sent["models.upload"]:
            key = body["model"]["artifactUri"].removeprefix(f"gs://{BUCKET}/")
            store.put(f"{key}serving.json", b'{"operations": {}}')
        _by_the_sdk(sent)
        assert _captured(there) == sent


def test_the_sdk_is_answered_by_what_we_deployed(tmp_path: Path) -> None:
    """Our server, as the process that it is, by Vertex AI's contract, fetched from the bucket."""
    model = write_model(tmp_path / "model")
    with place(tmp_path, {"startup": 120}) as there:
        there.environment[SERVER_IMAGE] = IMAGE.replace("little:1", "trefoil-server:1")
        there.model = lambda version, **_card: model  # type: ignore[method-assign]
        there.deploy("1")
        endpoint = sdk().Endpoint(f"{PARENT}/endpoints/digits")
        asked = {"operation": "sample", "seed": 1}
        found = endpoint.predict(instances=[{}, {}], parameters=asked)
        assert [len(each) for each in found.predictions] == [8, 8]
        assert (found.model_version_id, found.model_resource_name.rpartition("/")[2]) == (
            "1",
            "vae",
        )
        ((name, _),) = there.kept("Endpoint")[0]["deployed"].items()
        assert found.deployed_model_id == name

        again = endpoint.predict(instances=[{}, {}], parameters=asked, use_raw_predict=True)
        assert again.predictions == found.predictions
        images = {"instances": found.predictions, "parameters": {"operation": "score"}}
        raw = endpoint.raw_predict(
            json.dumps(images).encode(), {"Content-Type": "application/json"}
        )
        assert [type(each) for each in raw.json()["predictions"]] == [float, float]
        with pytest.raises(Exception, match=r"the values of images must lie in 0\.\.1"):
            endpoint.predict(instances=[[[2.0] * 8] * 8], parameters={"operation": "score"})


def _by_the_sdk(sent: dict[str, list[dict[str, Any]]]) -> None:
    """What was captured, asked for once more in the SDK's own words."""
    aiplatform = sdk()
    first, second = sent["models.upload"]
    models = [
        aiplatform.Model.upload(model_id=first["modelId"], **_words(first)),
        aiplatform.Model.upload(parent_model=first["modelId"], **_words(second)),
    ]
    labels = sent["endpoints.create"][0]["labels"]
    endpoint = aiplatform.Endpoint.create("digits", endpoint_id="digits", labels=labels)
    for model, asked in zip(models, sent["endpoints.deployModel"], strict=True):
        given = asked["deployedModel"]
        resources = given["dedicatedResources"]
        machine = resources["machineSpec"]
        requests_, busy = (each["target"] for each in resources["autoscalingMetricSpecs"])
        endpoint.deploy(
            model,
            deployed_model_display_name=given["displayName"],
            machine_type=machine["machineType"],
            accelerator_type=machine["acceleratorType"],
            accelerator_count=machine["acceleratorCount"],
            min_replica_count=resources["minReplicaCount"],
            max_replica_count=resources["maxReplicaCount"],
            autoscaling_target_request_count_per_minute=requests_,
            autoscaling_target_accelerator_duty_cycle=busy,
            service_account=SERVED_BY,
            spot=resources["spot"],
        )
    old, new = (each.id for each in endpoint.list_models())
    endpoint.update(traffic_split={old: 90, new: 10}, labels=sent["endpoints.patch"][-1]["labels"])


def _words(body: dict[str, Any]) -> dict[str, Any]:
    model = body["model"]
    spec = model["containerSpec"]
    return {
        "display_name": model["displayName"],
        "version_description": model["versionDescription"],
        "version_aliases": list(model["versionAliases"]),
        "is_default_version": False,
        "artifact_uri": model["artifactUri"],
        "serving_container_image_uri": spec["imageUri"],
        "serving_container_environment_variables": {
            each["name"]: each["value"] for each in spec["env"]
        },
        "serving_container_ports": [each["containerPort"] for each in spec["ports"]],
        "serving_container_predict_route": spec["predictRoute"],
        "serving_container_health_route": spec["healthRoute"],
        "labels": model["labels"],
    }


def _captured(there: Place) -> dict[str, list[dict[str, Any]]]:
    """The bodies that were sent, without what the two say otherwise and mean alike."""
    deployments = []
    for body in there.sent("endpoints.deployModel"):
        given = _plain(body["deployedModel"])
        given.pop("id", None)
        resources = given["dedicatedResources"]
        resources["autoscalingMetricSpecs"].sort(key=lambda each: -each["target"])
        deployments.append({"deployedModel": given})
    split = there.sent("endpoints.patch")[-1]
    return {
        "models.upload": [_plain(each) for each in there.sent("models.upload")],
        "endpoints.create": [_plain(each) for each in there.sent("endpoints.create")],
        "endpoints.deployModel": deployments,
        "endpoints.patch": [
            {
                "displayName": split["displayName"],
                "labels": split["labels"],
                "trafficSplit": sorted(split["trafficSplit"].values()),
            }
        ],
    }


def _plain(value: Any) -> Any:
    """Without defaults that are written out, and enumerations by their names."""
    from google.cloud.aiplatform_v1.types import AcceleratorType

    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return value.removeprefix(f"projects/{PROJECT}/locations/{REGION}/models/")
    if not isinstance(value, dict):
        return value
    found = {key: _plain(each) for key, each in value.items() if each not in (None, 0, "", [], {})}
    kind = found.get("acceleratorType")
    if isinstance(kind, int):
        found["acceleratorType"] = AcceleratorType(kind).name
    if "model" in found and isinstance(found["model"], str):
        found["model"] = found["model"].rpartition("/")[2]
    return found
