"""The verbs of endpoints against the stand-in: what serves, after each, and what is left."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from infra.azure import endpoint
from infra.azure.arm import Arm
from infra.azure.serving import left
from infra.errors import InputError, ProviderError, QuotaError
from tests.infra.azure.serving.placed import place

pytestmark = pytest.mark.timeout(180)
_KINDS = ("onlineEndpoints", "deployments")


def test_versions_canary_and_back(tmp_path: Path) -> None:
    """A version, a canary of the next, all of it, back, and the end: each is what answers."""
    with place(tmp_path) as there:
        found = there.deploy("1")
        assert (found.state, there.answers(3)) == ("serving", ["1"] * 3)
        assert found.url == "https://digits.westeurope.inference.ml.azure.com/score"
        found = there.deploy("2", canary=20)
        assert (found.state, found.version, found.previous) == ("canary", "1, canary 2", "1")
        assert there.answers() == ["1"] * 8 + ["2"] * 2
        assert (there.deploy("2").previous, there.answers(3)) == ("1", ["2"] * 3)
        moved = len(there.sent("PUT", "onlineEndpoints/deployments"))
        assert (there.ask("rollback").version, there.answers(3)) == ("1", ["1"] * 3)
        assert len(there.sent("PUT", "onlineEndpoints/deployments")) == moved == 2
        assert there.ask("stop").state == "stopped"
        assert there.kept("deployments") == []
        assert [(each.name, each.version, each.state) for each in there.told()] == [
            ("digits", "1", "stopped")
        ]


def test_the_traffic_and_what_is_remembered_of_it_move_in_one_request(tmp_path: Path) -> None:
    """Between two requests a killed deployer would leave an endpoint that lies of itself."""
    with place(tmp_path) as there:
        there.deploy("1")
        there.deploy("2")
        made, first, second = there.sent("PUT", "onlineEndpoints")
        one, two = there.sent("PUT", "onlineEndpoints/deployments")
        names = [re.escape(f"v{each['tags']['trefoil.version']}-") for each in (one, two)]
        assert made["properties"]["traffic"] == {}
        assert list(first["properties"]["traffic"].values()) == [100]
        (main,) = second["properties"]["traffic"]
        assert re.match(names[1], main)
        assert second["tags"]["trefoil.main"] == main
        assert re.match(names[0], second["tags"]["trefoil.previous"])


def test_a_canary_that_is_given_up_leaves_what_was_before(tmp_path: Path) -> None:
    """A rollback that came back to what serves anyway would look as if it had done something."""
    with place(tmp_path) as there:
        for version, canary in (("1", 0), ("2", 0), ("3", 10)):
            there.deploy(version, canary)
        found = there.ask("rollback")
        assert (found.version, found.state, found.previous) == ("2", "serving", "1")
        found = there.ask("rollback")
        assert (found.version, found.previous) == ("1", "2")
        assert there.answers(2) == ["1", "1"]


def test_a_canary_that_gets_copies_alone(tmp_path: Path) -> None:
    """The answers that people get stay those of the version they trust."""
    with place(tmp_path, mirror=True) as there:
        there.deploy("1")
        found = there.deploy("2", canary=50)
        assert (found.state, found.version) == ("canary", "1, canary 2")
        assert there.answers(4) == ["1"] * 4
    (log,) = (tmp_path / "cloud/azureml/endpoints/digits").glob("v2-*/i-*/log")
    asked = [line for line in log.read_text().splitlines() if line.startswith("asked")]
    assert len([line for line in asked if '"operation"' not in line]) == 2


def test_the_same_version_again_changes_nothing(tmp_path: Path) -> None:
    """A run that is repeated deploys once more: no second machine may come of it."""
    with place(tmp_path) as there:
        there.deploy("1", run="run-1")
        there.deploy("1", run="run-2")
        sent = [len(there.sent("PUT", kind)) for kind in (
            "models/versions", "environments/versions", "onlineEndpoints/deployments",
            "onlineEndpoints",
        )]  # fmt: skip
        assert sent == [1, 1, 1, 2]


def test_what_no_rollback_reaches_is_deleted(tmp_path: Path) -> None:
    """Each version keeps machines; all that ever served would be paid for."""
    with place(tmp_path) as there:
        for version in ("1", "2", "3"):
            there.deploy(version)
        found = there.ask("rollback")
        assert (found.version, found.previous) == ("2", "3")
        names = {each["request"]["tags"]["trefoil.version"] for each in there.kept("deployments")}
        assert names == {"2", "3"}


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ({"ill": True}, "User container has crashed.*printed last.*these weights are of another"),
        ({"broken": True}, "424.*the server printed last.*asked"),
    ],
)
def test_a_version_that_does_not_serve_is_taken_back(
    tmp_path: Path, card: dict[str, Any], words: str
) -> None:
    """The old version answers all the time, and the new one leaves nothing that costs money."""
    with place(tmp_path) as there:
        there.deploy("1")
        with pytest.raises(ProviderError) as caught:
            there.deploy("2", **card)
        assert re.search(words, str(caught.value), re.DOTALL)
        assert re.search("what fetches the model printed last:\n.*Downloaded", str(caught.value),
                         re.DOTALL)  # fmt: skip
        assert "version 1 still serves" in str(caught.value)
        assert there.answers(3) == ["1"] * 3
        assert len(there.kept("deployments")) == 1


def test_a_first_version_that_does_not_serve_leaves_nothing(tmp_path: Path) -> None:
    """An endpoint that nobody asks would keep its name from everyone in the region."""
    with place(tmp_path) as there:
        with pytest.raises(ProviderError, match="did not get the new version to serve"):
            there.deploy("1", ill=True)
        assert [there.kept(kind) for kind in _KINDS] == [[], []]
        with pytest.raises(InputError, match="was never deployed"):
            there.ask("rollback")


def test_no_quota_for_a_machine_leaves_nothing(tmp_path: Path) -> None:
    """The commonest refusal of all, in one sentence that says where to ask for more."""
    with place(tmp_path, {"limits": {"*": 0}}) as there:
        with pytest.raises(QuotaError, match="Not enough quota available for Standard_DS3_v2"):
            there.deploy("1")
        assert [there.kept(kind) for kind in _KINDS] == [[], []]


def test_an_answer_that_is_lost_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was begun goes on, and the same request again is refused while it does."""
    monkeypatch.setattr(endpoint, "_PAUSE", 0.0)
    lost = {"host": "^management", "method": "PUT", "path": "/onlineEndpoints/", "times": 3}
    late = {"host": "inference", "status": 503}
    with place(tmp_path, {"faults": [lost, late], "start": 0.5}) as there:
        assert there.deploy("1").state == "serving"
        assert there.answers(2) == ["1", "1"]
        assert [len(there.kept(kind)) for kind in _KINDS] == [1, 1]


