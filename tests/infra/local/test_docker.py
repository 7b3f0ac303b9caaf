"""Steps in real containers do what the same steps do as processes, and leave nothing behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from infra import provider as providers
from infra.local import LocalSettings
from infra.local.rundir import RunDirectory
from infra.plan import Event, Plan, Resources, Retry, RunRef, Step
from infra.storage import tree, tree_digest
from tests.docker import DOCKER, Docker
from tests.infra.local.driven import Drive, ended, made_drive  # noqa: F401
from tests.infra.local.driving import said, states, step

pytestmark = DOCKER
IN_CONTAINERS: dict[str, Any] = {"runner": "docker", "network": "none"}


def run(workspace: Path, *steps: Step, run_id: str = "test-1", **own: Any) -> list[Event]:
    settings = LocalSettings(workspace=str(workspace), **own)
    place = providers.get("local")
    request = place.lower(Plan("test", steps), settings, run_id)
    return list(place.follow(place.submit(request, settings, dict), settings))


def digests(workspace: Path, steps: list[Step]) -> dict[str, str]:
    found = {}
    for each in steps:
        entry = RunDirectory(workspace, "test-1").step(each.name).entry()
        assert entry is not None
        found.update({name: tree_digest(tree(entry.output(name))) for name in each.artifacts})
    return found


def left_running(docker: Docker, workspace: Path) -> list[str]:
    """The steps of a workspace that have a container, running or not."""
    labels = docker("ps", "--all", "--format", '{{.Label "trefoil.step"}}').splitlines()
    return [label for label in labels if label.startswith(str(workspace))]


def waiting(place: Path) -> str:
    """A script that says where it is and saves itself when it is asked to end."""
    return (
        "import signal; here = os.environ['TREFOIL_CHECKPOINTS']; os.makedirs(here, exist_ok=True);"
        "save = lambda *_: (open(here + '/saved', 'w').close(), sys.exit(143)); "
        "signal.signal(signal.SIGTERM, save); open(here + '/ready', 'w').close(); time.sleep(60)"
    )


def checkpoint(workspace: Path, name: str, file: str) -> bool:
    return any(RunDirectory(workspace, "test-1").step(name).root.glob(f"checkpoints/*/{file}"))


def test_the_same_artefacts_as_by_processes(
    docker: Docker, noop_image: str, tmp_path: Path
) -> None:
    """A person moves a pipeline into containers; the results must not move."""
    deep = "os.makedirs(place['d'] + '/a/b'); open(place['d'] + '/a/b/c', 'w').write('deep')"
    use = "open(place['o'], 'w').write(open(place['d'] + '/a/b/c').read() * 2)"
    steps = [
        step("make", deep, makes=["d"], image=noop_image),
        step("use", use, takes={"d": "make.d"}, makes=["o"], image=noop_image),
    ]
    assert states(run(tmp_path / "p", *steps))[""] == "succeeded"
    assert states(run(tmp_path / "c", *steps, **IN_CONTAINERS))[""] == "succeeded"
    assert digests(tmp_path / "c", steps) == digests(tmp_path / "p", steps)
    again = run(tmp_path / "c", *steps, run_id="test-2", **IN_CONTAINERS)
    assert states(again) == {"": "succeeded", "make": "cached", "use": "cached"}
    files = [file for file in (tmp_path / "c").rglob("*") if not file.is_symlink()]
    assert {file.stat().st_uid for file in files} == {os.getuid()}
    assert not left_running(docker, tmp_path)


def test_a_step_cannot_touch_its_inputs_or_the_network(
    docker: Docker, noop_image: str, tmp_path: Path
) -> None:
    """An input is another step's output, and in the cache: changed, it would poison later runs."""
    script = (
        "import socket\n"
        "try: open(place['i'], 'w')\n"
        "except OSError as error: said = type(error).__name__ + str(error.errno)\n"
        "names = sorted(name for _, name in socket.if_nameindex())\n"
        "open(place['o'], 'w').write(said + ' ' + ','.join(names))"
    )
    steps = [
        step("make", makes=["i"], image=noop_image),
        step("touch", script, takes={"i": "make.i"}, makes=["o"], image=noop_image),
    ]
    run(tmp_path, *steps, **IN_CONTAINERS)
    entry = RunDirectory(tmp_path, "test-1").step("touch").entry()
    assert entry is not None
    assert entry.output("o").read_text() == "OSError30 lo"


