"""Endpoints of the stand-in: shares, what is refused, and what a later rehearsal finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError, ProviderError, TrefoilError
from infra.gcp.serving import operations, requests
from infra.gcp.serving.requests import Version
from tests.infra.gcp.serving.place import MACHINES, PARENT, Place, place, threaded

pytestmark = pytest.mark.timeout(300)
_NAME = f"{PARENT}/endpoints/digits"


def _refused(there: Place, method: str, **asked: Any) -> str:
    with pytest.raises(TrefoilError) as caught:
        operations.done(there.gcp, method, "try it", 30.0, **asked)
    return str(caught.value)


def _deployment(there: Place, number: str = "1", **more: Any) -> dict[str, Any]:
    serving = requests.told_by(there.environment)
    body = requests.deployment(Version("vae", number), "shown", serving)
    return {**body, "deployedModel": {**body["deployedModel"], **more}}


def test_what_vertex_would_not_do(tmp_path: Path) -> None:
    """The very words by which a client knows a repeat, a race, or that there is nothing."""
    with threaded(tmp_path, **MACHINES) as there:
        there.deploy("1")
        (deployed,) = there.kept("Endpoint")[0]["deployed"]
        made = {"parent": PARENT, "endpointId": "digits", "body": {"displayName": "digits"}}
        assert "already exists" in _refused(there, "endpoints.create", **made)
        again = {"endpoint": _NAME, "body": _deployment(there)}
        assert "already exists" in _refused(there, "endpoints.deployModel", **again)
        absent = {"endpoint": _NAME, "body": _deployment(there, "9")}
        assert "Model does not exist" in _refused(there, "endpoints.deployModel", **absent)
        stranger = {"id": "7", "serviceAccount": "nobody@example-project.iam.gserviceaccount.com"}
        asked = {"endpoint": _NAME, "body": _deployment(there, **stranger)}
        assert "does not exist" in _refused(there, "endpoints.deployModel", **asked)
        split = {"endpoint": _NAME, "body": {**_deployment(there, id="7"), "trafficSplit": {
            "0": 50, "8": 50}}}  # fmt: skip
        assert "8, which is not deployed" in _refused(there, "endpoints.deployModel", **split)
        assert "deployed or being-deployed" in _refused(there, "endpoints.delete", name=_NAME)
        none = {"endpoint": _NAME, "body": {"deployedModelId": "99"}}
        assert "is not found" in _refused(there, "endpoints.undeployModel", **none)
        stale = {"displayName": "digits", "labels": {}, "etag": "old"}
        with pytest.raises(TrefoilError, match="etag"):
            there.gcp.ask("endpoints.patch", "patch", stale, name=_NAME, updateMask="labels")
        assert there.kept("Endpoint")[0]["traffic"] == {deployed: 100}


def test_machines_with_requests_are_not_taken_away(tmp_path: Path) -> None:
    """Of two that share, the one that leaves would take its requests with it."""
    with threaded(tmp_path, **MACHINES) as there:
        there.deploy("1")
        there.deploy("2", canary=10)
        traffic = there.kept("Endpoint")[0]["traffic"]
        one, two = sorted(traffic, key=lambda name: -int(traffic[name]))
        gone = {"endpoint": _NAME, "body": {"deployedModelId": two}}
        assert "has traffic assigned" in _refused(there, "endpoints.undeployModel", **gone)
        moved = {"deployedModelId": two, "trafficSplit": {one: 100}}
        operations.done(
            there.gcp, "endpoints.undeployModel", "undeploy", 30.0, endpoint=_NAME, body=moved
        )
        assert there.kept("Endpoint")[0]["traffic"] == {one: 100}


def test_errors_of_the_container_are_told_as_its_own(tmp_path: Path) -> None:
    """A client tells a model that fails, or is asked wrongly, from a service that does."""
    with place(tmp_path) as there:
        there.deploy("1")
        body = {"instances": [{}], "parameters": {"bad": True}}
        with pytest.raises(TrefoilError, match="that is bad"):
            there.gcp.ask("endpoints.predict", "ask", body, endpoint=_NAME)
        died = {"instances": [{}], "parameters": {"die": True}}
        with pytest.raises(ProviderError, match="did not answer"):
            there.gcp.ask("endpoints.predict", "ask", died, endpoint=_NAME)


def test_an_endpoint_without_traffic_answers_nobody(tmp_path: Path) -> None:
    with threaded(tmp_path) as there:
        there.deploy("1")
        there.ask("stop")
        with pytest.raises(InputError, match="doesn't have traffic_split"):
            there.serving(1)


def test_a_later_command_finds_the_endpoint(tmp_path: Path) -> None:
    """What was deployed in one rehearsal answers in the next, and what was begun is done there."""
    with threaded(tmp_path, **MACHINES) as there:
        there.deploy("1")
    with threaded(tmp_path, {"start": 300.0}, **MACHINES) as there:
        assert there.serving(1) == ["1"]
        body = {"endpoint": _NAME, "body": _deployment(there, id="7")}
        begun = there.gcp.ask("endpoints.deployModel", "deploy", **body)
        assert "done" not in begun
    with threaded(tmp_path, **MACHINES) as there:
        operations.finished(there.gcp, begun, "deploy", 60.0)
        assert there.deployed() == ["vae@1", "vae@1"]
        assert there.serving(1) == ["1"]
