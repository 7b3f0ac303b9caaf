"""What is sent for an endpoint is what Azure takes, and the same for the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.azure import endpoint, validate
from infra.azure.serving import requests
from infra.azure.serving.requests import SERVING, Release, Shares
from infra.errors import InputError, SettingsError, TrefoilError
from tests.infra.azure.serving.placed import IMAGE, WHERE

DIGEST = "0123456789abcdef" * 4
MODEL, ENVIRONMENT = WHERE.address("models", "vae"), WHERE.address("environments", "server")
RELEASE = Release("digits-vae", "3", "run-1", MODEL, ENVIRONMENT)


def test_what_is_sent_is_what_azure_takes() -> None:
    """It would be refused in the last minutes of a run, after all that it cost."""
    name, deployment = requests.deployment("digits", RELEASE, WHERE)
    shares = Shares("2", "v2-0", name, 10, "v1-0")
    whole = requests.endpoint("digits", shares, WHERE, {"v2-0", name})
    mirrored = requests.endpoint("digits", shares, WHERE._replace(mirror=True), {"v2-0", name})
    for kind, body in (
        ("models", requests.model(RELEASE, WHERE, DIGEST, {"trefoil.run": "run-1"})),
        ("environments", requests.environment(IMAGE, WHERE)),
        ("onlineDeployments", deployment),
        ("onlineEndpoints", requests.endpoint("digits", Shares(), WHERE, set())),
        ("onlineEndpoints", whole),
        ("onlineEndpoints", mirrored),
    ):
        version = "2023-08-01-preview" if kind == "models" else "2023-04-01-preview"
        assert validate.problems(kind, version, body) == [], kind


def test_a_deployment_says_what_the_server_needs() -> None:
    """A probe at the wrong path, or Azure's default of one request at once, serves nobody."""
    _, body = requests.deployment("digits", RELEASE, WHERE._replace(instances=3, requests=8))
    found = body["properties"]
    assert (found["model"], found["environmentId"]) == (MODEL, ENVIRONMENT)
    assert body["sku"] == {"name": "Default", "capacity": 3}
    assert found["instanceType"] == "Standard_DS3_v2"
    assert found["requestSettings"] == {
        "requestTimeout": "PT1M30S", "maxConcurrentRequestsPerInstance": 8
    }  # fmt: skip
    assert found["readinessProbe"]["failureThreshold"] == 60
    assert body["tags"] == {
        "trefoil.endpoint": "digits", "trefoil.version": "3", "trefoil.run": "run-1",
        "team": "digits",
    }  # fmt: skip
    routes = requests.environment(IMAGE, WHERE)["properties"]["inferenceConfig"]
    assert {name: each["path"] for name, each in routes.items()} == {
        "livenessRoute": "/live", "readinessRoute": "/ready", "scoringRoute": "/score"
    }  # fmt: skip
    assert {each["port"] for each in routes.values()} == {8080}


def test_the_same_has_the_same_name_and_anything_else_another() -> None:
    """A second deployer would double what costs money, or serve what was there before."""
    first, body = requests.deployment("digits", RELEASE, WHERE)
    others = [
        requests.deployment("faces", RELEASE, WHERE)[0],
        requests.deployment("digits", RELEASE._replace(version="4"), WHERE)[0],
        requests.deployment("digits", RELEASE._replace(model=MODEL + "f"), WHERE)[0],
        requests.deployment("digits", RELEASE._replace(environment=MODEL), WHERE)[0],
        requests.deployment("digits", RELEASE, WHERE._replace(instance_type="Standard_F4s_v2"))[0],
    ]
    assert len({first, *others}) == 6
    again = RELEASE._replace(run="run-2")
    assert requests.deployment("digits", again, WHERE._replace(tags={}, instances=2))[0] == first
    assert body["tags"]["trefoil.run"] == "run-1"
    long = requests.deployment("digits", RELEASE._replace(version="candidate_2026-11-30.b"), WHERE)
    assert len(long[0]) <= 32


