"""The verbs of endpoints against the stand-in: what serves, after each, and what is left."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError, ProviderError, QuotaError
from infra.gcp.serving import left, state
from tests.infra.gcp.serving.place import (
    BUCKET,
    IMAGE,
    MACHINES,
    NUMBER,
    PARENT,
    SERVED_BY,
    Place,
    place,
    threaded,
)

pytestmark = pytest.mark.timeout(300)
_INNER: dict[str, Any] = {"serving_private_network": f"projects/{NUMBER}/global/networks/inner"}


def test_versions_canary_and_back(tmp_path: Path) -> None:
    """A version, a canary of the next, all of it, back, and the end: each is what answers."""
    with place(tmp_path, **MACHINES) as there:
        assert (there.deploy("1").state, there.serving(3)) == ("serving", ["1"] * 3)
        found = there.deploy("2", canary=20)
        assert (found.state, found.version, found.previous) == ("canary", "1, canary 2", "1")
        assert there.serving() == ["1"] * 8 + ["2"] * 2
        assert (there.deploy("2").previous, there.serving(3)) == ("1", ["2"] * 3)
        assert there.deployed() == ["vae@2"]
        assert (there.ask("rollback").version, there.serving(3)) == ("1", ["1"] * 3)
        assert there.deployed() == ["vae@1"]
        assert there.ask("stop").state == "stopped"
        assert there.deployed() == []
        (told,) = there.endpoints()
        assert (told.name, told.version, told.state) == ("digits", "1", "stopped")
        assert (there.ask("rollback").version, there.serving(3)) == ("2", ["2"] * 3)


def test_what_is_sent_of_a_version_and_of_its_canary(tmp_path: Path) -> None:
    """Each body as it was captured: an SDK dropped machines and accelerators without an error."""
    gpu: dict[str, Any] = {"serving_machine_type": "g2-standard-24", "serving_accelerator": "L4:2"}
    with threaded(tmp_path, **MACHINES, **gpu, serving_spot=True) as there:
        there.deploy("1")
        there.deploy("2", canary=10)
        first, second = there.sent("models.upload")
        assert (first["modelId"], second["parentModel"]) == ("vae", f"{PARENT}/models/vae")
        assert [each["model"]["versionAliases"] for each in (first, second)] == [["v1"], ["v2"]]
        spec = second["model"]["containerSpec"]
        assert (spec["imageUri"], spec["predictRoute"], spec["healthRoute"], spec["ports"]) == (
            IMAGE, "/predict", "/health", [{"containerPort": 8080}],
        )  # fmt: skip
        assert second["model"]["artifactUri"].startswith(f"gs://{BUCKET}/trefoil/models/")
        one, two = (each["deployedModel"] for each in there.sent("endpoints.deployModel"))
        assert two["model"] == f"{PARENT}/models/vae@2"
        assert two["serviceAccount"] == SERVED_BY
        resources = two["dedicatedResources"]
        assert resources["machineSpec"] == {
            "machineType": "g2-standard-24", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 2,
        }  # fmt: skip
        assert (resources["spot"], resources["maxReplicaCount"]) == (True, 3)
        targets = [each["target"] for each in resources["autoscalingMetricSpecs"]]
        assert targets == [300, 60]
        splits = [each["trafficSplit"] for each in there.sent("endpoints.patch")]
        assert splits == [{one["id"]: 100}, {one["id"]: 90, two["id"]: 10}]


def test_the_same_version_again_changes_nothing(tmp_path: Path) -> None:
    """A run that is repeated deploys once more: no second machine may come of it."""
    with threaded(tmp_path, **MACHINES) as there:
        there.deploy("1")
        there.deploy("1")
        made = ("endpoints.create", "models.upload", "endpoints.deployModel", "endpoints.patch")
        assert [len(there.sent(method)) for method in made] == [1, 1, 1, 1]


def test_more_machines_are_had_without_a_new_deployment(tmp_path: Path) -> None:
    """To scale would take the endpoint's machines away for minutes; what scaled has to stop."""
    with threaded(tmp_path, **MACHINES) as there:
        there.deploy("1")
        there.environment = Place(tmp_path, there.world, serving_instances=1).environment
        there.deploy("1")
        (sent,) = there.sent("endpoints.mutateDeployedModel")
        assert sent["deployedModel"]["dedicatedResources"]["maxReplicaCount"] == 1
        ((told,),) = (each["deployed"].values() for each in there.kept("Endpoint"))
        resources = told["asked"]["dedicatedResources"]
        assert resources["maxReplicaCount"] == 1
        assert "autoscalingMetricSpecs" not in resources
        assert len(there.sent("endpoints.deployModel")) == 1


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ({"ill": True}, "Model server exited unexpectedly.*these weights are of another model"),
        ({"sick": True}, "Model server never became ready"),
        ({"broken": True}, "these weights are broken"),
    ],
)
def test_a_version_that_does_not_serve_is_taken_back(
    tmp_path: Path, card: dict[str, Any], words: str
) -> None:
    """The old version answers all the time, and the new one leaves nothing that costs money."""
    with threaded(tmp_path, {"startup": 1}, **MACHINES) as there:
        there.deploy("1")
        with pytest.raises(ProviderError) as caught:
            there.deploy("2", **card)
        assert re.search(words, str(caught.value), re.DOTALL)
        assert "version 1 still serves" in str(caught.value)
        assert there.serving(3) == ["1"] * 3
        assert there.deployed() == ["vae@1"]
        assert [each["name"] for each in there.kept("ModelVersion")] == ["vae@1"]
        (told,) = there.endpoints()
        assert (told.version, told.previous, told.message) == ("1", None, "")


