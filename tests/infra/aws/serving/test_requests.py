"""What is sent for an endpoint is what SageMaker takes, and the same for the same."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from infra.aws import lower
from infra.aws.serving import archive, requests
from infra.aws.serving.requests import BESIDE, MAIN, Release, Serving
from infra.aws.validate import problems
from infra.errors import InputError, SettingsError, TrefoilError
from tests.infra.aws.lowering import SETTINGS

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/trefoil-server:0123456789ab"
DATA = "s3://example-bucket/trefoil/models/0123/model.tar.gz"
RELEASE = Release("digits-vae", "3")
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OWN = SETTINGS._replace(
    serving_role_arn="arn:aws:iam::123456789012:role/trefoil-serving",
    kms_key=KEY,
    model_package_group="trefoil",
    tags={"team": "digits"},
)
NETWORK: dict[str, Any] = {
    "subnets": ("subnet-0123456789abcdef0",),
    "security_groups": ("sg-0123456789abcdef0",),
}
SERVERLESS: dict[str, Any] = {}
MACHINES: dict[str, Any] = {"serving_instance_type": "ml.g5.xlarge", "serving_instances": 3}
LATER = MACHINES | NETWORK | {"serving_async": True}


def serving(**settings: Any) -> Serving:
    """What endpoints are made of, by way of the environment as a step finds it."""
    return requests.told_by(lower.ground(OWN._replace(**settings)))


@pytest.mark.parametrize("settings", [SERVERLESS, MACHINES, LATER], ids=["none", "some", "async"])
def test_what_is_sent_is_what_sagemaker_takes(settings: dict[str, Any]) -> None:
    """It would be refused in the last minutes of a run, after all that it cost."""
    at = serving(**settings)
    model = requests.model("digits", RELEASE, IMAGE, DATA, at)
    name = model["ModelName"]
    variants = [requests.variant(MAIN, name, 90, at), requests.variant(BESIDE, name, 10, at)]
    chosen = variants if settings else variants[:1]
    config = requests.configuration("digits", chosen, {"trefoil:version": "3"}, at)
    package = requests.package(RELEASE, IMAGE, DATA, {"run": "generative-1"}, at.group)
    assert problems("CreateModel", {**model, "Tags": at.tagged(endpoint="digits")}) == []
    assert problems("CreateEndpointConfig", config) == []
    assert problems("CreateModelPackage", package) == []


def test_the_same_has_the_same_name_and_anything_else_another() -> None:
    """A second deployer would double what costs money, or serve what was there before."""
    at = serving()
    first = requests.model("digits", RELEASE, IMAGE, DATA, at)
    assert requests.model("digits", RELEASE, IMAGE, DATA, at) == first
    others = [
        requests.model("digits", RELEASE._replace(version="4"), IMAGE, DATA, at),
        requests.model("digits", RELEASE, IMAGE + "f", DATA, at),
        requests.model("digits", RELEASE, IMAGE, DATA.replace("0123", "4567"), at),
        requests.model("faces", RELEASE, IMAGE, DATA, at),
    ]
    names = {each["ModelName"] for each in [first, *others]}
    assert len(names) == 5

    variant = [requests.variant(MAIN, first["ModelName"], 100, at)]
    after_a = requests.configuration("digits", variant, {"trefoil:previous": "a"}, at)
    after_b = requests.configuration("digits", variant, {"trefoil:previous": "b"}, at)
    assert after_a["EndpointConfigName"] != after_b["EndpointConfigName"]


def test_the_server_is_told_what_it_serves() -> None:
    """Its metrics and routes would name no version: two of them could not be told apart."""
    told = requests.container(RELEASE, IMAGE, DATA)["Environment"]
    code = (
        "import os; from components import serve; found = serve.parse(['serve'], os.environ);"
        "print(found.name, found.version)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "digits-vae 3\n"


def test_a_package_waits_for_approval() -> None:
    """What nobody judged would be served by whoever deploys what is approved."""
    assert requests.package(RELEASE, IMAGE, DATA, {}, "g")["ModelApprovalStatus"] == (
        "PendingManualApproval"
    )


@pytest.mark.parametrize(
    ("settings", "canary", "words"),
    [
        (SERVERLESS, 10, "a serverless endpoint has no canary; leave it out, or name a machine"),
        (NETWORK, 0, "a serverless endpoint has no network of yours"),
        ({"serving_async": True}, 0, "a serverless endpoint has no asynchronous requests"),
        ({"serving_memory": 1500}, 0, "serving_memory is 1500; a serverless endpoint has 1024"),
        ({"serving_role_arn": ""}, 0, "an endpoint needs a role: set TREFOIL_SERVING_ROLE_ARN"),
        (MACHINES, 60, "a canary of 60 percent is not in 0..50"),
    ],
)
def test_what_sagemaker_cannot_serve_is_refused_before_a_run(
    settings: dict[str, Any], canary: int, words: str
) -> None:
    """The run would be paid for, and end without an endpoint."""
    with pytest.raises((InputError, SettingsError)) as caught:
        requests.check(serving(**settings), canary)
    assert words in str(caught.value)


def test_a_step_that_is_not_told_says_who_tells() -> None:
    """A KeyError would name a variable that no page explains."""
    with pytest.raises(TrefoilError, match="python -m pipelines deploy --provider aws"):
        requests.told_by({})


def test_an_archive_is_the_same_bytes_for_the_same_files(tmp_path: Path) -> None:
    """Its name says what is in it: with a time inside, no name would ever be true twice."""
    model = tmp_path / "model"
    (model / "deep").mkdir(parents=True)
    (model / "serving.json").write_text(json.dumps({"operations": {}}))
    (model / "deep/sample.onnx").write_bytes(b"graph")
    names = ["deep/sample.onnx", "serving.json"]
    archive.pack(model, names, tmp_path / "a.tar.gz")
    (model / "serving.json").touch()
    archive.pack(model, names, tmp_path / "b.tar.gz")
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "a.tar.gz") as found:
        assert found.getnames() == names
