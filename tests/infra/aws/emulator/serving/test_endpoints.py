"""Endpoints go through the states that SageMaker documents, by servers that really answer."""

from __future__ import annotations

import functools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.infra.aws.emulator.cloudy import BUCKET, IMAGE, ROLE, client, cloud, put, until, uri
from tests.infra.aws.emulator.serving.serving import (
    answer,
    configured,
    created,
    model,
    served,
    settled,
    updated,
    variant,
)

pytestmark = pytest.mark.timeout(120)


def _log(name: str = "digits") -> list[str]:
    """What the servers of an endpoint printed, newest first."""
    logs, group = client("logs"), f"/aws/sagemaker/Endpoints/{name}"
    streams = logs.describe_log_streams(
        logGroupName=group, orderBy="LastEventTime", descending=True
    )
    return [
        event["message"]
        for stream in streams["logStreams"]
        for event in logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
        )["events"]
    ]


def _refused(operation: str, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        getattr(client(), operation)(**request)
    error = caught.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def test_an_endpoint_serves_its_model(tmp_path: Path) -> None:
    """Archive, environment and request each reach the container, and its answer comes back."""
    with served(tmp_path):
        model("m-1", "first", Environment={"EXTRA": "more"})
        config = configured("c-1", variant("champion", "m-1"))
        client().create_endpoint(EndpointName="digits", EndpointConfigName=config)
        begun = client().describe_endpoint(EndpointName="digits")
        assert begun["EndpointStatus"] in ("Creating", "InService")
        found = settled()
        shown = found["ProductionVariants"][0]
        assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "c-1")
        assert shown["DeployedImages"][0]["SpecifiedImage"] == IMAGE
        assert (shown["CurrentWeight"], shown["CurrentInstanceCount"]) == (1.0, 1)
        told = answer("hello", ContentType="text/x", CustomAttributes="mine")
        assert told == ("first /invocations text/x mine hello more", "champion")
        assert _log() == ["serves first"]


def test_a_model_that_is_not_packed(tmp_path: Path) -> None:
    """Large models lie in S3 as they are: ModelDataSource."""
    source = {
        "S3Uri": uri("plain") + "/", "S3DataType": "S3Prefix", "CompressionType": "None"
    }  # fmt: skip
    with served(tmp_path):
        put("plain/weights", b"unpacked")
        container = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}}
        client().create_model(ModelName="m-1", ExecutionRoleArn=ROLE, PrimaryContainer=container)
        created(configured("c-1", variant("champion", "m-1")))
        assert answer()[0].startswith("unpacked ")


@pytest.mark.parametrize("weights", ["ill", "gone"])
def test_a_server_that_is_never_healthy(tmp_path: Path, weights: str) -> None:
    """It fails, with the reason and the log by which a person finds it; it can only be deleted."""
    with served(tmp_path, startup=2):
        model("m-1", weights)
        found = created(configured("c-1", variant("champion", "m-1")))
        assert found["EndpointStatus"] == "Failed"
        assert "champion did not pass the ping health check" in found["FailureReason"]
        assert _log()[0] == f"serves {weights}"
        again = {"EndpointName": "digits", "EndpointConfigName": "c-1"}
        assert "Cannot update failed endpoint" in _refused("update_endpoint", **again)
        client().delete_endpoint(EndpointName="digits")
        until(lambda: {"left": len(client().list_endpoints()["Endpoints"])}, "left", (0,))


def test_data_that_is_no_archive(tmp_path: Path) -> None:
    with served(tmp_path):
        model("m-1", "first")
        put("models/m-1/model.tar.gz", b"nothing that tar knows")
        found = created(configured("c-1", variant("champion", "m-1")))
    assert found["EndpointStatus"] == "Failed"
    assert "Failed to extract model data archive" in found["FailureReason"]


def test_an_update_moves_the_traffic_once_the_new_server_is_healthy(tmp_path: Path) -> None:
    with served(tmp_path, startup=2):
        for name, weights in (("m-1", "first"), ("m-2", "second"), ("m-3", "ill")):
            model(name, weights)
            configured(name.replace("m", "c"), variant("champion", name))
        created("c-1")
        assert updated("c-2")["EndpointConfigName"] == "c-2"
        assert answer()[0].startswith("second ")

        failed = updated("c-3")
        kept = failed["EndpointStatus"], failed["EndpointConfigName"]
        assert kept == ("InService", "c-2")
        assert "did not pass the ping health check" in failed["FailureReason"]
        assert answer()[0].startswith("second ")
        assert "FailureReason" not in updated("c-1")


