"""Endpoints, asked by azure-ai-ml as it is, by servers that really answer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from infra.azure.serving import requests
from infra.azure.serving.requests import Release, Shares
from tests.infra.azure.emulator.serving.asked import asked
from tests.infra.azure.serving.placed import IMAGE, WHERE

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),  # azure-ai-ml is made of what its own libraries warn of
]


def test_register_deploy_invoke_split_mirror_and_stop(tmp_path: Path) -> None:
    """The whole life of an endpoint, by the calls that every tutorial of Azure's has."""
    with asked(tmp_path) as there:
        for version in ("1", "2"):
            there.model(version)
        made = there.endpoint(tags={"team": "digits"})
        assert made.scoring_uri == "https://digits.westeurope.inference.ml.azure.com/score"
        assert made.provisioning_state == "Succeeded"
        for version in ("1", "2"):
            assert there.deployment(version).provisioning_state == "Succeeded"
        assert there.invoke({"n": 1}, "v02")["version"] == "2"  # without traffic, by its name
        with pytest.raises(HttpResponseError, match="positive weight"):
            there.invoke({"n": 1})

        there.endpoint(traffic={"v01": 80, "v02": 20})
        found = Counter(there.invoke({"n": 1})["version"] for _ in range(10))
        assert found == {"1": 8, "2": 2}
        there.endpoint(traffic={"v01": 100}, mirror_traffic={"v02": 50})
        assert {there.invoke({"seen": number})["version"] for number in range(4)} == {"1"}

        log = there.ml.online_deployments.get_logs("v01", "digits", 100)
        assert log.splitlines()[0] == "starts 1"
        initialiser = there.ml.online_deployments.get_logs(
            "v01", "digits", 100, container_type="storage-initializer"
        )
        assert "Downloaded 1 files" in initialiser
        names = [each.name for each in there.ml.online_deployments.list("digits")]
        assert names == ["v01", "v02"]
        assert [each.name for each in there.ml.online_endpoints.list()] == ["digits"]
        there.endpoint(traffic={"v01": 100})
        there.ml.online_deployments.begin_delete("v02", "digits").result()
        there.ml.online_endpoints.begin_delete("digits").result()
        assert there.kept("deployments") == there.kept("onlineEndpoints") == []


def test_copies_reach_the_mirrored_deployment(tmp_path: Path) -> None:
    """A version that is tried by copies sees what people really ask."""
    with asked(tmp_path) as there:
        for version in ("1", "2"):
            there.model(version)
        there.endpoint()
        for version in ("1", "2"):
            there.deployment(version)
        there.endpoint(traffic={"v01": 100}, mirror_traffic={"v02": 50})
        for number in range(4):
            there.invoke({"seen": number})
    (log,) = (tmp_path / "cloud/azureml/endpoints/digits/v02").glob("i-*/log")
    assert log.read_text().count("seen") == 2


@pytest.mark.parametrize("auth", ["key", "aml_token", "aad_token"])
def test_only_who_shows_the_right_key_or_token_is_answered(tmp_path: Path, auth: str) -> None:
    """A rehearsal that lets everybody in would hide that production lets nobody in."""
    from azure.ai.ml.constants._endpoint import EndpointInvokeFields

    with asked(tmp_path) as there:
        there.model("1")
        there.endpoint(auth=auth)
        there.deployment("1")
        there.endpoint(auth=auth, traffic={"v01": 100})
        assert there.invoke({"n": 1})["version"] == "1"
        wrong = {"Authorization": "Bearer another's", "Content-Type": "application/json"}
        EndpointInvokeFields.DEFAULT_HEADER = {"Content-Type": "application/json"}
        url = "https://digits.westeurope.inference.ml.azure.com/score"
        reply = there.ml.online_endpoints._requests_pipeline.post(url, json={}, headers=wrong)
        assert reply.status_code == 401
        if auth == "key":
            before = there.ml.online_endpoints.get_keys("digits").primary_key
            there.ml.online_endpoints.begin_regenerate_keys("digits").result()
            assert there.ml.online_endpoints.get_keys("digits").primary_key != before
            assert there.invoke({"n": 1})["version"] == "1"


