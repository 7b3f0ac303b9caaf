"""terraform/modules/gcp: who may do what there. The provider is made up, what is asked is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.terraform.terraform import Made, needs_terraform

pytestmark = [
    needs_terraform,
    pytest.mark.xdist_group("terraform-gcp"),
    pytest.mark.parametrize("ground", ["gcp"], indirect=True),
]

PEOPLE = "group:ml@example.com"
LAUNCHERS = {PEOPLE, "ci", "scheduled"}
JOBS = {"pipeline", "train", "deploy"}


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


def test_a_pipeline_of_these_settings_uses_accounts_that_it_may(ground: Made) -> None:
    """Google would refuse it after the first steps, by the name of an account."""
    written = ground.outputs["settings"]
    used = {written["service_account"], *written["step_accounts"].values()}
    accounts = ground.of("google_service_account").values()
    assert used == {each["email"] for each in accounts if _short(each) in JOBS}
    assert written["serving_service_account"] not in used


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