def test_requests_are_shared_by_weight(tmp_path: Path) -> None:
    """A canary of ten percent gets a tenth of the requests, and more when its weight says so."""
    with served(tmp_path):
        both = [
            variant("champion", model("m-1", "first"), 90),
            variant("canary", model("m-2", "next"), 10),
        ]
        created(configured("c-1", *both))
        assert Counter(answer()[1] for _ in range(20)) == {"champion": 18, "canary": 2}
        assert answer(TargetVariant="canary")[0].startswith("next ")

        weights = [
            {"VariantName": "champion", "DesiredWeight": 0.0},
            {"VariantName": "canary", "DesiredWeight": 1.0, "DesiredInstanceCount": 2},
        ]
        client().update_endpoint_weights_and_capacities(
            EndpointName="digits", DesiredWeightsAndCapacities=weights
        )
        shown = settled()["ProductionVariants"][1]
        assert (shown["CurrentWeight"], shown["CurrentInstanceCount"]) == (1.0, 2)
        assert {answer()[1] for _ in range(5)} == {"canary"}

        kept = updated("c-1", RetainAllVariantProperties=True)["ProductionVariants"]
        assert [each["CurrentWeight"] for each in kept] == [0.0, 1.0]
        weight = [{"VariantPropertyType": "DesiredWeight"}]
        kept = updated(
            "c-1", RetainAllVariantProperties=True, ExcludeRetainedVariantProperties=weight
        )["ProductionVariants"]
        assert [each["CurrentWeight"] for each in kept] == [90.0, 10.0]
        assert kept[1]["CurrentInstanceCount"] == 2


def test_a_serverless_endpoint(tmp_path: Path) -> None:
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    with served(tmp_path):
        one = {
            "VariantName": "all",
            "ModelName": model("m-1", "small"),
            "ServerlessConfig": serverless,
        }
        found = created(configured("c-1", one))
        assert found["ProductionVariants"][0]["CurrentServerlessConfig"] == serverless
        assert answer()[0].startswith("small ")


def test_an_error_of_the_container_is_told_as_its_own(tmp_path: Path) -> None:
    """A client tells a model that fails from a service that does."""
    with served(tmp_path):
        created(configured("c-1", variant("champion", model("m-1", "first"))))
        with pytest.raises(ClientError, match="ModelError") as caught:
            answer("bad")
        found: dict[str, Any] = {**caught.value.response}
        assert found["OriginalStatusCode"] == 418
        assert "Received client error (418)" in str(caught.value)
        assert found["OriginalMessage"].startswith("first ")
        with pytest.raises(ClientError, match="Variant none not found"):
            answer(TargetVariant="none")
        with pytest.raises(ClientError, match="Endpoint other of account"):
            answer(name="other")


def test_asynchronous_requests(tmp_path: Path) -> None:
    """The answer comes by S3, and so does an error where the configuration gives it a place."""
    output = {"S3OutputPath": uri("answers"), "S3FailurePath": uri("errors")}
    with served(tmp_path):
        one = variant("champion", model("m-1", "first"))
        found = created(configured("c-1", one, AsyncInferenceConfig={"OutputConfig": output}))
        assert found["AsyncInferenceConfig"]["OutputConfig"] == output
        runtime, s3 = client("sagemaker-runtime"), client("s3")
        for body, where, words in (
            (b"ask", "OutputLocation", "ask"),
            (b"bad", "FailureLocation", "bad"),
        ):
            put("in/request", body)
            begun = runtime.invoke_endpoint_async(
                EndpointName="digits", InputLocation=uri("in/request"), ContentType="text/x"
            )
            key = begun[where].removeprefix(f"s3://{BUCKET}/")
            until(
                functools.partial(s3.list_objects_v2, Bucket=BUCKET, Prefix=key), "KeyCount", (1,)
            )
            there = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
            assert there == f"first /invocations text/x None {words} None"
        with pytest.raises(ClientError, match="is asynchronous"):
            answer()


