"""Endpoints of the stand-in: shares, what is refused, and what a later rehearsal finds."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from infra.errors import InputError, ProviderError, TrefoilError
from infra.gcp.emulator.serving import fleet
from infra.gcp.emulator.serving.endpoints import Endpoints
from infra.gcp.emulator.serving.server import Place as Asked
from infra.gcp.serving import operations, requests
from infra.gcp.serving.requests import Version
from infra.rehearsal.served import ENDED
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


def test_whatever_goes_wrong_within_ends_an_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is never done is asked for until its deadline, half an hour later."""
    monkeypatch.setattr(Endpoints, "_told", mock.Mock(side_effect=KeyError("surprise")))
    with threaded(tmp_path) as there:
        made: dict[str, Any] = {"parent": PARENT, "endpointId": "digits", "body": {}}
        made["body"]["displayName"] = "digits"
        with pytest.raises(ProviderError, match="the rehearsal itself failed: KeyError"):
            operations.done(there.gcp, "endpoints.create", "make it", 30.0, **made)


def test_what_is_deployed_changes_as_the_mask_says(tmp_path: Path) -> None:
    """A change that is taken and not made is found on the bill of the real project."""
    with threaded(tmp_path, **MACHINES) as there:
        there.deploy("1")
        (deployed,) = there.kept("Endpoint")[0]["deployed"]
        given = {"id": deployed, "disableContainerLogging": True}
        body = {"deployedModel": given, "updateMask": "disableContainerLogging"}
        asked: dict[str, Any] = {"endpoint": _NAME, "body": body}
        done = operations.done(there.gcp, "endpoints.mutateDeployedModel", "do", 30.0, **asked)
        assert done is not None
        assert done["deployedModel"]["disableContainerLogging"] is True
        assert done["deployedModel"]["dedicatedResources"]["maxReplicaCount"] == 3
        body["updateMask"] = "automaticResources.maxReplicaCount"
        refused = _refused(there, "endpoints.mutateDeployedModel", **asked)
        assert "dedicatedResources alone" in refused


def test_other_machines_than_dedicated_ones_are_refused(tmp_path: Path) -> None:
    with threaded(tmp_path, **MACHINES) as there:
        there.deploy("1")
        body = _deployment(there, id="7")
        del body["deployedModel"]["dedicatedResources"]
        body["deployedModel"]["automaticResources"] = {"minReplicaCount": 1}
        refused = _refused(there, "endpoints.deployModel", endpoint=_NAME, body=body)
        assert "dedicatedResources alone" in refused
        assert len(there.endpoints()) == 1  # which a record without them would break


def test_a_split_of_what_is_gone_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """Its server would go on beside an endpoint that knows nothing of it, or be lost to one."""
    with threaded(tmp_path, **MACHINES) as there:
        there.deploy("1")
        (deployed,) = there.kept("Endpoint")[0]["deployed"]
        asked: dict[str, Any] = {"deployedModelId": deployed, "trafficSplit": {"7": 100}}
        refused = _refused(there, "endpoints.undeployModel", endpoint=_NAME, body=asked)
        assert "7, which is not deployed" in refused
        assert there.serving(1) == ["1"]
    with threaded(tmp_path, {"start": 300.0}, **MACHINES) as there:
        split = {"endpoint": _NAME, "body": {
            **_deployment(there, id="9"), "trafficSplit": {"0": 50, deployed: 50}}}  # fmt: skip
        begun = there.gcp.ask("endpoints.deployModel", "deploy", **split)
        record = there.world.store.get("Endpoint", "digits")
        assert record
        record["deployed"], record["traffic"] = {}, {}  # as another has undeployed it meanwhile
        there.world.store.save("Endpoint", record)
    with threaded(tmp_path, **MACHINES) as there:
        with pytest.raises(TrefoilError, match="which is not deployed"):
            operations.finished(there.gcp, begun, "deploy", 60.0)
        assert there.deployed() == []
        (folder,) = there.folder.glob("cloud/vertex/endpoints/digits/9/*")
        assert (folder / ENDED).exists()


def test_labels_are_patched_as_a_whole(tmp_path: Path) -> None:
    """A field called labels.team would be told that no description knows."""
    with threaded(tmp_path) as there:
        there.deploy("1")
        patched = {"displayName": "digits", "labels": {"team": "a"}}
        with pytest.raises(TrefoilError, match="whole fields alone"):
            there.gcp.ask("endpoints.patch", "do", patched, name=_NAME, updateMask="labels.team")


def test_what_vertex_numbers_itself_can_be_moved_and_undeployed(tmp_path: Path) -> None:
    """Deployed by a console or an SDK, it has an id of 19 digits."""
    with threaded(tmp_path, **MACHINES) as there:
        there.deploy("1")
        body = _deployment(there)
        del body["deployedModel"]["id"]
        asked: dict[str, Any] = {"endpoint": _NAME, "body": body}
        done = operations.done(there.gcp, "endpoints.deployModel", "deploy", 30.0, **asked)
        assert done is not None
        name = done["deployedModel"]["id"]
        assert len(name) == 19
        split = {"displayName": "digits", "trafficSplit": {name: 100}}
        there.gcp.ask("endpoints.patch", "move", split, name=_NAME, updateMask="trafficSplit")
        (other,) = set(there.kept("Endpoint")[0]["deployed"]) - {name}
        gone: dict[str, Any] = {"endpoint": _NAME, "body": {"deployedModelId": other}}
        operations.done(there.gcp, "endpoints.undeployModel", "undeploy", 30.0, **gone)
        assert there.kept("Endpoint")[0]["traffic"] == {name: 100}


def test_one_that_is_slow_to_start_keeps_no_other_from_answering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half an hour of a server that loads would be half an hour without any endpoint."""
    begun, go_on, order = threading.Event(), threading.Event(), list[str]()

    def started(_world: object, _folder: object, _version: object, at: Asked, *_: object) -> str:
        if at.deployed == "slow":
            begun.set()
            go_on.wait(10)  # until the other is there, or never is
        order.append(at.deployed)
        return at.deployed

    monkeypatch.setattr(fleet, "started", started)
    with threaded(tmp_path) as there:
        servers = fleet.Fleet(there.world)
        given: dict[str, Any] = {"asked": {}}
        slow = threading.Thread(target=servers.get, args=("digits", "slow", given, {}))
        slow.start()
        begun.wait()
        servers.get("digits", "quick", given, {})
        go_on.set()
        slow.join()
    assert order == ["quick", "slow"]
