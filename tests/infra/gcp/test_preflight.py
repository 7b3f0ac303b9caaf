"""What a run cannot do without is looked at before it is sent, and what is missing is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError, QuotaError
from infra.gcp import client, preflight, quotas
from infra.gcp.session import Gcp, connected
from infra.plan import Plan, Resources
from tests.infra.gcp.lowering import generative, lowered
from tests.infra.gcp.running import Stood, gcp


def _plan() -> Plan:
    plan = generative()
    return plan._replace(steps=(plan.step("prepare"),))


def test_every_image_is_looked_at_but_googles_own() -> None:
    plan = generative()
    steps = tuple(
        each._replace(resources=each.resources._replace(spot=True))
        if each.name == "train"
        else each
        for each in plan.steps
    )
    (image,) = preflight.images(lowered(plan._replace(steps=steps)).body)
    assert image.endswith("/trefoil/trefoil-trainer:0123456789ab")


def test_a_missing_image_or_bucket_sends_nothing(tmp_path: Path) -> None:
    """Else a job waits for its image, or fails once it is started."""
    with gcp(tmp_path, missing_images="trainer") as stood:
        with pytest.raises(
            InputError, match=r"image: .*trainer:0123456789ab is not there; push it"
        ):
            stood.submitted(_plan())
        elsewhere = stood.settings._replace(bucket="nobodys")
        request = stood.request(_plan())
        with pytest.raises(InputError, match="nobodys"):
            client.submit(request, elsewhere, dict)
        assert [call for call in stood.calls() if call.startswith("aiplatform")] == []


def test_the_doctor_names_each_thing(tmp_path: Path) -> None:
    with gcp(tmp_path) as stood:
        found = {check.name: check.well for check in preflight.checks(stood.settings)}
        assert found == {"identity": True, "bucket": True, "vertex": True}
        (wrong,) = preflight.checks(stood.settings._replace(service_account=""))
        assert wrong.words.startswith("gcp needs the settings service_account: set")


def _spread(**asked: Any) -> Plan:
    plan = _plan()
    only = plan.steps[0]._replace(resources=Resources(**asked))
    return plan._replace(steps=(only,))


def test_what_a_job_asks_of_quotas_is_that_of_all_its_machines() -> None:
    """Spot machines have quotas of their own, which a new project has none of."""
    body = lowered(_spread(accelerator="T4", accelerators=2, nodes=3, spot=True)).body
    assert quotas.wanted(body) == {
        "custom_model_training_preemptible_cpus": 48,
        "custom_model_training_preemptible_nvidia_t4_gpus": 6,
    }
    plan = generative()
    steps = tuple(
        each._replace(resources=Resources(accelerator="A100-80GB", accelerators=1, spot=spot))
        for each, spot in zip(plan.steps, [True, *[False] * 9], strict=False)
    )
    assert quotas.wanted(lowered(plan._replace(steps=steps)).body) == {
        "custom_model_training_preemptible_nvidia_a100_80gb_gpus": 1,
        "custom_model_training_nvidia_a100_80gb_gpus": 1,
    }
    assert quotas.wanted(lowered(plan).body) == {}


@pytest.mark.parametrize(("most", "enough"), [(5, False), (6, True), (-1, True)])
def test_a_quota_that_does_not_suffice_sends_nothing(
    tmp_path: Path, most: int, enough: bool
) -> None:
    """The pipeline would fail after everything before the training; the region's own counts."""
    plan = _spread(accelerator="T4", accelerators=2, nodes=3)
    name = "custom_model_training_nvidia_t4_gpus"
    with gcp(tmp_path, quotas={name: most}) as stood:
        if enough:
            preflight.require(_google(stood), stood.request(plan).body, stood.settings)
        else:
            with pytest.raises(
                QuotaError, match=f"quota: {name}: 5 in europe-west4, and the run needs 6; ask for"
            ):
                stood.submitted(plan)
        assert stood.sent("customJobs.create") == []
        assert [call for call in stood.calls() if call.startswith("serviceusage")] == [
            "serviceusage custom_model_training_cpus",
            f"serviceusage {name}",
        ]


def test_quotas_that_may_not_be_looked_at_stop_no_run(tmp_path: Path) -> None:
    """Whoever may start runs need not be allowed to read quotas, nor Service Usage be on."""
    denied = [{"host": "^serviceusage", "error": "PERMISSION_DENIED", "status": 403, "times": 9}]
    with gcp(tmp_path, faults=denied) as stood:
        google, body = _google(stood), stood.request(_spread(cpu=8.0)).body
        (found,) = quotas.short(google, quotas.wanted(body))
        assert found == ("quota", True, "custom_model_training_cpus, which we may not look at",
                         False)  # fmt: skip
        preflight.require(google, body, stood.settings)


def _google(stood: Stood) -> Gcp:
    return connected(stood.settings.project, stood.settings.region)
