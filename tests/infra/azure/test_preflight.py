"""What is looked at before a run is sent: each thing that is wrong is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from infra.azure import preflight
from infra.azure.session import connected
from infra.errors import InputError, QuotaError
from infra.plan import Argument, Plan, Resources, Step, Token
from infra.rehearsal.log import lines
from tests.infra.azure.lowering import SETTINGS
from tests.infra.azure.running import Stood, azure

_WORDS: tuple[Argument, ...] = ((Token("text", "true"),),)
IMAGE = "example.azurecr.io/team/a"
PLAN = Plan("small", (Step("only", "example.azurecr.io/a:1", _WORDS),))


def _changed(stood: Stood) -> list[str]:
    """The calls that changed anything."""
    return [name for name in stood.calls() if " PUT" in name]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"region": "uksouth"}, "workspace: digits-workspace is in westeurope, and the setting"),
        ({"container": "none"}, "in storage: The specified container does not exist"),
        ({"datastore": "none"}, "datastore: the workspace has no datastore none"),
        ({"ml_workspace": "none"}, "Azure does not look at the workspace none: The Resource"),
        ({"compute": "none"}, "cluster: the workspace has no cluster none"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_sent(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    """Else a person hears of it from a job that failed, minutes later."""
    with azure(tmp_path) as stood:
        wrong = stood._replace(settings=stood.settings._replace(**change))
        with pytest.raises(InputError, match=words):
            wrong.submitted(PLAN)
        assert _changed(stood) == []


def _plan(image: str, **resources: Any) -> Plan:
    step = PLAN.steps[0]._replace(image=image, resources=Resources(**resources))
    return Plan("small", (step,))


def test_an_image_is_asked_for_by_tag_or_by_digest(tmp_path: Path) -> None:
    """By the registry's own exchange of tokens, which let this one repository be pulled."""
    digest = f"sha256:{'0' * 64}"
    with azure(tmp_path) as stood:
        stood.submitted(_plan(f"{IMAGE}:1"), "r-1")
        stood.submitted(_plan(f"{IMAGE}@{digest}"), "r-2")
        asked = [e["path"] for e in lines(tmp_path / "requests.jsonl") if "/v2/" in e["path"]]
        assert asked == [f"/v2/team/a/manifests/{each}" for each in ("1", digest)]
        forms = [parse_qs(e["body"]) for e in lines(tmp_path / "requests.jsonl")
                 if e["name"] == "registry token"]  # fmt: skip
        assert {form["scope"][0] for form in forms} == {"repository:team/a:pull"}
        assert {form["service"][0] for form in forms} == {"example.azurecr.io"}
        assert stood.started() == ["r-1-only", "r-2-only"]


def test_an_image_that_is_not_there_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    """Azure would say so after minutes, when a machine has been rented."""
    with azure(tmp_path, missing_images="team/a:2") as stood:
        with pytest.raises(InputError, match=r"image: .*:2 is not there; see: .*image push"):
            stood.submitted(_plan(f"{IMAGE}:2"))
        assert _changed(stood) == []


def test_an_image_of_elsewhere_is_told_and_stops_nothing(tmp_path: Path) -> None:
    """Jobs can be able to pull what nobody here may look at."""
    elsewhere = preflight.Wanted({}, ("python:3.11-slim", "mcr.microsoft.com/a:1"))
    with azure(tmp_path) as stood:
        found = preflight._run_checks(connected(stood.settings), stood.settings, elsewhere)
        images = [check for check in found if check.name == "image"]
    assert [(check.well, check.needed) for check in images] == [(False, False), (True, False)]
    assert "python:3.11-slim is in no registry of Azure's" in images[0].words


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"*": 0}, "standardNCASv3_T4Family Cluster Dedicated vCPUs: 0, and 2 x Standard_NC4as"),
        ({"Standard_NC4as_T4_v3": 1, "*": 1000}, ""),
        ({}, ""),
    ],
)
def test_a_quota_of_gpus_is_looked_at(tmp_path: Path, limits: dict[str, int], words: str) -> None:
    """A fresh account has none; its pipeline would fail after everything before the training."""
    plan = _plan(f"{IMAGE}:1", accelerator="T4", accelerators=1, nodes=2)
    with azure(tmp_path, limits=limits) as stood:
        if words:
            with pytest.raises(QuotaError, match=f"quota: {words}.* need 8; ask for more"):
                stood.submitted(plan)
            assert _changed(stood) == []
        else:
            stood.submitted(plan)
            assert stood.started() == ["r-1-only"]


def test_spot_machines_have_a_quota_of_their_own(tmp_path: Path) -> None:
    plan = _plan(f"{IMAGE}:1", accelerator="T4", accelerators=1, spot=True)
    with azure(tmp_path, limits={"*": 0}) as stood:
        words = "quota: Total Cluster LowPriority Regional vCPUs: 0, and 1 x Standard_NC4as_T4_v3"
        with pytest.raises(QuotaError, match=words):
            stood.submitted(plan)


@pytest.mark.parametrize("at", ["azurecr", "usages"])
def test_what_may_not_be_looked_at_is_passed_over(tmp_path: Path, at: str) -> None:
    """Whoever may start runs need not be allowed to pull images, or to read quotas."""
    where = {"path": "/usages"} if at == "usages" else {"host": at}
    denied = {**where, "error": "AuthorizationFailed", "times": 9}
    plan = _plan(f"{IMAGE}:1", accelerator="T4", accelerators=1)
    with azure(tmp_path, faults=[denied]) as stood:
        stood.submitted(plan)
        assert stood.started() == ["r-1-only"]
        body: Any = stood.request(plan).body
        asked = preflight.wanted(body, stood.settings)
        assert asked.machines == {("Standard_NC4as_T4_v3", False): 1}


def test_a_cluster_of_dear_machines_is_no_spot_cluster(tmp_path: Path) -> None:
    """A person would pay five times what they meant to."""
    own = SETTINGS._replace(compute="cpus", spot_compute="spots")
    with azure(tmp_path, own) as stood:
        found = {check.words: check.well for check in preflight.checks(stood.settings)}
        assert [well for words, well in found.items() if words.startswith("spots, ")] == [True]
        swapped = stood.settings._replace(compute="spots", spot_compute="cpus")
        (bad,) = [check for check in preflight.checks(swapped) if not check.well]
        assert "cpus has no machines of low priority" in bad.words


def test_no_credentials_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with azure(tmp_path) as stood:
        for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
        (found,) = preflight.checks(stood.settings)
        assert not found.well
        assert "there are no Azure credentials" in found.words
        assert "az login" in found.words
