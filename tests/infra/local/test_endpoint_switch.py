"""An endpoint that moves to another version: no request is lost, nothing bad is served."""

from __future__ import annotations

import concurrent.futures
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from infra.errors import ProviderError
from infra.local import candidate, endpoint
from tests.endpoints import (  # noqa: F401  fixtures work by being here
    asked,
    deploy,
    look,
    made_models,
    made_workspace,
    served_version,
    servers,
)
from tests.served import ROOT, until


def test_the_url_stays_and_the_old_server_goes(workspace: Path, models: list[Path]) -> None:
    """The address is what clients know; two servers would cost twice the memory."""
    first = deploy(workspace, models, 0)
    second = deploy(workspace, models, 1)
    assert second.url == first.url
    assert (second.version, second.previous) == ("1", "0")
    assert second.pid != first.pid
    assert served_version(first.url) == "1"
    until(lambda: len(servers(workspace)) == 1)


def test_a_switch_loses_no_request(workspace: Path, models: list[Path]) -> None:
    """That is what a switch is for: clients must not notice."""
    with asked(deploy(workspace, models, 0).url, threads=8) as clients:
        for version in (1, 2, 0, 1):
            deploy(workspace, models, version)
            clients.more(50)
        endpoint.rollback(workspace=workspace, name="vae")
        clients.more(50)
    assert clients.versions == {"0", "1", "2"}
    until(lambda: len(servers(workspace)) == 1)


def test_once_it_is_deployed_no_other_version_answers(workspace: Path, models: list[Path]) -> None:
    """A test against the new version, run right after, must not meet the old one."""
    url = deploy(workspace, models, 0).url
    for version in (1, 2, 0):
        deploy(workspace, models, version)
        assert {served_version(url) for _ in range(20)} == {str(version)}


def test_a_bad_version_leaves_the_old_one_serving(
    workspace: Path, models: list[Path], tmp_path: Path
) -> None:
    """A bad export must cost nobody the service, and its reason must be told."""
    first = deploy(workspace, models, 0)
    bad = tmp_path / "bad"
    shutil.copytree(models[1], bad)
    (bad / "score.onnx").write_bytes(b"junk")
    with pytest.raises(ProviderError) as caught:
        endpoint.deploy(workspace=workspace, name="vae", version="9", model=bad)
    assert "version 9 of vae ended before it was ready" in str(caught.value)
    assert "score.onnx cannot be loaded" in str(caught.value)
    assert "version 0 still serves" in str(caught.value)
    assert look(workspace) == first
    assert [each.pid for each in servers(workspace)] == [first.pid]
    assert len(list(workspace.glob("endpoints/vae/servers/*"))) == 1


def test_a_version_that_is_not_ready_in_time(workspace: Path, models: list[Path]) -> None:
    """A server that hangs as it loads must not be left behind."""
    with pytest.raises(ProviderError, match="version 0 of digits-vae"):
        deploy(workspace, models, 0, deadline=0.001)
    assert servers(workspace) == []
    assert endpoint.endpoints(workspace=workspace) == []
    assert deploy(workspace, models, 0).state == "serving"


def test_a_version_that_fails_its_trial(
    workspace: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that starts but cannot answer must get no traffic."""
    first = deploy(workspace, models, 0)
    monkeypatch.setattr(candidate, "ask", lambda *_, **__: (200, {"operations": ["sample"]}))
    with pytest.raises(ProviderError, match=r"does not answer a trial request \('images'\)"):
        deploy(workspace, models, 1)
    monkeypatch.undo()
    assert look(workspace) == first


def test_a_dead_server_is_told_and_healed(workspace: Path, models: list[Path]) -> None:
    """Deploying again is how a person mends an endpoint."""
    deploy(workspace, models, 0)
    first = deploy(workspace, models, 1)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: look(workspace).state == "dead")
    assert (look(workspace).pid, look(workspace).version) == (None, "1")
    again = deploy(workspace, models, 1)
    assert (again.state, again.url, again.previous) == ("serving", first.url, "0")
    assert served_version(first.url) == "1"


def test_a_server_that_hangs_is_told_and_replaced(workspace: Path, models: list[Path]) -> None:
    """It cannot give its socket away, and must not keep its port."""
    first = deploy(workspace, models, 1)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGSTOP)
    assert look(workspace).state == "unhealthy"
    again = deploy(workspace, models, 1)
    assert (again.state, again.url) == ("serving", first.url)
    assert [each.pid for each in servers(workspace)] == [again.pid]


def test_two_deployments_at_once_come_one_after_the_other(
    workspace: Path, models: list[Path]
) -> None:
    """Two runs that end together must not spoil the record of the endpoint."""
    url = deploy(workspace, models, 0).url
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(
                subprocess.run,
                [
                    sys.executable, "-m", "components.deploy", "--model", str(models[version]),
                    "--model-name", "digits-vae", "--version", str(version), "--endpoint", "vae",
                    "--url", str(workspace / f"url-{version}"),
                ],
                cwd=ROOT, env={**os.environ, "TREFOIL_WORKSPACE": str(workspace)}, check=True,
                capture_output=True,
            )
            for version in (1, 2)
        ]  # fmt: skip
        for each in both:
            each.result()
    found = look(workspace)
    assert {found.version, found.previous} == {"1", "2"}
    assert served_version(url) == found.version
    assert {(workspace / f"url-{version}").read_text() for version in (1, 2)} == {url}
    until(lambda: len(servers(workspace)) == 1)


def test_looking_disturbs_no_deployment(workspace: Path, models: list[Path]) -> None:
    """Whoever looks tidies up: not what is just being started."""
    deploy(workspace, models, 0)
    ended = threading.Event()

    def watch() -> set[str]:
        seen: set[str] = set()
        while not ended.is_set():
            seen.add(look(workspace).state)
        return seen

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        for version in (1, 2):
            deploy(workspace, models, version)
        ended.set()
        assert watching.result() == {"serving"}


def test_a_strangers_process_is_never_ended(workspace: Path, models: list[Path]) -> None:
    """Its pid stands in a file of ours, as after a reboot."""
    deploy(workspace, models, 0)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        folder = workspace / "endpoints/vae/servers/old"
        folder.mkdir()
        (folder / "alive").write_text(str(stranger.pid))
        deploy(workspace, models, 1)
        assert not folder.exists()
        record = workspace / "endpoints/vae/endpoint.json"
        (current,) = [each for each in servers(workspace) if each.pid == look(workspace).pid]
        current.kill()
        (current.folder / "alive").write_text(str(stranger.pid))
        assert current.id in record.read_text()
        assert look(workspace).state == "dead"
        endpoint.stop(workspace=workspace, name="vae")
        assert stranger.poll() is None
        stranger.kill()
