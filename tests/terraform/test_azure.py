"""terraform/modules/azure: who may do what there. The provider is made up, what is asked is not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import infra.azure
from infra.azure import AzureSettings
from infra.azure.jobs import SERVERLESS
from infra.provider import Provider
from pipelines import settings
from tests.infra.azure.lowering import generative, lowered, wrong
from tests.terraform.terraform import Made, needs_terraform

pytestmark = [
    needs_terraform,
    pytest.mark.xdist_group("terraform-azure"),
    pytest.mark.parametrize("ground", ["azure"], indirect=True),
]

PEOPLE = "89abcdef-0123-4567-89ab-cdef01234567"
LAUNCHERS = {PEOPLE, "ci", "scheduled"}
JOBS = {"train", "deploy"}
AZURE = Path(infra.azure.__file__).parent
OF_A_WORKSPACE = "Microsoft.MachineLearningServices/workspaces"
RIGHTS = {
    "compute.get": "computes/read",
    "datastores.get": "datastores/read",
    "environments.create_or_update": "environments/versions/write",
    "jobs.begin_cancel": "jobs/cancel/action",
    "jobs.create_or_update": "jobs/write",
    "jobs.list": "jobs/read",
}
"""What the SDK's calls ask for. Endpoints are asked for by address: deploy.tf has them whole."""
OF_A_WORKSPACE = "Microsoft.MachineLearningServices/workspaces"


def test_every_role_is_over_one_thing(ground: Made) -> None:
    """A role over the group or the subscription reaches what it was not meant for."""
    assert _grants(ground) == {
        ("container", "Storage Blob Data Contributor"): LAUNCHERS | JOBS,
        ("container", "Storage Blob Data Reader"): {"serving"},
        ("images", "AcrPull"): LAUNCHERS | JOBS | {"serving", "workspace"},
        ("images", "AcrPush"): {PEOPLE, "ci"},
        ("workspace", "launch"): LAUNCHERS,
        ("workspace", "endpoints"): LAUNCHERS | {"deploy"},
        ("identity train", "Managed Identity Operator"): LAUNCHERS,
        ("identity deploy", "Managed Identity Operator"): LAUNCHERS,
        ("identity serving", "Managed Identity Operator"): LAUNCHERS | {"deploy"},
        ("account", "Storage Account Contributor"): {"workspace"},
        ("account", "Storage Blob Data Contributor"): {"workspace"},
        ("vault", "Key Vault Contributor"): {"workspace"},
        ("vault", "Key Vault Secrets Officer"): {"workspace"},
        ("metrics", "Application Insights Component Contributor"): {"workspace"},
    }


def test_a_training_has_no_right_in_the_workspace(ground: Made) -> None:
    """Its code could start machines, or delete what is served."""
    having = {what for what, who in _grants(ground).items() if "train" in who}
    assert {of for of, _ in having} == {"container", "images"}


def test_own_roles_reach_no_key_and_no_compute(ground: Made) -> None:
    """A key outlives the run that read it; a cluster costs money, and has an identity."""
    for each in ground.of("azurerm_role_definition").values():
        (permissions,) = each["permissions"]
        actions = permissions["actions"]
        assert not permissions["data_actions"]
        assert all(one.startswith(f"{OF_A_WORKSPACE}/") for one in actions)
        assert not [one for one in actions if re.search("(?i)key|secret|computes/[^r]", one)]
        tails = {one.split("/", 2)[2] for one in actions if one.endswith("*")}
        assert tails <= {"onlineEndpoints/deployments/*", "experiments/runs/*"}


def test_a_cluster_has_the_identity_of_its_steps_alone(ground: Made) -> None:
    """A container can take on each identity that its machine has."""
    written = ground.outputs["settings"]
    steps = {written["compute"]: written["identity"], written["spot_compute"]: written["identity"]}
    deploy = written["overrides"]["deploy"]["compute"]
    assert _clients(ground) == {
        **{f"azureml:{name}": client for name, client in steps.items()},
        deploy: written["step_identities"]["deploy"],
    }


def test_a_pipeline_of_these_settings_may_do_what_it_is_asked(ground: Made, tmp_path: Path) -> None:
    """Azure would refuse it at each step, by the id of an identity that the cluster lacks."""
    read = _settings(ground, tmp_path)
    request = lowered(generative(), read._replace(image_tag="0123456789ab"))
    assert wrong(request) == []
    body: Any = request.body
    nodes = [*body["pipeline"]["jobs"].values(), *body["after"]]
    assert len(nodes) == 7
    having = _clients(ground) | {SERVERLESS: read.identity}
    for node in nodes:
        assert node["identity"]["client_id"] == having[node.get("compute", SERVERLESS)]
    apart = {node["compute"] for node in nodes if node["identity"]["client_id"] != read.identity}
    assert apart == {"azureml:deploy"}


def test_people_may_do_what_the_verbs_ask(ground: Made) -> None:
    """A command of ours would be refused to whoever has our own roles."""
    roles = ground.of("azurerm_role_definition")
    given = {right for each in roles.values() for right in each["permissions"][0]["actions"]}
    code = [file for file in AZURE.rglob("*.py") if "emulator" not in file.parts]
    text = "\n".join(file.read_text(encoding="utf-8") for file in code)
    asked = set(re.findall(r"\bazure\.ml\.(\w+\.\w+)", text))
    assert asked >= {"jobs.create_or_update", "jobs.begin_cancel"}
    assert {f"{OF_A_WORKSPACE}/{RIGHTS[call]}" for call in asked} - given == set()


def _settings(ground: Made, place: Path) -> AzureSettings:
    file = place / "azure.json"
    file.write_text(json.dumps(ground.outputs["settings"]))
    provider = Provider("azure", "", AzureSettings, {})
    found: AzureSettings = settings.load(provider, str(file), {}, {})[1]
    return found


def _clients(ground: Made) -> dict[str, str]:
    """The one identity of each cluster, by the cluster's name in a job."""
    identities = {each["id"]: each for each in ground.of("azurerm_user_assigned_identity").values()}
    found = {}
    for each in ground.of("azurerm_machine_learning_compute_cluster").values():
        ((one,),) = (block["identity_ids"] for block in each["identity"])
        found[f"azureml:{each['name']}"] = identities[one]["client_id"]
    return found


def _grants(ground: Made) -> dict[tuple[str, str], set[str]]:
    """Who has which role over what."""
    identities = ground.of("azurerm_user_assigned_identity")
    who = {each["principal_id"]: _key(name) for name, each in identities.items()}
    roles = {
        each["role_definition_resource_id"]: name.split(".")[0]
        for name, each in ground.of("azurerm_role_definition").items()
    }
    made = ground.resources
    scopes = {
        made["azurerm_storage_container.this"]["resource_manager_id"]: "container",
        made["azurerm_storage_account.this"]["id"]: "account",
        made["azurerm_container_registry.this"]["id"]: "images",
        made["azurerm_machine_learning_workspace.this"]["id"]: "workspace",
        made["azurerm_key_vault.this"]["id"]: "vault",
        made["azurerm_application_insights.this"]["id"]: "metrics",
        **{each["id"]: f"identity {_key(name)}" for name, each in identities.items()},
    }
    found: dict[tuple[str, str], set[str]] = {}
    for each in ground.of("azurerm_role_assignment").values():
        role = each["role_definition_name"] or roles[each["role_definition_id"]]
        principal = who.get(each["principal_id"], each["principal_id"])
        found.setdefault((scopes[each["scope"]], role), set()).add(principal)
    return found


def _key(name: str) -> str:
    return name.split('"')[1]
