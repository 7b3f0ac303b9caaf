"""What is sent for an endpoint is what Vertex AI takes, and the same for the same."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from infra.errors import InputError, SettingsError, TrefoilError, UnsupportedError
from infra.gcp.serving import requests
from infra.gcp.serving.requests import Release, Serving, Version
from infra.gcp.validate import problems
from tests.infra.gcp.serving.place import IMAGE, NUMBER, PARENT, SETTINGS

DATA = "gs://example-bucket/trefoil/models/0123/"
RELEASE = Release("digits-vae", "3", "generative-80ef8035-1")
KEY = "projects/example-project/locations/europe-west4/keyRings/trefoil/cryptoKeys/data"
NETWORK = f"projects/{NUMBER}/global/networks/inner"
SECOND = Version("digits-vae", "2")
PLAIN: dict[str, Any] = {}
GPU: dict[str, Any] = {
    "serving_machine_type": "g2-standard-24", "serving_accelerator": "L4:2",
    "serving_instances": 4, "serving_requests": 120, "serving_spot": True,
}  # fmt: skip
INNER: dict[str, Any] = {"serving_private_network": NETWORK}


def serving(**settings: Any) -> Serving:
    """What endpoints are made of, by way of the environment as a step finds it."""
    own = SETTINGS._replace(kms_key=KEY, labels={"team": "digits"}, **settings)
    return requests.told_by({requests.SERVING: Serving.of(own).text()})


@pytest.mark.parametrize("settings", [PLAIN, GPU, INNER], ids=["plain", "gpu", "inner"])
def test_what_is_sent_is_what_vertex_takes(settings: dict[str, Any]) -> None:
    """It would be refused in the last minutes of a run, after all that it cost."""
    at = serving(**settings)
    first = requests.upload(RELEASE, IMAGE, DATA, at, there=False)
    then = requests.upload(RELEASE, IMAGE, DATA, at, there=True)
    asked: dict[str, list[dict[str, Any]]] = {
        "models.upload": [first, then],
        "endpoints.create": [requests.endpoint("digits", at)],
        "endpoints.deployModel": [requests.deployment(SECOND, "digits-vae version 3", at)],
        "endpoints.mutateDeployedModel": [requests.mutation("1234567890", at)],
        "batchPredictionJobs.create": [
            requests.batch("night", SECOND, "gs://example-bucket/in/*.jsonl", {"seed": 1}, at)
        ],
    }
    found = {method: [problems(method, body) for body in each] for method, each in asked.items()}
    assert found == {method: [[]] * len(each) for method, each in asked.items()}
    assert (first["modelId"], "parentModel" in first) == ("digits-vae", False)
    assert (then["parentModel"], "modelId" in then) == (f"{PARENT}/models/digits-vae", False)


def test_a_deployment_has_its_machine_its_accelerators_and_its_scaling() -> None:
    """An SDK left all three out without a word, and the endpoint ran on what there was."""
    found = requests.deployment(SECOND, "digits-vae version 3", serving(**GPU))["deployedModel"]
    assert found["model"] == f"{PARENT}/models/digits-vae@2"
    assert found["serviceAccount"] == SETTINGS.serving_service_account
    metrics = "aiplatform.googleapis.com/prediction/online"
    assert found["dedicatedResources"] == {
        "machineSpec": {
            "machineType": "g2-standard-24",
            "acceleratorType": "NVIDIA_L4",
            "acceleratorCount": 2,
        },
        "spot": True,
        "minReplicaCount": 1,
        "maxReplicaCount": 4,
        "autoscalingMetricSpecs": [
            {"metricName": f"{metrics}/request_count", "target": 120},
            {"metricName": f"{metrics}/accelerator/duty_cycle", "target": 60},
        ],
    }
    assert requests.endpoint("digits", serving(**INNER))["network"] == NETWORK


def test_the_same_has_the_same_id_and_anything_else_another() -> None:
    """A second deployer would double what costs money, or serve what was there before."""

    def name(version: Version = SECOND, **settings: Any) -> str:
        told: str = requests.deployment(version, "shown", serving(**settings))["deployedModel"][
            "id"
        ]
        return told

    assert name() == name()
    assert name(serving_instances=9, serving_requests=7) == name()  # that can be changed
    others = [
        name(),
        name(Version("digits-vae", "3")),
        name(serving_spot=True),
        name(serving_machine_type="n1-standard-4"),
        name(**GPU),
    ]
    assert len(set(others)) == 5
    assert all(each.isdecimal() and len(each) == 10 for each in others)

    def digest(release: Release, image: str, data: str) -> str:
        body = requests.upload(release, image, data, serving(), there=False)
        told: str = body["model"]["labels"]["trefoil-digest"]
        return told

    same = digest(RELEASE, IMAGE, DATA)
    assert digest(RELEASE._replace(run="another-run"), IMAGE, DATA) == same
    assert digest(RELEASE._replace(version="4"), IMAGE, DATA) != same
    assert digest(RELEASE, IMAGE + "f", DATA) != same
    assert digest(RELEASE, IMAGE, DATA.replace("0123", "4567")) != same


NAMES = ["digits-vae", "Digits VAE", "digits vae", "7up", "ä" * 90, "a" * 63, "-", "x_y", "vae-1"]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_any_name_is_taken(name: str) -> None:
    """The registry takes names that Vertex AI does not."""
    found = requests.model_id(name)
    asked = requests.upload(Release(name, "3"), IMAGE, DATA, serving(), there=False)
    assert problems("models.upload", asked) == []
    assert Version.read(Version(found, "12").label()) == Version(found, "12")
    assert len(Version(found, "99999999").label()) <= 63


def test_no_two_models_have_one_name() -> None:
    """They would be versions of one, each other's champion."""
    assert len({requests.model_id(name) for name in NAMES}) == len(NAMES)
    assert requests.model_id("digits-vae") == "digits-vae"


