"""``--runner docker``: what is rehearsed of SageMaker runs in containers, by the same contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.aws import client
from infra.images.record import Built, remember
from infra.plan import Plan, Resources, Step
from tests.docker import DOCKER, Docker
from tests.infra.aws.running import RUN, aws, document, plan_of, states
from tests.infra.cloud.containing import left_running, words

pytestmark = DOCKER
_TELLS = """
import os, pathlib, sys
inside = pathlib.Path('/.dockerenv').exists()
print(inside, os.getuid(), sorted(os.listdir('/opt/ml/input')), flush=True)
pathlib.Path(sys.argv[1]).write_text('left')
"""


@pytest.fixture
def image(base_image: str) -> str:
    """What the steps of the tests run in: a Python, and nothing of ours."""
    return base_image


@pytest.fixture(autouse=True)
def nothing_left(docker: Docker, tmp_path: Path) -> Iterator[None]:
    """A container that goes on behind a rehearsal that is over holds its folder."""
    yield
    assert left_running(docker, tmp_path) == []


def test_a_training_is_in_a_container_and_what_it_leaves_is_ours(
    image: str, tmp_path: Path
) -> None:
    """A folder that root owns could not be removed; a process would prove nothing of the image."""
    spot = Resources(spot=True)  # which makes it a training job
    step = Step("only", image, words(_TELLS), artifacts={"out": "system.Model"}, resources=spot)
    with aws(tmp_path, runner="docker") as stood:
        assert stood.ran(Plan("small", (step,)))[-1].state == "succeeded"
        (job,) = stood.kept("Training")
        (line,) = client.logs(RUN, stood.settings, "only", follow=False)
        assert line.text == f"True {tmp_path.stat().st_uid} ['config', 'data']"
        out = client.outputs(RUN, stood.settings)["only"]["out"]
        assert Path(str(out)).read_text() == "left"
    assert job["step"] == "only"


def test_a_pipeline_in_containers_ends_as_one_of_processes(image: str, tmp_path: Path) -> None:
    """Gates, retries, the exit handler, and what one step takes of another."""
    plan = plan_of(document("stages", tmp_path / "ir"))
    plan = plan._replace(steps=tuple(step._replace(image=image) for step in plan.steps))
    with aws(tmp_path, runner="docker") as stood:
        found = states(stood.ran(plan))
        assert found == dict.fromkeys(
            ("", "make", "judge", "unsteady", "end", "use", "last"), "succeeded"
        )
        out = client.outputs(RUN, stood.settings)["use"]["out"]
        assert Path(str(out)).read_text() == "abc!"


def test_an_image_that_was_built_in_the_workspace_of_the_rehearsal_is_found(
    docker: Docker, image: str, tmp_path: Path
) -> None:
    """`image build` notes it at home; a rehearsal lies in a folder within that."""
    identity = docker("image", "inspect", "--format", "{{.Id}}", image)
    remember(tmp_path, Built("trefoil-mine", identity, "1", "abc", 1.0))
    uri = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/trefoil-mine:1"
    with aws(tmp_path / "rehearsal/aws/aws", runner="docker") as stood:
        plan = Plan("small", (Step("only", uri, words("print('found')")),))
        assert stood.ran(plan)[-1].state == "succeeded"
