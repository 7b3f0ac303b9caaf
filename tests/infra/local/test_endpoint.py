"""The verbs of an endpoint on this machine, and what they refuse."""

from __future__ import annotations

import concurrent.futures
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from infra.errors import InputError
from infra.local import endpoint
from tests.endpoints import (  # noqa: F401  fixtures work by being here
    deploy,
    look,
    made_models,
    made_workspace,
    served_version,
    servers,
)
from tests.served import until


def test_a_version_is_served(workspace: Path, models: list[Path]) -> None:
    """The URL that a run ends with must answer, as the version it says."""
    found = deploy(workspace, models, 1)
    assert (found.name, found.version, found.state, found.previous) == ("vae", "1", "serving", None)
    about = httpx.get(found.url).json()
    assert (about["name"], about["version"]) == ("digits-vae", "1")
    assert len(httpx.post(f"{found.url}/sample", json={"n": 2}).json()["images"]) == 2
    assert look(workspace) == found


def test_what_is_served_already_is_left_alone(workspace: Path, models: list[Path]) -> None:
    """The same command again must not trouble a server that has clients."""
    assert deploy(workspace, models, 1) == deploy(workspace, models, 1)
    (alone,) = servers(workspace)
    assert alone.pid == look(workspace).pid


def test_the_same_version_with_another_model_is_another_release(
    workspace: Path, models: list[Path]
) -> None:
    """A version number made anew must not leave the old weights serving."""
    first = deploy(workspace, models, 1)
    other = endpoint.deploy(workspace=workspace, name="vae", version="1", model=models[2])
    assert other.pid != first.pid
    assert other.previous == "1"


def test_rollback_and_back_again(workspace: Path, models: list[Path], tmp_path: Path) -> None:
    """The way back must be there though the run's files are cleaned away."""
    run = tmp_path / "run"
    shutil.copytree(models[0], run)
    first = endpoint.deploy(
        workspace=workspace, name="vae", version="0", model=run, model_name="digits-vae"
    )
    shutil.rmtree(run)  # a run's directory may be cleaned away
    with pytest.raises(InputError, match="no earlier version"):
        endpoint.rollback(workspace=workspace, name="vae")
    deploy(workspace, models, 1)
    back = endpoint.rollback(workspace=workspace, name="vae")
    assert (back.version, back.previous, back.url) == ("0", "1", first.url)
    assert httpx.get(back.url).json()["name"] == "digits-vae"
    forth = endpoint.rollback(workspace=workspace, name="vae")
    assert (forth.version, forth.previous) == ("1", "0")
    assert served_version(first.url) == "1"


def test_models_that_no_version_needs_are_removed(workspace: Path, models: list[Path]) -> None:
    """Every deployment would leave its copy on the disk for good."""
    for version in (0, 1, 2):
        deploy(workspace, models, version)
    assert len(list(workspace.glob("endpoints/vae/models/*"))) == 2


def test_stop_and_start_again(workspace: Path, models: list[Path]) -> None:
    """Who comes back to an endpoint finds it at the same address."""
    deploy(workspace, models, 0)
    first = deploy(workspace, models, 1)
    stopped = endpoint.stop(workspace=workspace, name="vae")
    assert (stopped.state, stopped.pid, stopped.version) == ("stopped", None, "1")
    assert servers(workspace) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(first.url)
    assert endpoint.stop(workspace=workspace, name="vae").state == "stopped"
    back = endpoint.rollback(workspace=workspace, name="vae")
    assert (back.version, back.url, back.state) == ("0", first.url, "serving")


def test_a_stopped_endpoint_answers_first(workspace: Path, models: list[Path]) -> None:
    """Stopping must not cut off an answer that is being made."""
    url = deploy(workspace, models, 1).url
    with httpx.Client(base_url=url) as client, concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.post, "/sample", json={"n": 1024})
        until(lambda: slow.done() or "trefoil_in_flight 2.0" in httpx.get(f"{url}/metrics").text)
        endpoint.stop(workspace=workspace, name="vae")
        assert len(slow.result().json()["images"]) == 1024