def test_what_is_not_there_and_what_is_there_already(tmp_path: Path) -> None:
    """The very words by which a client knows a repeat, or that there is nothing to delete."""
    with served(tmp_path, limits={"ml.g5.xlarge": 0}):
        for kind in ("model", "endpoint_config", "endpoint"):
            name = {f"{''.join(word.title() for word in kind.split('_'))}Name": "none"}
            assert "ValidationException: Could not find " in _refused(f"describe_{kind}", **name)
            assert "ValidationException: Could not find " in _refused(f"delete_{kind}", **name)
        first = variant("champion", model("m-1", "first"))
        config = configured("c-1", first)
        again = {"EndpointConfigName": config, "ProductionVariants": [first]}
        assert "already existing endpoint configuration" in _refused(
            "create_endpoint_config", **again
        )
        absent = {**again, "ProductionVariants": [variant("champion", "m-2")]}
        assert "Could not find model" in _refused("create_endpoint_config", **absent)
        container = {"Image": IMAGE, "ModelDataUrl": uri("nothing/model.tar.gz")}
        named = {"ModelName": "m-3", "ExecutionRoleArn": ROLE, "PrimaryContainer": container}
        assert "Could not find model data" in _refused("create_model", **named)
        assert "Could not assume role" in _refused(
            "create_model", **{**named, "ExecutionRoleArn": ROLE + "-other"}
        )
        created(config)
        same = {"EndpointName": "digits", "EndpointConfigName": config}
        assert "already existing endpoint " in _refused("create_endpoint", **same)
        dear = configured("c-2", {**first, "InstanceType": "ml.g5.xlarge"})
        refused = _refused("update_endpoint", EndpointName="digits", EndpointConfigName=dear)
        assert "ResourceLimitExceeded: The account-level service limit 'ml.g5.xlarge for" in refused


def test_what_changes_cannot_be_changed(tmp_path: Path) -> None:
    """Two deployers at once: the second hears that it is late."""
    with served(tmp_path, start=60.0):
        config = configured("c-1", variant("champion", model("m-1", "first")))
        named = {"EndpointName": "digits", "EndpointConfigName": config}
        client().create_endpoint(**named)
        assert "Cannot update in-progress endpoint" in _refused("update_endpoint", **named)
        assert "Cannot update in-progress endpoint" in _refused(
            "delete_endpoint", EndpointName="digits"
        )


def test_a_later_command_finds_the_endpoint(tmp_path: Path) -> None:
    """What was deployed in one rehearsal answers in the next, and what changed goes on changing."""
    with served(tmp_path):
        created(configured("c-1", variant("champion", model("m-1", "first"))))
    with served(tmp_path, start=60.0):
        assert answer()[0].startswith("first ")
        config = configured("c-2", variant("champion", model("m-2", "second")))
        client().update_endpoint(EndpointName="digits", EndpointConfigName=config)
    with served(tmp_path):
        assert settled()["EndpointConfigName"] == "c-2"
        assert answer()[0].startswith("second ")


def test_pages_and_names_of_lists(tmp_path: Path) -> None:
    """Whoever tidies up reads lists, by a part of the name, page after page."""
    with cloud(tmp_path):
        for name in ("a-1", "b-1", "a-2"):
            configured(f"c-{name}", variant("champion", model(name, "first")))
        listed = (
            client()
            .get_paginator("list_models")
            .paginate(NameContains="a-", SortBy="Name", SortOrder="Ascending", MaxResults=1)
        )
        assert [[each["ModelName"] for each in page["Models"]] for page in listed] == [
            ["a-1"],
            ["a-2"],
        ]
        found = client().list_endpoint_configs(NameContains="b-")["EndpointConfigs"]
        assert [each["EndpointConfigName"] for each in found] == ["c-b-1"]
        client().delete_endpoint_config(EndpointConfigName="c-b-1")
        client().delete_model(ModelName="b-1")
        assert len(client().list_endpoint_configs()["EndpointConfigs"]) == 2
        assert "Could not find model" in _refused("describe_model", ModelName="b-1")