def test_an_error_of_the_container_is_told_as_its_own(tmp_path: Path) -> None:
    """A client tells a model that fails from a service that does."""
    with asked(tmp_path) as there:
        there.model("1")
        there.endpoint()
        there.deployment("1")
        there.endpoint(traffic={"v01": 100})
        with pytest.raises(HttpResponseError) as caught:
            there.invoke({"status": 418})
        response: Any = caught.value.response
        assert response.status_code == 424
        assert response.headers["ms-azureml-model-error-statuscode"] == "418"
        assert response.headers["azureml-model-deployment"] == "v01"


def test_a_deployment_that_fails_says_why_and_keeps_its_logs(tmp_path: Path) -> None:
    """A person has nothing else to find out why."""
    with asked(tmp_path) as there:
        there.model("1", ill=True)
        there.endpoint()
        with pytest.raises(HttpResponseError, match="User container has crashed"):
            there.deployment("1")
        found = there.ml.online_deployments.get("v01", "digits")
        assert found.provisioning_state == "Failed"
        log = there.ml.online_deployments.get_logs("v01", "digits", 10)
        assert "these weights are of another model" in log
        with pytest.raises(HttpResponseError, match="v01 is Failed"):
            there.endpoint(traffic={"v01": 100})


def test_a_model_whose_files_are_gone_is_told_by_what_fetches_it(tmp_path: Path) -> None:
    """The server never starts, and its own log is empty."""
    from infra.azure.session import reached

    with asked(tmp_path) as there:
        there.model("1")
        reached(there.serving.where).blobs.delete_blob("m/1/serving.json")
        there.endpoint()
        with pytest.raises(HttpResponseError, match="storage initializer failed"):
            there.deployment("1")
        log = there.ml.online_deployments.get_logs(
            "v01", "digits", 10, container_type="storage-initializer"
        )
        assert "Failed to download the model: nothing lies at" in log
        assert there.ml.online_deployments.get_logs("v01", "digits", 10) == ""


def test_an_endpoint_goes_on_in_a_later_rehearsal(tmp_path: Path) -> None:
    """`--rehearse` on another command looks at what was rehearsed before."""
    with asked(tmp_path) as there:
        there.model("1")
        there.endpoint()
        there.deployment("1")
        there.endpoint(traffic={"v01": 100})
    with asked(tmp_path) as there:
        assert there.invoke({"n": 1})["version"] == "1"


def test_azure_ai_ml_sends_what_we_send(tmp_path: Path) -> None:
    """Two ways to write one deployment: where they differ, one of them is wrong."""
    from azure.ai.ml.entities import OnlineRequestSettings, ProbeSettings

    with asked(tmp_path) as there:
        there.model("1")
        there.endpoint(auth="aad_token", tags={"trefoil.endpoint": "digits", "team": "digits"})
        there.deployment(
            "1",
            request_settings=OnlineRequestSettings(
                request_timeout_ms=90_000, max_concurrent_requests_per_instance=16
            ),
            liveness_probe=ProbeSettings(
                initial_delay=30, period=10, timeout=2, success_threshold=1, failure_threshold=30
            ),
            readiness_probe=ProbeSettings(
                initial_delay=5, period=5, timeout=2, success_threshold=1, failure_threshold=60
            ),
            model_mount_path=requests.MOUNT,
            tags={"trefoil.endpoint": "digits", "trefoil.version": "1", "team": "digits"},
        )
        theirs = there.sent("PUT", "onlineEndpoints/deployments")[0]
        ground = there.sent("PUT", "environments/versions")[0]
        endpoint = there.sent("PUT", "onlineEndpoints")[0]
        model = there.sent("PUT", "models/versions")[0]
    release = Release("vae", "1", model=theirs["properties"]["model"])
    release = release._replace(environment=theirs["properties"]["environmentId"])
    _, ours = requests.deployment("digits", release, WHERE)
    ours["properties"]["environmentVariables"] = theirs["properties"]["environmentVariables"]
    assert _said(theirs) == _said(ours)
    assert _said(endpoint) == _said(requests.endpoint("digits", Shares(), WHERE, set()))
    assert (
        ground["properties"]["inferenceConfig"]
        == requests.environment(IMAGE, WHERE)["properties"]["inferenceConfig"]
    )
    assert model["properties"]["modelType"] == "custom_model"


def _said(body: dict[str, Any]) -> dict[str, Any]:
    """A body without what says nothing: what is empty, and what Azure takes for granted."""
    body = {name: value for name, value in body.items() if name != "kind"}
    properties = {
        name: value
        for name, value in body["properties"].items()
        if value not in ({}, None, False) and name != "scaleSettings"
    }
    return {**body, "properties": properties}