def test_an_image_that_nobody_pushed_is_named(tmp_path: Path) -> None:
    """There is no log to look at where nothing ever ran."""
    with place(tmp_path, {"missing_images": "little"}) as there:
        with pytest.raises(ProviderError, match=r"Failed to pull the image .*azurecr\.io/little"):
            there.deploy("1")
        assert [there.kept(kind) for kind in _KINDS] == [[], []]


def test_files_that_somebody_removed_are_put_there_again(tmp_path: Path) -> None:
    """The registry still has the version, and Azure would find nothing behind it."""
    with place(tmp_path) as there:
        there.deploy("1")
        there.ask("stop")
        for file in (tmp_path / "cloud/blobs/trefoil").glob("*"):
            file.unlink()
    with place(tmp_path) as there:
        assert there.deploy("1").state == "serving"
        assert there.answers(1) == ["1"]


def test_what_was_stopped_serves_again_at_its_address(tmp_path: Path) -> None:
    """Whoever knows the address need not learn another."""
    with place(tmp_path) as there:
        url = there.deploy("1").url
        there.ask("stop")
        with pytest.raises(InputError, match="no earlier version"):
            there.ask("rollback")
        found = there.deploy("2", canary=10)
        assert (found.url, found.version, found.state) == (url, "2", "serving")
        assert there.answers(2) == ["2", "2"]


def test_what_another_made_is_left_alone(tmp_path: Path) -> None:
    """Two tools that both think an endpoint theirs would delete each other's versions."""
    with place(tmp_path) as there:
        there.deploy("1")
        file = tmp_path / "cloud/azureml/onlineEndpoints/digits.json"
        file.write_text(file.read_text().replace("trefoil.endpoint", "theirs.endpoint"))
    with place(tmp_path) as there:
        with pytest.raises(InputError, match="that Trefoil did not make"):
            there.deploy("2")
        assert there.told() == []


def test_what_a_run_left_without_requests_is_known_by_the_run(tmp_path: Path) -> None:
    """Its machines are paid for until somebody finds them."""
    with place(tmp_path) as there:
        there.deploy("1", run="run-1")
        there.deploy("2", run="run-2")
        assert list(left.unused(there.serving)) == []
        file = tmp_path / "cloud/azureml/onlineEndpoints/digits.json"
        file.write_text(file.read_text().replace("trefoil.previous", "trefoil.nothing"))
    with place(tmp_path) as there:
        ((at, found),) = left.unused(there.serving)
        assert (at.name, found.version, found.run) == ("digits", "1", "run-1")
        assert "keeps machines for v1-" in there.told()[0].message
        assert left.remove(at, found.name)
        assert not left.remove(at, found.name)
        assert there.answers(2) == ["2", "2"]


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        ("endpoint", r"Azure tells no properties\.provisioningState of the endpoint digits"),
        ("deployment", r"Azure tells no properties\.provisioningState of the deployment v1-"),
        ("tags", "that Trefoil did not make"),
    ],
)
def test_what_azure_leaves_out_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_out: str, words: str
) -> None:
    """A KeyError tells a person nothing of whose fault it is, or what to do."""
    get = Arm.get

    def less(self: Arm, path: str, *rest: Any) -> Any:
        found: Any = get(self, path, *rest)
        if left_out == "endpoint" and path.endswith("/digits"):
            del found["properties"]["provisioningState"]
        if left_out == "deployment" and path.endswith("/deployments"):
            del found["value"][0]["properties"]["provisioningState"]
        if left_out == "tags" and path.endswith("/digits"):
            del found["tags"], found["properties"]
        return found

    with place(tmp_path) as there:
        there.deploy("1")
        monkeypatch.setattr(Arm, "get", less)
        with pytest.raises((InputError, ProviderError), match=words):
            there.ask("rollback")