def test_an_environment_and_a_model_are_called_by_what_is_in_them() -> None:
    """Azure keeps a version that is there, whatever is sent: an old image would go on serving."""
    one = requests.environment(IMAGE, WHERE)
    other = requests.environment(IMAGE.replace("0", "1"), WHERE)
    versions = {requests.environment_version(each) for each in (one, other)}
    assert len(versions) == 2
    tagged = requests.environment(IMAGE, WHERE._replace(tags={}))
    assert requests.environment_version(tagged) in versions
    assert requests.model_version(RELEASE, DIGEST) == "3-0123456789ab"
    uri = requests.model(RELEASE, WHERE, DIGEST, {})["properties"]["modelUri"]
    assert uri.endswith(f"/datastores/trefoil/paths/trefoil/models/{DIGEST}")


@pytest.mark.parametrize(
    ("shares", "mirror", "there", "traffic", "copies"),
    [
        (Shares("1", "a"), False, {"a"}, {"a": 100}, {}),
        (Shares("1", "a", "b", 10), False, {"a", "b"}, {"a": 90, "b": 10}, {}),
        (Shares("1", "a", "b", 10), True, {"a", "b"}, {"a": 100}, {"b": 10}),
        (Shares("1", "a", "b", 10), False, {"a"}, {"a": 100}, {}),
        (Shares("1", "a", "", 0, "c"), False, {"a", "c"}, {"a": 100}, {}),
        (Shares("1", "a"), False, set(), {}, {}),
    ],
)
def test_who_gets_the_requests(
    shares: Shares, mirror: bool, there: set[str], traffic: dict[str, int], copies: dict[str, int]
) -> None:
    """A share for a deployment that is not there is refused, and none of them would move."""
    body = requests.endpoint("digits", shares, WHERE._replace(mirror=mirror), there)
    assert body["properties"]["traffic"] == traffic
    assert body["properties"]["mirrorTraffic"] == copies
    assert body["tags"].get("trefoil.main", "") == shares.main
    assert body["properties"]["authMode"] == "AADToken"


def test_the_server_finds_its_model_and_what_it_is(tmp_path: Path) -> None:
    """How deep Azure mounts it is told in two ways: a server that looks in one serves nothing."""
    model = tmp_path / "azureml-models/vae/3-01/0123"
    model.mkdir(parents=True)
    (model / "serving.json").write_text("{}")
    _, body = requests.deployment("digits", RELEASE, WHERE)
    code = (
        "import os; from components import serve; found = serve.parse([], os.environ);"
        "print(found.name, found.version, found.model)"
    )
    told = body["properties"]["environmentVariables"]
    for own in (
        {"AZUREML_MODEL_DIR": str(tmp_path / "azureml-models/vae/3-01")},
        {"TREFOIL_MODEL_MOUNT": str(tmp_path)},
    ):
        environment = {"PATH": os.environ["PATH"], **told, **own}
        ended = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert ended.stdout == f"digits-vae 3 {model}\n"


@pytest.mark.parametrize(
    ("name", "canary", "serving", "words"),
    [
        ("d", 0, {}, "Azure ML knows no endpoint d: 3 to 32 of A-Z"),
        ("digits_vae", 0, {}, "Azure ML knows no endpoint digits_vae"),
        ("1digits", 0, {}, "a letter first"),
        ("x" * 33, 0, {}, "3 to 32"),
        ("digits", 60, {}, "a canary of 60 percent is not in 0..50"),
        ("digits", 0, {"identity": ""}, "set TREFOIL_SERVING_IDENTITY"),
        ("digits", 0, {"instances": 0}, "serving_instances is 0"),
        ("digits", 0, {"requests": 0}, "serving_requests is 0"),
    ],
)
def test_what_azure_cannot_serve_is_refused_before_a_run(
    tmp_path: Path, name: str, canary: int, serving: dict[str, Any], words: str
) -> None:
    """The run would be paid for, and end without an endpoint."""
    environment = {SERVING: WHERE._replace(**serving).text()}
    with pytest.raises((InputError, SettingsError)) as caught:
        endpoint.check(workspace=tmp_path, name=name, canary=canary, environment=environment)
    assert words in str(caught.value)


def test_a_step_that_is_not_told_says_who_tells() -> None:
    """A KeyError would name a variable that no page explains."""
    with pytest.raises(TrefoilError, match="python -m pipelines deploy --provider azure"):
        requests.told_by({})
