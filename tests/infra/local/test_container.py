"""What the container runner asks of docker, and what it makes of docker's answers.

A program that stands in for docker notes every call; test_docker.py has the real one.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from infra import provider as providers
from infra.errors import InputError, ProviderError
from infra.images import Built, record, revision
from infra.images.revision import Revision
from infra.local import LocalSettings
from infra.local.rundir import RunDirectory
from infra.plan import Event, Plan, Resources, Step
from tests.infra.local.driven import Drive, made_drive  # noqa: F401
from tests.infra.local.driving import said, states, step

ID = "sha256:" + "a" * 64


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in's folder; the program itself is first on PATH."""
    home, bin_ = tmp_path / "docker", tmp_path / "bin"
    home.mkdir()
    bin_.mkdir()
    (home / "images").write_text(f"python {ID}\n")
    (home / "state").write_text("{}")
    program = bin_ / "docker"
    script = Path(__file__).with_name("fake_docker.py")
    program.write_text(f"#!{sys.executable} -S\n" + script.read_text())
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_DOCKER", str(home))
    return home


def run(
    workspace: Path, *steps: Step, env: dict[str, str] | None = None, **own: Any
) -> list[Event]:
    settings = LocalSettings(workspace=str(workspace), runner="docker", **own)
    place = providers.get("local")
    request = place.lower(Plan("test", steps), settings, "test-1")
    return list(place.follow(place.submit(request, settings, lambda: env or {}), settings))


def calls(docker: Path, verb: str) -> list[list[str]]:
    noted = (docker / "calls.jsonl").read_text().splitlines()
    return [words for words in map(json.loads, noted) if words[0] == verb]


def option(words: list[str], name: str) -> list[str]:
    return [words[at + 1] for at, word in enumerate(words) if word == name]


def test_artefacts_travel_through_mounts(docker: Path, tmp_path: Path) -> None:
    """Inputs are read-only and by name, outputs in the step's own directory, the image by ID."""
    copy = "open(place['o'], 'w').write(open(place['i']).read() + 'y')"
    steps = [step("first", makes=["o"]), step("second", copy, takes={"i": "first.o"}, makes=["o"])]
    assert states(run(tmp_path / "w", *steps))[""] == "succeeded"
    entry = RunDirectory(tmp_path / "w", "test-1").step("second").entry()
    assert entry is not None
    assert entry.output("o").read_text() == "xy"
    second = calls(docker, "run")[1]
    assert ID in second
    assert option(second, "--pull") == ["never"]
    mounts = option(second, "--mount")
    assert any(each.endswith('"target=/trefoil/inputs/i",readonly') for each in mounts)
    assert any(each.endswith('"target=/trefoil/step"') for each in mounts)
    assert len(mounts) == 2
    assert f"o={'/trefoil/step/work/outputs/o'}" in second
    assert len(calls(docker, "rm")) == 2


def test_it_is_confined_and_its_files_are_the_persons(docker: Path, tmp_path: Path) -> None:
    run(tmp_path / "w", step("one", makes=["o"]), network="none")
    (words,) = calls(docker, "run")
    assert option(words, "--cap-drop") == ["ALL"]
    assert option(words, "--security-opt") == ["no-new-privileges"]
    assert option(words, "--user") == [f"{os.getuid()}:{os.getgid()}"]
    assert option(words, "--network") == ["none"]
    assert "--init" in words


@pytest.mark.parametrize(
    ("asked", "platforms", "flags"),
    [
        (Resources(cpu=0.5), {}, {"--cpus": "0.5"}),
        (Resources(memory_gb=4.0), {}, {"--memory": "4000000000", "--memory-swap": "4000000000"}),
        (Resources(accelerators=2, accelerator="L4"), {}, {"--gpus": "2"}),
        (Resources(), {}, {"--shm-size": "1g"}),
        (
            Resources(),
            {"kubernetes": {"emptyDirMounts": [{"mountPath": "/dev/shm", "sizeLimit": "2Gi"}]}},
            {"--shm-size": "2147483648"},
        ),
    ],
)
def test_resources_become_limits(
    docker: Path,
    tmp_path: Path,
    asked: Resources,
    platforms: dict[str, Any],
    flags: dict[str, str],
) -> None:
    run(tmp_path / "w", step("one", makes=["o"], resources=asked, platforms=platforms))
    (words,) = calls(docker, "run")
    assert {flag: option(words, flag)[0] for flag in flags} == flags


