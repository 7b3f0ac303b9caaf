"""``--runner docker``: what is rehearsed of Azure runs in containers, by the same contract."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from infra.azure import client
from infra.errors import ProviderError
from infra.images.record import Built, remember
from infra.plan import Plan, Step
from tests.docker import DOCKER, Docker
from tests.infra.azure.running import RUN, Stood, azure, document, plan_of, states
from tests.infra.azure.serving.placed import SERVER, place
from tests.infra.cloud.containing import left_running, words

pytestmark = DOCKER
_TELLS = """
import os, pathlib, sys
print(pathlib.Path('/.dockerenv').exists(), os.getuid(), os.environ['AZUREML_RUN_ID'], flush=True)
pathlib.Path(sys.argv[1]).write_text('left')
"""


@pytest.fixture
def image(base_image: str) -> str:
    """What the steps of the tests run in: a Python, a shell, and nothing of ours."""
    return base_image


def test_a_step_is_in_a_container_and_what_it_leaves_is_ours(
    docker: Docker, image: str, tmp_path: Path
) -> None:
    """A folder that root owns could not be removed; a process would prove nothing of the image."""
    step = Step("only", image, words(_TELLS), artifacts={"out": "system.Artifact"})
    with azure(tmp_path, runner="docker") as stood:
        assert stood.ran(Plan("small", (step,)))[-1].state == "succeeded"
        (line,) = client.logs(RUN, stood.settings, "only", follow=False)
        assert line.text == f"True {tmp_path.stat().st_uid} r-1-only"
        out = client.outputs(RUN, stood.settings)["only"]["out"]
        assert Path(str(out)).read_text() == "left"
    assert left_running(docker, tmp_path) == []


def test_a_pipeline_in_containers_ends_as_one_of_processes(
    docker: Docker, image: str, tmp_path: Path
) -> None:
    """Gates, retries, the exit handler, and what one step takes of another."""
    plan = plan_of(document("stages", tmp_path / "ir"))
    plan = plan._replace(steps=tuple(step._replace(image=image) for step in plan.steps))
    with azure(tmp_path, runner="docker") as stood:
        found = states(stood.ran(plan))
        assert found == dict.fromkeys(
            ("", "make", "judge", "unsteady", "end", "use", "last"), "succeeded"
        )
        out = client.outputs(RUN, stood.settings)["use"]["out"]
        assert Path(str(out)).read_text() == "abc!"
    assert left_running(docker, tmp_path) == []


def test_a_cancelled_run_leaves_no_container(docker: Docker, image: str, tmp_path: Path) -> None:
    """It would go on behind a rehearsal that is over."""
    plan = plan_of(document("stages", tmp_path / "ir"), how="wait")
    steps = [step._replace(image=image) for step in plan.steps if step.name in ("unsteady", "end")]
    with azure(tmp_path, runner="docker") as stood:
        run = stood.submitted(plan._replace(steps=tuple(steps)))
        _until_it_waits(stood)
        assert client.cancel(run, stood.settings)
        assert list(client.follow(run, stood.settings))[-1].state == "cancelled"
    assert left_running(docker, tmp_path) == []


def _until_it_waits(stood: Stood) -> None:
    while "waiting" not in [e.text for e in client.logs(RUN, stood.settings, "end", False)]:
        time.sleep(0.1)


def test_an_image_that_was_built_in_the_workspace_of_the_rehearsal_is_found(
    docker: Docker, image: str, tmp_path: Path
) -> None:
    """`image build` notes it at home; a rehearsal lies in a folder within that."""
    identity = docker("image", "inspect", "--format", "{{.Id}}", image)
    remember(tmp_path, Built("trefoil-mine", identity, "1", "abc", 1.0))
    step = Step("only", "example.azurecr.io/trefoil-mine:1", words("print('found')"))
    with azure(tmp_path / "rehearsal/azure/azure", runner="docker") as stood:
        assert stood.ran(Plan("small", (step,)))[-1].state == "succeeded"


@pytest.fixture
def little(docker: Docker, base_image: str) -> None:
    """The image of a server that says what it was asked."""
    if "bridge" not in docker("network", "ls", "--format", "{{.Driver}}").split():
        pytest.skip("this Docker daemon has no bridge network, by which servers are reached")
    command = json.dumps(["python3", "-c", SERVER])
    text = f"FROM {base_image}\nENV TREFOIL_HOST=0.0.0.0 TREFOIL_PORT=8080\nCMD {command}\n"
    docker("build", "--quiet", "--tag", "little", "-", given=text)


@pytest.mark.usefixtures("little")
def test_endpoints_are_served_by_containers(docker: Docker, tmp_path: Path) -> None:
    """The model is where Azure mounts it, the port is the image's own, and nothing is left."""
    with place(tmp_path, runner="docker") as there:
        there.deploy("1")
        assert there.deploy("2", canary=50).state == "canary"
        assert there.answers(4) == ["1", "1", "2", "2"]
        assert len(left_running(docker, tmp_path)) == 2
        with pytest.raises(ProviderError, match="these weights are of another model"):
            there.deploy("3", ill=True)
        assert there.ask("rollback").version == "1"
    assert left_running(docker, tmp_path) == []
