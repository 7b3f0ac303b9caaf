"""What a run cannot do without is looked at before it is sent, and what is missing is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import InputError
from infra.gcp import client, preflight
from infra.plan import Plan
from tests.infra.gcp.lowering import generative, lowered
from tests.infra.gcp.running import gcp


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