def test_values_of_the_environment_are_not_on_its_command_line(
    docker: Path, tmp_path: Path
) -> None:
    """A command line is for every user of the machine to read."""
    names = ["TOKEN", "DOCKER_PASSWORD", "HOME_TOKEN", "PATHOLOGY_KEY", "PATH"]
    script = f"open(place['o'], 'w').write(' '.join(os.environ[each] for each in {names}))"
    secrets = {name: f"s3cret-{at}" for at, name in enumerate(names[:-1])}
    one = step("one", script, makes=["o"], env={"PATH": "/image/bin"})
    run(tmp_path / "w", one, env=secrets)
    assert "s3cret" not in (docker / "calls.jsonl").read_text()
    entry = RunDirectory(tmp_path / "w", "test-1").step("one").entry()
    assert entry is not None
    assert entry.output("o").read_text() == "s3cret-0 s3cret-1 s3cret-2 s3cret-3 /image/bin"


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("https://mlflow.test", "hunter2 key own"),
        ("sqlite:////w/mlflow.db", "- - own"),
        ("", "- - own"),
    ],
)
def test_credentials_reach_the_container_that_has_a_server_to_reach(
    docker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, seen: str
) -> None:
    """A step that registers would be refused; any other has no use for them."""
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    monkeypatch.setenv("AWS_REGION", "persons")
    names = ["MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"]
    script = f"open(place['o'], 'w').write(' '.join(os.environ.get(n, '-') for n in {names}))"
    env = {"MLFLOW_TRACKING_URI": address.replace("/w/", f"{tmp_path}/w/")} if address else {}
    run(tmp_path / "w", step("one", script, makes=["o"], env={"AWS_REGION": "own"}), env=env)
    entry = RunDirectory(tmp_path / "w", "test-1").step("one").entry()
    assert entry is not None
    assert entry.output("o").read_text() == seen
    assert "hunter2" not in (docker / "calls.jsonl").read_text()


def test_a_stop_between_create_and_start_is_not_lost(
    docker: Path, tmp_path: Path, drive: Drive
) -> None:
    """The client hands a signal to a container that runs; a training would begin unasked."""
    ready = tmp_path / "ready"
    waits = f"open({str(ready)!r}, 'w').close(); time.sleep(60)"
    (docker / "held").touch()
    driven = drive([{"name": "train", "script": waits}], runner="docker", grace=50.0)
    driven.wait_for(lambda: (docker / "calls.jsonl").exists() and bool(calls(docker, "run")))
    driven.end(signal.SIGTERM)
    driven.wait_for(lambda: bool(calls(docker, "kill")))
    (docker / "held").unlink()
    assert driven.states() == {"": "cancelled", "train": "cancelled"}
    assert {tuple(option(words, "--signal")) for words in calls(docker, "kill")} == {("TERM",)}


def test_shared_folders_and_named_data_are_mounted_where_they_lie(
    docker: Path, tmp_path: Path
) -> None:
    """Without them a step could neither track, nor read what --data names."""
    data = tmp_path / 'my, "data"'
    data.mkdir()
    env = {
        "TREFOIL_TRACKING": str(tmp_path / "w" / "tracking" / "test-1"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'w' / 'mlflow' / 'mlflow.db'}",
    }
    run(tmp_path / "w", step("one", makes=["o"], given={"data": str(data)}), env=env)
    mounts = option(calls(docker, "run")[0], "--mount")
    for folder in (tmp_path / "w" / "tracking", tmp_path / "w" / "mlflow"):
        assert f'type=bind,"source={folder}","target={folder}"' in mounts
    quoted = str(data).replace('"', '""')
    assert f'type=bind,"source={quoted}","target={quoted}",readonly' in mounts


def test_a_path_that_is_not_data_is_not_mounted_but_told_of(docker: Path, tmp_path: Path) -> None:
    """A word of a command that happens to be a path must not lay this machine over the image."""
    one = step("one", makes=["o"], given={"shell": "/bin/sh", "n": 3, "data": "digits"})
    request = providers.get("local").lower(
        Plan("test", (one,)), LocalSettings(str(tmp_path / "w"), runner="docker"), "test-1"
    )
    (note,) = request.notes
    assert note.startswith("step one: its container does not see /bin/sh (shell)")
    run(tmp_path / "w", one)
    (mount,) = option(calls(docker, "run")[0], "--mount")
    assert mount.endswith('"target=/trefoil/step"')