def test_the_server_gets_nothing_of_the_step(
    workspace: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The step's settings and secrets have no place in a server that outlives it."""
    monkeypatch.setenv("TREFOIL_FAILURE", str(tmp_path / "failure"))
    monkeypatch.setenv("AIP_PREDICT_ROUTE", "/elsewhere")
    monkeypatch.chdir(tmp_path)
    found = deploy(workspace, models, 0)
    assert httpx.post(f"{found.url}/predict", json={"instances": [{}]}).status_code == 200
    environment = Path(f"/proc/{found.pid}/environ")
    if environment.exists():
        assert b"TREFOIL_" not in environment.read_bytes()


def test_a_path_too_long_for_a_unix_socket(workspace: Path, models: list[Path]) -> None:
    """A workspace deep in a home directory is no reason to fail."""
    long = workspace / ("d" * 60) / ("e" * 60)
    first = deploy(long, models, 0)
    assert deploy(long, models, 1).url == first.url
    endpoint.stop(workspace=long, name="vae")


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-a", "a-", "a" * 64, "a b"])
def test_a_name_that_cannot_be(workspace: Path, models: list[Path], name: str) -> None:
    """A name becomes a folder: it must not lead anywhere else."""
    with pytest.raises(InputError, match="cannot name an endpoint"):
        endpoint.deploy(workspace=workspace, name=name, version="1", model=models[1])
    assert not workspace.exists()


def test_what_is_not_there_is_told(workspace: Path, models: list[Path], tmp_path: Path) -> None:
    """Each mistake has its sentence, with the right name where there is one."""
    assert endpoint.endpoints(workspace=workspace) == []
    with pytest.raises(InputError, match="there is no endpoint vae; there is none"):
        endpoint.stop(workspace=workspace, name="vae")
    with pytest.raises(InputError, match=r"has no serving\.json"):
        endpoint.deploy(workspace=workspace, name="vae", version="1", model=tmp_path / "none")
    deploy(workspace, models, 0)
    with pytest.raises(InputError, match="there is no endpoint vaes; there is vae"):
        endpoint.rollback(workspace=workspace, name="vaes")


DAMAGED: dict[str, Callable[[str], str]] = {
    "empty": lambda text: "",
    "cut": lambda text: text[:40],
    "list": lambda text: "[]",
    "port": lambda text: re.sub(r'"port": \d+', '"port": "http"', text),
    "server": lambda text: re.sub(r'"server": "\w+"', '"server": "../x"', text),
    "release": lambda text: re.sub(r'"version": "1"', '"version": 1', text),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_record_ends_nothing_and_has_a_way_out(
    workspace: Path, models: list[Path], how: str
) -> None:
    """Its server has clients: it must go on, alone, until the person has chosen."""
    served = deploy(workspace, models, 1)
    record = workspace / "endpoints/vae/endpoint.json"
    record.write_text(DAMAGED[how](record.read_text()))
    before = record.read_text()
    acts: list[Callable[[], object]] = [
        lambda: deploy(workspace, models, 2),
        lambda: endpoint.check(workspace=workspace, name="vae"),
        lambda: endpoint.stop(workspace=workspace, name="vae"),
        lambda: endpoint.rollback(workspace=workspace, name="vae"),
    ]
    for act in acts:
        with pytest.raises(InputError, match=r"endpoint.json is damaged .* or remove it and give"):
            act()
    seen = look(workspace)
    assert (seen.name, seen.state) == ("vae", "damaged")
    assert "endpoint.json is damaged" in seen.message
    assert record.read_text() == before
    (alone,) = servers(workspace)
    assert alone.pid == served.pid
    assert served_version(served.url) == "1"

    record.unlink()
    again = deploy(workspace, models, 2)
    assert served_version(again.url) == "2"
    until(lambda: [each.pid for each in servers(workspace)] == [again.pid])
