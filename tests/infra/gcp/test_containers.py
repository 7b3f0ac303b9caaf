"""``--runner docker``: a rehearsed run finds in its containers what it would find on Vertex AI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError
from infra.gcp import PROVIDER, GcpSettings
from infra.plan import Plan, Resources, RunRef
from tests.docker import DOCKER, Docker
from tests.infra.gcp.running import document, plan_of, states

pytestmark = DOCKER
RUN = RunRef("gcp", "r-1")
IMAGE = "trefoil-inside:1"


@pytest.fixture
def plan(docker: Docker, noop_image: str, tmp_path: Path) -> Plan:
    """Two steps of one image, the second on a spot machine: a CustomJob in the pipeline."""
    docker("tag", noop_image, IMAGE)
    found = plan_of(document("inside", tmp_path / "ir"), bucket="trefoil-rehearsal")
    spot = found.step("again")._replace(resources=Resources(spot=True))
    return found._replace(steps=(found.step("look"), spot))


def test_steps_see_their_bucket_and_the_way_to_google(plan: Plan, tmp_path: Path) -> None:
    """A step that reaches a real cloud from a rehearsal is billed, one that reaches none fails."""
    settings = PROVIDER.made_up(GcpSettings(workspace=str(tmp_path), image_tag="1"), tmp_path)
    with PROVIDER.rehearse(settings, tmp_path, "plain", "docker") as reached:
        PROVIDER.submit(PROVIDER.lower(plan, reached, RUN.run_id), reached, dict)
        events = list(PROVIDER.follow(RUN, reached))
        assert states(events) == {"": "succeeded", "look": "succeeded", "again": "succeeded"}
        outputs = PROVIDER.outputs(RUN, reached)
    found: dict[str, Any] = {
        name: json.loads(Path(str(outputs[name]["found"])).read_text()) for name in outputs
    }
    for each in found.values():
        assert each["docker"]
        assert each["listed"] == "storage#objects"
        assert each["gcs"] == ["trefoil-rehearsal"]
        assert each["signed"]
    assert found["again"]["before"] == [found["look"]["at"]]


def test_an_image_that_is_not_here_is_told_before_anything_runs(plan: Plan, tmp_path: Path) -> None:
    """Docker would ask a registry for it, from a machine that is to reach nothing."""
    settings = PROVIDER.made_up(GcpSettings(workspace=str(tmp_path), image_tag="1"), tmp_path)
    settings = settings._replace(images={IMAGE: "nobodys-image:7"})
    with PROVIDER.rehearse(settings, tmp_path, "plain", "docker") as reached:
        request = PROVIDER.lower(plan, reached, RUN.run_id)
        with pytest.raises(InputError, match=r"the image nobodys-image:7 is not here"):
            PROVIDER.submit(request, reached, dict)
