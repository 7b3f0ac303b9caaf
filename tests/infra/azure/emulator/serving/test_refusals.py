"""What the stand-in refuses, as Azure does: a status, a code, and the path of the fault."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from infra.azure.arm import VERSION, Arm
from infra.azure.serving import requests
from infra.azure.serving.requests import Release, Shares
from infra.azure.serving.state import At
from infra.errors import TrefoilError
from tests.infra.azure.serving.placed import IMAGE, WHERE, Place, place
from tests.infra.azure.serving.test_rules import BAD, altered

pytestmark = pytest.mark.timeout(300)
_MODELS = "2023-08-01-preview"


class Made:
    """A workspace with an endpoint, a deployment that serves, and what both are made of."""

    def __init__(self, there: Place) -> None:
        there.deploy("1")
        self.arm = Arm(WHERE.where)
        (self.name,) = (each["name"].partition(".")[2] for each in there.kept("deployments"))
        self.deployment = self.arm.get(WHERE.deployment("digits", self.name), "look") or {}
        (self.model,) = there.sent("PUT", "models/versions")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """One for all: nothing that is refused changes anything."""
    with place(tmp_path_factory.mktemp("refusals"), {"limits": {"*": 2}}) as there:
        yield Made(there)


def _refused(does: Any, *given: Any, **more: Any) -> tuple[int, str, str]:
    """Status, code, and the path of the first fault."""
    with pytest.raises(TrefoilError) as caught:
        does(*given, **more)
    response: Any = caught.value.__cause__.response  # type: ignore[union-attr]
    error = response.json()["error"]
    target = error["details"][0]["target"] if error["details"] else ""
    return response.status_code, error["code"], target


def _endpoint(**properties: Any) -> dict[str, Any]:
    body = requests.endpoint("digits", Shares(), WHERE, set())
    body["properties"] |= properties
    return body


@pytest.mark.parametrize(("kind", "path", "value"), BAD)
def test_what_is_wrong_in_itself(made: Made, kind: str, path: str, value: Any) -> None:
    """A client that does not look before would learn of it from the real Azure alone."""
    address = {
        "models": WHERE.address("models", "vae", "versions", "9"),
        "onlineEndpoints": WHERE.endpoint("digits"),
        "onlineDeployments": WHERE.deployment("digits", "other"),
    }[kind]
    version = _MODELS if kind == "models" else VERSION
    found = _refused(made.arm.put, address, altered(kind, path, value), "try", version)
    assert found == (400, "ValidationError", path)


@pytest.mark.parametrize(
    ("change", "target"),
    [
        ({"location": "northeurope"}, "location"),
        ({"identity": {"type": "UserAssigned", "userAssignedIdentities": {"/none": {}}}},
         "identity.userAssignedIdentities"),
        ({"properties": {"authMode": "Key"}}, "properties.authMode"),
        ({"properties": {"authMode": "AADToken", "traffic": {"none": 100}}},
         "properties.traffic['none']"),
        ({"properties": {"authMode": "AADToken", "mirrorTraffic": {"none": 10}}},
         "properties.mirrorTraffic['none']"),
    ],
)  # fmt: skip
def test_an_endpoint_that_does_not_fit_what_there_is(
    made: Made, change: dict[str, Any], target: str
) -> None:
    body = {**_endpoint(), **change}
    found = _refused(made.arm.put, WHERE.endpoint("digits"), body, "try")
    assert found == (400, "BadArgument", target)


@pytest.mark.parametrize(
    ("field", "value", "code", "target"),
    [
        ("model", WHERE.address("models", "vae", "versions", "none"), "BadArgument",
         "properties.model"),
        ("model", "azureml:none:1", "BadArgument", "properties.model"),
        ("environmentId", "azureml:none:1", "BadArgument", "properties.environmentId"),
        ("environmentId", "somewhere", "BadArgument", "properties.environmentId"),
    ],
)  # fmt: skip
def test_a_deployment_of_what_is_not_there(
    made: Made, field: str, value: str, code: str, target: str
) -> None:
    body = _deployment(made)
    body["properties"][field] = value
    address = WHERE.deployment("digits", "other")
    assert _refused(made.arm.put, address, body, "try") == (400, code, target)


def test_an_image_of_ones_own_without_routes(made: Made) -> None:
    """Azure would not know where to ask whether it is well."""
    ground = requests.environment(IMAGE, WHERE)
    del ground["properties"]["inferenceConfig"]
    address = WHERE.address("environments", "bare", "versions", "1")
    made.arm.put(address, ground, "make")
    body = _deployment(made)
    body["properties"]["environmentId"] = address
    found = _refused(made.arm.put, WHERE.deployment("digits", "other"), body, "try")
    assert found == (400, "BadArgument", "properties.environmentId")


def test_more_machines_than_the_quota_has(made: Made) -> None:
    body = _deployment(made)
    body["sku"]["capacity"] = 2
    found = _refused(made.arm.put, WHERE.deployment("digits", "other"), body, "try")
    assert found == (400, "OutOfQuota", "properties.instanceType")


def test_a_deployment_that_gets_requests_is_not_deleted(made: Made) -> None:
    """The requests of everyone would fail from one moment to the next."""
    found = _refused(made.arm.delete, WHERE.deployment("digits", made.name), "try")
    assert found == (400, "BadArgument", f"properties.traffic['{made.name}']")


@pytest.mark.parametrize(
    ("uri", "status", "target"),
    [
        ("azureml://datastores/other/paths/m/1", 400, "properties.modelUri"),
        ("azureml://datastores/trefoil/paths/nothing/here", 400, "properties.modelUri"),
        ("https://elsewhere.blob.core.windows.net/c/m", 400, "properties.modelUri"),
    ],
)
def test_a_model_whose_files_are_not_there(made: Made, uri: str, status: int, target: str) -> None:
    body = copy.deepcopy(made.model)
    body["properties"]["modelUri"] = uri
    address = WHERE.address("models", "vae", "versions", "9")
    found = _refused(made.arm.put, address, body, "try", _MODELS)
    assert (found[0], found[2]) == (status, target)


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        (WHERE.endpoint("1-digits"), 400, "BadArgument"),
        (WHERE.endpoint("none", "listKeys"), 404, "ResourceNotFound"),
        (WHERE.endpoint("digits", "listKeys"), 400, "BadRequest"),
        (WHERE.endpoint("digits", "token"), 400, "BadRequest"),
        (WHERE.deployment("digits", "none", "getLogs"), 404, "ResourceNotFound"),
        (WHERE.endpoint("digits").replace("example", "other"), 404, "ResourceGroupNotFound"),
    ],
)
def test_what_is_asked_of_the_wrong_thing(made: Made, address: str, status: int, code: str) -> None:
    """A typing error finds nothing, and says so."""
    kinds = ("listKeys", "token", "getLogs")
    method = "POST" if address.endswith(kinds) else "PUT"
    doing: dict[int, Any] = {}
    found = _refused(made.arm._asked, method, address, "try", VERSION, doing, _endpoint())
    assert (found[0], found[1]) == (status, code)


def test_a_log_of_no_container(made: Made) -> None:
    asked = {"containerType": "Sidecar"}
    found = _refused(made.arm.post, WHERE.deployment("digits", made.name, "getLogs"), asked, "try")
    assert found == (400, "BadArgument", "containerType")


def test_the_verbs_send_nothing_that_would_be_refused(made: Made) -> None:
    """What a setting breaks is told with its path, before anything is made."""
    at = At("digits", WHERE._replace(requests=0), 60.0)
    release = Release("vae", "9", model=WHERE.address("models"), environment=WHERE.address("e"))
    _, body = requests.deployment("digits", release, at.serving)
    with pytest.raises(
        TrefoilError, match=r"nothing was sent:\n  properties\.requestSettings\.max"
    ):
        at.put("onlineDeployments", at.deployment("other"), body, "deploy it")


def _deployment(made: Made) -> dict[str, Any]:
    asked = ("location", "kind", "sku", "tags", "properties")
    body = {name: copy.deepcopy(made.deployment[name]) for name in asked}
    for read_only in ("provisioningState", "properties"):
        del body["properties"][read_only]
    return body
