"""terraform/modules/gcp: who may do what there. The provider is made up, what is asked is not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import infra.gcp
from infra.gcp import GcpSettings
from infra.gcp.jobs import LAUNCHER
from infra.plan import Request
from infra.provider import Provider
from pipelines import settings
from tests.infra.gcp.lowering import containers, custom_job, generative, lowered, wrong
from tests.terraform.terraform import Made, needs_terraform

pytestmark = [
    needs_terraform,
    pytest.mark.xdist_group("terraform-gcp"),
    pytest.mark.parametrize("ground", ["gcp"], indirect=True),
]

PEOPLE = "group:ml@example.com"
LAUNCHERS = {PEOPLE, "ci", "scheduled"}
JOBS = {"pipeline", "train", "deploy"}
GCP = Path(infra.gcp.__file__).parent
KINDS = {"batchPredictionJobs", "customJobs", "endpoints", "models", "pipelineJobs"}
NAMED = {
    "endpoints.deployModel": "endpoints.deploy", "endpoints.undeployModel": "endpoints.undeploy",
    "endpoints.mutateDeployedModel": "endpoints.update", "endpoints.patch": "endpoints.update",
    "endpoints.rawPredict": "endpoints.predict", "models.deleteVersion": "models.delete",
    "models.listVersions": "models.list", "models.mergeVersionAliases": "models.update",
    "models.patch": "models.update",
}  # fmt: skip
"""The rights that are not called like what they are asked for."""


def test_an_account_is_used_by_whom_its_jobs_are_started(ground: Made) -> None:
    """Whoever can use any account of the project has all of its rights."""
    assert _grants(ground, "google_service_account_iam_member", "service_account_id", "name") == {
        "train": {("roles/iam.serviceAccountUser", who) for who in LAUNCHERS | {"pipeline"}},
        "deploy": {("roles/iam.serviceAccountUser", who) for who in LAUNCHERS | {"pipeline"}},
        "pipeline": {("roles/iam.serviceAccountUser", who) for who in LAUNCHERS},
        "serving": {("roles/iam.serviceAccountUser", who) for who in LAUNCHERS | {"deploy"}},
        "ci": {("roles/iam.workloadIdentityUser", _subject(ground))},
    }


def test_of_the_whole_project_there_are_own_roles_alone(ground: Made) -> None:
    """A role of Google's over the project reaches what this ground has not made."""
    roles = ground.of("google_project_iam_custom_role")
    names = {each["name"]: each["role_id"] for each in roles.values()}
    found: dict[str, set[str]] = {}
    for each in ground.of("google_project_iam_member").values():
        role = names.get(each["role"], each["role"])
        found.setdefault(role, set()).add(_who(ground, each["member"]))
    assert found == {
        "trefoil.launch": LAUNCHERS,
        "trefoil.endpoints": LAUNCHERS | {"deploy"},
        "trefoil.pipeline": {"pipeline"},
        "roles/logging.logWriter": JOBS | {"serving"},
    }


def test_a_training_has_no_right_in_vertex_ai(ground: Made) -> None:
    """Its code could start machines, or delete what is served."""
    roles = ground.of("google_project_iam_custom_role").values()
    given = {
        each["role"]
        for each in ground.of("google_project_iam_member").values()
        if _who(ground, each["member"]) == "train"
    }
    assert not given & {each["name"] for each in roles}
    assert all("*" not in right for each in roles for right in each["permissions"])


def test_objects_are_written_under_the_prefix(ground: Made) -> None:
    """A run could write over what another ground, or a person, keeps in the bucket."""
    found: dict[str, set[str]] = {}
    for each in ground.of("google_storage_bucket_iam_member").values():
        assert each["bucket"] == ground.outputs["settings"]["bucket"]
        found.setdefault(each["role"], set()).add(_who(ground, each["member"]))
        if each["role"].startswith("roles/storage.object"):
            (condition,) = each["condition"]
            under = "projects/_/buckets/trefoil-my-models-123456/objects/trefoil/"
            assert condition["expression"] == f'resource.name.startsWith("{under}")'
    assert found == {
        "roles/storage.objectUser": LAUNCHERS | JOBS,
        "roles/storage.objectViewer": {"serving"},
        "roles/storage.legacyBucketReader": LAUNCHERS | JOBS | {"serving"},
    }