def test_a_step_that_acts_on_this_machine_runs_here(docker: Path, tmp_path: Path) -> None:
    one = step("deploy", makes=["o"], env={"TREFOIL_ON_HOST": "1"})
    assert states(run(tmp_path / "w", one._replace(image="nowhere")))[""] == "succeeded"
    assert not (docker / "calls.jsonl").exists()


def test_another_image_is_another_key(docker: Path, tmp_path: Path) -> None:
    """The image is all the code a step runs; a rebuilt one must not find the old results."""
    run(tmp_path / "w", step("one", makes=["o"]))
    assert states(run(tmp_path / "w", step("one", makes=["o"])))["one"] == "cached"
    (docker / "images").write_text(f"python sha256:{'b' * 64}\n")
    assert states(run(tmp_path / "w", step("one", makes=["o"])))["one"] == "succeeded"


@pytest.mark.parametrize(
    ("behaviour", "state", "words"),
    [
        ("137 killed", '{"OOMKilled": true}', "one ran out of memory (exit code 137): it needed "
         "more than its limit of 2 GB"),
        ("137 killed", "{}", "one ended with exit code 137"),
        ("125 docker: Error response from daemon: mkdir /x: no space left on device.", "{}",
         "one was not started: Docker's disk is full (mkdir /x: no space left on device)"),
        ('125 docker: Error response from daemon: could not select device driver "" with', "{}",
         "one was not started: Docker has no GPU to give; install the NVIDIA Container Toolkit"),
        ("125 docker: Error response from daemon: no such runtime.", "{}",
         "one was not started: no such runtime"),
        ('127 docker: Error response from daemon: exec: "python": not found', "{}",
         "one was not started: the image python has no program python"),
        ("127 [FATAL tini (7)] exec python failed: No such file or directory", "{}",
         "one was not started: the image python has no program python"),
        ("127 my script: not found", "{}", "one ended with exit code 127"),
    ],
)  # fmt: skip
def test_why_a_container_failed_is_one_sentence(
    docker: Path, tmp_path: Path, behaviour: str, state: str, words: str
) -> None:
    (docker / "behaviour").write_text(behaviour)
    (docker / "state").write_text(state)
    events = run(tmp_path / "w", step("one", makes=["o"], resources=Resources(memory_gb=2.0)))
    assert said(events, "one").startswith(words)


def test_an_image_that_is_not_here_is_named_before_anything_runs(
    docker: Path, tmp_path: Path
) -> None:
    other = step("two", makes=["o"])._replace(image="mine:1")
    with pytest.raises(InputError, match=r"the image mine:1 is not here, and none is pulled"):
        run(tmp_path / "w", step("one", makes=["o"]), other)
    assert not (tmp_path / "w" / "runs").exists()


def test_an_image_of_other_code_is_refused_before_anything_runs(
    docker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run would be recorded under this code's commit, and be of another."""
    workspace = tmp_path / "w"
    monkeypatch.setattr(revision, "of", lambda *_: Revision("0123abc", "0123abcdef"))
    for tag in ("0123abc", "0123abc-cuda"):
        record.remember(workspace, Built("python", ID, tag, "0123abcdef", 1.0))
        (docker / "images").write_text(f"{ID} {ID}\n")
        assert states(run(workspace, step("one", makes=["o"])))[""] == "succeeded"
    record.remember(workspace, Built("python", ID, "0123abc-77", "0123abcdef+dirty", 1.0))
    with pytest.raises(InputError, match="python:0123abc-77 is not of this code, which is 0123abc"):
        run(workspace, step("one", makes=["o"]))


def test_without_a_daemon_or_docker_it_says_so(
    docker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docker / "down").touch()
    with pytest.raises(ProviderError, match=r"Docker daemon at unix:///x.*start Docker"):
        run(tmp_path / "w", step("one", makes=["o"]))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(ProviderError, match="docker is not on PATH; install Docker"):
        run(tmp_path / "w", step("one", makes=["o"]))


@pytest.mark.parametrize("address", ["http://127.0.0.1:5000", "https://u:p@localhost:5000/x"])
def test_an_address_of_this_machine_alone_is_refused(
    docker: Path, tmp_path: Path, address: str
) -> None:
    """From inside a container 127.0.0.1 is the container: the step would fail after minutes."""
    env = {"MLFLOW_TRACKING_URI": address}
    events = run(tmp_path / "w", step("one", makes=["o"]), env=env)
    assert "does not reach MLflow" in said(events, "one")
    assert "u:p@" not in said(events, "one")
    again = run(tmp_path / "w", step("one", makes=["o"]), env=env, network="host")
    assert states(again)["one"] == "succeeded"
