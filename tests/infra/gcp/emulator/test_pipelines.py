"""PipelineJobs of the stand-in: what a later rehearsal still knows of them."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

from infra.errors import InputError
from infra.gcp import client
from infra.gcp.emulator import cloud
from infra.gcp.emulator.machine import Processes
from infra.plan import Plan, RunRef
from tests.infra.gcp.running import RUN, document, gcp, plan_of, states


class Images(Processes):
    """Machines that have every image, until they are removed."""

    gone = False

    def image(self, uri: str) -> str:
        """See Machines."""
        if self.gone:
            raise InputError(f"the image {uri} is not here")
        return uri


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> Images:
    found = Images()
    monkeypatch.setattr(cloud, "choose", mock.Mock(return_value=found))
    return found


def _plan(folder: Path, *steps: str, **given: str) -> Plan:
    found = plan_of(document("stages", folder / "ir"), **given)
    return found._replace(steps=tuple(step for step in found.steps if step.name in steps))


def test_an_old_run_is_told_whatever_became_of_its_image(tmp_path: Path, images: Images) -> None:
    """One image that was removed must not hide the logs of all runs of the project."""
    plan = _plan(tmp_path, "make", "judge")
    with gcp(tmp_path) as stood:
        stood.ran(plan)
    with gcp(tmp_path) as stood:
        stood.ran(_plan(tmp_path, "make", "judge", text="other"), "r-2")
        images.gone = True
        for run, text in ((RUN, "abc"), (RunRef("gcp", "r-2"), "other")):
            assert client.status(run, stood.settings).state == "succeeded"
            lines = [each.text for each in client.logs(run, stood.settings, "make", follow=False)]
            assert f"made {text}" in lines


def test_a_run_whose_image_is_gone_cannot_go_on(tmp_path: Path, images: Images) -> None:
    """It would keep every later rehearsal in this workspace from beginning."""
    with gcp(tmp_path) as stood:
        stood.submitted(_plan(tmp_path, "make", "end", how="wait"))
    images.gone = True
    with gcp(tmp_path) as stood:
        events = [*client.follow(RUN, stood.settings)]
    assert states(events)[""] == "failed"
    assert "is not here" in events[-1].message