def test_a_first_version_that_does_not_serve_leaves_nothing(tmp_path: Path) -> None:
    """An endpoint that never served would be listed for good."""
    with threaded(tmp_path) as there:
        with pytest.raises(ProviderError, match="Vertex AI did not deploy"):
            there.deploy("1", ill=True)
        assert there.kept("Endpoint") == there.kept("ModelVersion") == []
        for verb in ("rollback", "stop"):
            with pytest.raises(InputError, match="was never deployed"):
                there.ask(verb)


def test_a_quota_is_told_in_the_words_that_name_it(tmp_path: Path) -> None:
    """Whoever asks for more has to know of what; the endpoint serves on."""
    with threaded(tmp_path, {"limits": {"n1-standard-2": 1}}, **MACHINES) as there:
        there.deploy("1")
        with pytest.raises(QuotaError, match="custom_model_serving_cpus") as caught:
            there.deploy("2")
        assert "version 1 still serves" in str(caught.value)
        assert there.serving(2) == ["1"] * 2


def test_the_champion_is_the_version_that_gets_all_requests(tmp_path: Path) -> None:
    """A canary is on trial: whoever takes the default version must not get it."""
    with threaded(tmp_path, **MACHINES) as there:
        there.deploy("1")
        there.deploy("2", canary=10)
        assert _aliases(there) == [["champion", "default", "v1"], ["v2"]]
        there.deploy("2")
        assert _aliases(there) == [["v1"], ["champion", "default", "v2"]]
        there.ask("rollback")
        assert _aliases(there) == [["champion", "default", "v1"], ["v2"]]


def test_a_canary_that_was_ended_is_no_version_to_come_back_to(tmp_path: Path) -> None:
    """A rollback after it would come back to what serves anyway, or to what was on trial."""
    with threaded(tmp_path, **MACHINES) as there:
        there.deploy("1")
        there.deploy("2")
        there.deploy("3", canary=10)
        assert (there.ask("rollback").version, there.deployed()) == ("2", ["vae@2"])
        found = there.ask("rollback")
        assert (found.version, found.previous, there.serving(2)) == ("1", "2", ["1"] * 2)


def test_an_endpoint_in_a_network_of_yours_has_one_version_at_a_time(tmp_path: Path) -> None:
    """Vertex AI deploys no second one there: the first makes room, and comes back."""
    with threaded(tmp_path, **_INNER) as there:
        there.deploy("1")
        with pytest.raises(ProviderError, match="did not deploy"):
            there.deploy("2", ill=True)
        assert there.deployed() == ["vae@1"]
        assert there.deploy("2").version == "2"
        assert there.deployed() == ["vae@3"]  # the number of the ill one is gone
        assert there.sent("endpoints.create")[0]["network"] == _INNER["serving_private_network"]
        assert there.sent("endpoints.predict") == []
        assert all("trafficSplit" not in each for each in there.sent("endpoints.patch"))


def test_another_s_endpoint_is_left_alone(tmp_path: Path) -> None:
    """It would lose its traffic to a model of ours."""
    with threaded(tmp_path) as there:
        body = {"displayName": "theirs"}
        asked = {"parent": PARENT, "endpointId": "digits"}
        there.gcp.ask("endpoints.create", "make one", body, **asked)
        with pytest.raises(InputError, match="that Trefoil did not make"):
            there.deploy("1")
        assert there.endpoints() == []
        assert there.kept("ModelVersion") == []


def test_a_lost_answer_makes_nothing_twice(tmp_path: Path) -> None:
    """The connection breaks after Vertex AI has begun: it is looked at, and not begun again."""
    host = {"host": "europe-west4-aiplatform"}
    lost = [
        {**host, "path": path}
        for path in (":upload$", ":deployModel$", "/endpoints$", ":undeployModel$")
    ]
    lost.append({**host, "method": "PATCH", "path": "/endpoints/"})
    with threaded(tmp_path, {"faults": lost}, **MACHINES) as there:
        there.deploy("1")
        there.deploy("2")
        assert there.serving(2) == ["2"] * 2
        assert there.deployed() == ["vae@2"]
        assert [each["name"] for each in there.kept("ModelVersion")] == ["vae@1", "vae@2"]
        assert [*left.left(there.gcp)] == []


def test_a_rollback_whose_answer_is_lost_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made again of what it left, it would bring the bad version back."""
    move = state.move

    def again(*given: Any) -> bool:  # as whoever repeats a call does, with the etag of before
        move(*given)
        return move(*given)

    with threaded(tmp_path, {}, **MACHINES) as there:
        there.deploy("1")
        there.deploy("2")
        monkeypatch.setattr(state, "move", again)
        assert there.ask("rollback").version == "1"
        assert there.serving(2) == ["1"] * 2


def _aliases(there: Place) -> list[list[str]]:
    return [sorted(each["aliases"]) for each in there.kept("ModelVersion")]