def test_a_failure_shows_its_last_lines_and_is_tried_again(
    docker: Docker, noop_image: str, tmp_path: Path
) -> None:
    script = "print('attempt', os.environ['TREFOIL_ATTEMPT']); sys.exit(5)"
    events = run(tmp_path, step("bad", script, retry=Retry(1), image=noop_image), **IN_CONTAINERS)
    assert "bad ended with exit code 5" in said(events, "bad")
    assert "attempt 2" in said(events, "bad")
    assert not left_running(docker, tmp_path)


def test_past_its_timeout_the_container_is_ended(
    docker: Docker, noop_image: str, tmp_path: Path
) -> None:
    slow = step("slow", "time.sleep(60)", timeout=1.0, image=noop_image)
    assert "timeout of 1 s" in said(run(tmp_path, slow, **IN_CONTAINERS), "slow")
    assert not left_running(docker, tmp_path)


def test_out_of_memory_is_said_in_words(docker: Docker, noop_image: str, tmp_path: Path) -> None:
    """137 alone sends people looking for a bug in their code."""
    hungry = step(
        "hungry", "x = bytearray(400_000_000)", resources=Resources(memory_gb=0.05),
        image=noop_image,
    )  # fmt: skip
    events = run(tmp_path, hungry, **IN_CONTAINERS)
    assert said(events, "hungry").startswith(
        "hungry ran out of memory (exit code 137): it needed more than its limit of 0.05 GB"
    )


def test_a_program_that_the_image_lacks_is_named(
    docker: Docker, noop_image: str, tmp_path: Path
) -> None:
    one = step("one", makes=["o"], image=noop_image)
    argv = ((one.argv[0][0]._replace(text="nvcc"),), *one.argv[1:])
    events = run(tmp_path, one._replace(argv=argv), **IN_CONTAINERS)
    assert said(events, "one").startswith("one was not started: the image")
    assert "has no program nvcc" in said(events, "one")
    assert not left_running(docker, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_step_save_itself(
    docker: Docker, noop_image: str, tmp_path: Path, drive: Drive, number: signal.Signals
) -> None:
    driven = drive([{"name": "train", "script": waiting(tmp_path), "image": noop_image}],
                   **IN_CONTAINERS)  # fmt: skip
    driven.wait_for(lambda: checkpoint(tmp_path / "w", "train", "ready"))
    driven.end(number)
    assert driven.states() == {"": "cancelled", "train": "cancelled"}
    assert checkpoint(tmp_path / "w", "train", "saved")
    assert not left_running(docker, tmp_path)


@pytest.mark.parametrize("client_too", [False, True])
def test_a_container_that_outlives_its_run_is_ended_by_the_next(
    docker: Docker, noop_image: str, tmp_path: Path, drive: Drive, client_too: bool
) -> None:
    """kill -9 of the driver, or of the docker client as well: two trainings must never overlap."""
    steps = [{"name": "train", "script": waiting(tmp_path), "image": noop_image}]
    driven = drive(steps, **IN_CONTAINERS)
    driven.wait_for(lambda: checkpoint(tmp_path / "w", "train", "ready"))
    client = int(RunDirectory(tmp_path / "w", "test-1").step("train").alive.read_text())
    (before,) = left_running(docker, tmp_path)
    driven.end(signal.SIGKILL)
    driven.process.wait()
    if client_too:
        os.kill(client, signal.SIGKILL)
    assert left_running(docker, tmp_path) == [before]
    place, own = (
        providers.get("local"),
        LocalSettings(str(tmp_path / "w"), grace=5.0, runner="docker"),
    )
    assert place.cancel(RunRef("local", "test-1"), own)
    assert not left_running(docker, tmp_path)
    assert ended(client)
    assert not place.cancel(RunRef("local", "test-1"), own)