def test_images_are_pushed_by_whom_they_are_built(ground: Made) -> None:
    """A job that can push an image runs as whoever pulls it next."""
    found: dict[str, set[str]] = {}
    for each in ground.of("google_artifact_registry_repository_iam_member").values():
        found.setdefault(each["role"], set()).add(_who(ground, each["member"]))
    assert found == {
        "roles/artifactregistry.reader": LAUNCHERS | JOBS | {"serving"},
        "roles/artifactregistry.writer": {PEOPLE, "ci"},
    }


def test_a_pipeline_of_these_settings_may_do_what_it_is_asked(ground: Made, tmp_path: Path) -> None:
    """Google would refuse it after the first steps, by the name of an account."""
    read = _settings(ground, tmp_path)
    request = lowered(generative(), read._replace(image_tag="0123456789ab"))
    assert wrong(request) == []
    body: Any = request.body
    assert body["pipeline"]["job"]["serviceAccount"] == read.service_account
    jobs = _custom_jobs(request)
    assert set(jobs) == {"train", "deploy"}
    passed = _grants(ground, "google_service_account_iam_member", "service_account_id", "name")
    for name, job in jobs.items():
        account = job["jobSpec"]["serviceAccount"].partition("@")[0].removeprefix("trefoil-")
        assert account == name
        assert ("roles/iam.serviceAccountUser", "pipeline") in passed[account]


def test_people_may_do_what_the_verbs_ask(ground: Made) -> None:
    """A command of ours would be refused to whoever has our own roles."""
    roles = ground.of("google_project_iam_custom_role")
    given = {*roles["launch"]["permissions"], *roles["endpoints"]["permissions"]}
    code = [file for file in GCP.rglob("*.py") if "emulator" not in file.parts]
    text = "\n".join(file.read_text(encoding="utf-8") for file in code)
    asked = {
        NAMED.get(call, call)
        for call in re.findall(r'"(\w+\.[a-z]\w+)"', text)
        if call.partition(".")[0] in KINDS
    }
    assert len(asked) > 12
    assert {f"aiplatform.{right}" for right in asked} - given == set()


def _settings(ground: Made, place: Path) -> GcpSettings:
    file = place / "gcp.json"
    file.write_text(json.dumps(ground.outputs["settings"]))
    found: GcpSettings = settings.load(Provider("gcp", "", GcpSettings, {}), str(file), {}, {})[1]
    return found


def _custom_jobs(request: Request) -> dict[str, Any]:
    """The custom jobs that a pipeline starts, by their step."""
    labels = [label for label, each in containers(request).items() if each["image"] == LAUNCHER]
    return {label.removeprefix("exec-"): custom_job(request, label) for label in labels}


def _grants(ground: Made, kind: str, of: str, by: str) -> dict[str, set[tuple[str, str]]]:
    """Who has which role over each account."""
    accounts = {each[by]: _short(each) for each in ground.of("google_service_account").values()}
    found: dict[str, set[tuple[str, str]]] = {}
    for each in ground.of(kind).values():
        grant = (each["role"], _who(ground, each["member"]))
        found.setdefault(accounts[each[of]], set()).add(grant)
    return found


def _who(ground: Made, member: str) -> str:
    """An account by its short name, whoever else by what they are called."""
    accounts = ground.of("google_service_account").values()
    return next((_short(each) for each in accounts if each["member"] == member), member)


def _short(account: dict[str, Any]) -> str:
    name: str = account["account_id"]
    return name.removeprefix("trefoil-")


def _subject(ground: Made) -> str:
    pool = ground.resources["google_iam_workload_identity_pool.github[0]"]["name"]
    subject = "repo:me/my-models:environment:production"
    return f"principal://iam.googleapis.com/{pool}/subject/{subject}"
