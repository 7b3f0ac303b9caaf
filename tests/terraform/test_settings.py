"""What terraform says of a ground, against what --settings reads: keys and types, both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra import provider as providers
from pipelines import settings
from tests.terraform.terraform import PLACES, Made, needs_terraform

pytestmark = needs_terraform

OURS = {
    "workspace", "image_tag", "images", "machine_type", "volume_gb", "disk_gb", "max_runtime",
    "spot_wait", "keep_alive", "prices", "poll",
}  # fmt: skip
"""What a person says of runs, and no ground can; and whatever begins with ``serving_``."""
EITHER = {"instance_type", "overrides"}
"""What a ground says where its clusters are made for it, and elsewhere a person."""

each_ground = pytest.mark.parametrize(
    "ground",
    [pytest.param(name, marks=pytest.mark.xdist_group(f"terraform-{name}")) for name in PLACES],
    indirect=True,
)


@each_ground
def test_the_output_is_what_settings_are_read_from(ground: Made, tmp_path: Path) -> None:
    """A key of another name is refused at the first run; one of another type breaks a request."""
    provider = providers.get(ground.place)
    written = ground.outputs["settings"]
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(written))
    read = settings.load(provider, str(file), {}, {})[1]
    assert written == {name: _as_json(getattr(read, name)) for name in written}
    left = {*provider.settings.__annotations__} - set(written)
    assert {name for name in left if not name.startswith("serving_")} <= OURS | EITHER
    assert not written.keys() & OURS


SIGNS_IN = {
    "aws": {"role_arn", "region"},
    "gcp": {"workload_identity_provider", "service_account"},
    "azure": {"client_id", "tenant_id", "subscription_id"},
}
"""What the login of each cloud takes, in .github/workflows."""


@each_ground
def test_a_workflow_finds_what_it_signs_in_with_by_one_name(ground: Made) -> None:
    """The three are set up by one page of the docs."""
    assert ground.outputs.keys() - {"policy_arns"} == {"settings", "ci"}
    found = ground.outputs["ci"]
    assert found.keys() == SIGNS_IN[ground.place]
    assert all(found.values())


@each_ground
def test_what_the_clock_starts_is_told_the_same(ground: Made, tmp_path: Path) -> None:
    """Its run would go nowhere, or anywhere else than a person's."""
    provider = providers.get(ground.place)
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(ground.outputs["settings"]))
    told = {name: value for name, value in _environment(ground).items() if "TREFOIL_" in name}
    assert settings.load(provider, None, told, {}) == settings.load(provider, str(file), {}, {})


def _environment(ground: Made) -> dict[str, str]:
    """The variables of the job that the clock starts."""
    if ground.place == "aws":
        (target,) = ground.resources["aws_scheduler_schedule.this[0]"]["target"]
        told: dict[str, str] = json.loads(target["input"])["Environment"]
        return told
    if ground.place == "azure":
        (template,) = ground.resources["azurerm_container_app_job.this[0]"]["template"]
        (container,) = template["container"]
    else:
        (outer,) = ground.resources["google_cloud_run_v2_job.this[0]"]["template"]
        (container,) = outer["template"][0]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