def test_the_server_is_told_what_it_serves() -> None:
    """Its metrics and routes would name no version: two of them could not be told apart."""
    spec = requests.upload(RELEASE, IMAGE, DATA, serving(), False)["model"]["containerSpec"]
    told = {each["name"]: each["value"] for each in spec["env"]}
    told |= {
        "AIP_HTTP_PORT": str(spec["ports"][0]["containerPort"]),
        "AIP_HEALTH_ROUTE": spec["healthRoute"],
        "AIP_PREDICT_ROUTE": spec["predictRoute"],
        "AIP_STORAGE_URI": DATA,
    }
    code = (
        "import os; from components import serve; found = serve.parse([], os.environ);"
        "print(found.name, found.version, found.port, found.host, found.model,"
        " found.health_route, found.predict_route)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == [
        "digits-vae", "3", "8080", "0.0.0.0", DATA,  # noqa: S104
        "/health", "/predict",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "canary", "words"),
    [
        ({"serving_service_account": ""}, 0, "set TREFOIL_SERVING_SERVICE_ACCOUNT"),
        (PLAIN, 60, "a canary of 60 percent is not in 0..50"),
        ({"serving_instances": 0}, 0, "serving_instances (0)"),
        ({"serving_accelerator": "L5"}, 0, "no accelerator L5"),
        ({"serving_private_network": "inner"}, 0, "projects/NUMBER/global/networks/NAME"),
        (INNER, 10, "a network of yours has one version, and no canary"),
    ],
)
def test_what_vertex_cannot_serve_is_refused_before_a_run(
    settings: dict[str, Any], canary: int, words: str
) -> None:
    """The run would be paid for, and end without an endpoint."""
    with pytest.raises((InputError, SettingsError, UnsupportedError)) as caught:
        requests.check(serving(**settings), canary)
    assert words in str(caught.value)


def test_a_step_that_is_not_told_says_who_tells() -> None:
    """A KeyError would name a variable that no page explains."""
    with pytest.raises(TrefoilError, match="python -m pipelines deploy --provider gcp"):
        requests.told_by({})
