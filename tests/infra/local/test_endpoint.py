"""Endpoints on this machine: switched without a lost request, and whole again after any crash."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infra.errors import InputError, ProviderError
from infra.local import endpoint, server
from infra.local.endpointdir import Endpoint
from infra.local.server import Server
from tests.served import ROOT, write_model


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """A workspace whose servers do not outlive the test."""
    yield tmp_path / "ws"
    for each in servers(tmp_path / "ws"):
        each.kill()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [write_model(folder / str(version), seed=version) for version in range(3)]


def servers(workspace: Path) -> list[Server]:
    """Every server of the workspace that is alive."""
    found = map(Server, workspace.glob("endpoints/*/servers/*"))
    return [each for each in found if each.alive()]


def deploy(workspace: Path, models: list[Path], version: int, **more: object) -> Endpoint:
    return endpoint.deploy(
        workspace=workspace, name="vae", version=str(version), model=models[version],
        model_name="digits-vae", **more,  # type: ignore[arg-type]
    )  # fmt: skip


def look(workspace: Path) -> Endpoint:
    (found,) = endpoint.endpoints(workspace=workspace)
    return found


def served_version(url: str) -> str:
    found: str = httpx.get(url).json()["version"]
    return found


def wait_for_one_server(workspace: Path, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while len(servers(workspace)) > 1:
        assert time.monotonic() < deadline, "more than one server is left"
        time.sleep(0.05)


def test_a_version_is_served(workspace: Path, models: list[Path]) -> None:
    found = deploy(workspace, models, 1)
    assert (found.name, found.version, found.state, found.previous) == ("vae", "1", "serving", None)
    about = httpx.get(found.url).json()
    assert (about["name"], about["version"]) == ("digits-vae", "1")
    assert len(httpx.post(f"{found.url}/sample", json={"n": 2}).json()["images"]) == 2
    assert look(workspace) == found


def test_what_is_served_already_is_left_alone(workspace: Path, models: list[Path]) -> None:
    assert deploy(workspace, models, 1) == deploy(workspace, models, 1)
    (alone,) = servers(workspace)
    assert alone.pid == look(workspace).pid


def test_the_url_stays_and_the_old_server_goes(workspace: Path, models: list[Path]) -> None:
    first = deploy(workspace, models, 0)
    second = deploy(workspace, models, 1)
    assert second.url == first.url
    assert (second.version, second.previous) == ("1", "0")
    assert second.pid != first.pid
    assert served_version(first.url) == "1"
    wait_for_one_server(workspace)


def test_the_same_version_with_another_model_is_another_release(
    workspace: Path, models: list[Path]
) -> None:
    first = deploy(workspace, models, 1)
    other = endpoint.deploy(workspace=workspace, name="vae", version="1", model=models[2])
    assert other.pid != first.pid
    assert other.previous == "1"


@pytest.mark.timeout(120)
def test_a_switch_loses_no_request(workspace: Path, models: list[Path]) -> None:
    url = httpx.URL(deploy(workspace, models, 0).url)
    ended = threading.Event()
    seen: list[set[str]] = []
    failures: list[str] = []
    requests = [
        ("GET", "/", None), ("GET", "/ready", None), ("POST", "/sample", '{"n": 2, "seed": 1}')
    ]  # fmt: skip

    def hammer(keep: bool) -> int:
        count, versions = 0, set()
        connection = http.client.HTTPConnection(url.host, url.port, timeout=30)
        while not ended.is_set():
            method, path, body = requests[count % 3]
            try:
                connection.request(method, path, body)
                answer = connection.getresponse()
                content = json.loads(answer.read())
                if answer.status != 200:
                    failures.append(f"{answer.status} {content}")
                versions.add(content.get("version", ""))
            except (OSError, http.client.HTTPException, ValueError) as error:
                failures.append(repr(error))
                connection.close()
            if not keep:
                connection.close()
            count += 1
        connection.close()
        seen.append(versions)
        return count

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        work = [pool.submit(hammer, keep) for keep in (True, False) * 4]
        try:
            for version in (1, 2, 0, 1):
                deploy(workspace, models, version)
                time.sleep(0.3)
            endpoint.rollback(workspace=workspace, name="vae")
            time.sleep(0.3)
        finally:
            ended.set()
        counts = [each.result() for each in work]
    assert failures == []
    assert min(counts) > 50
    assert set.union(*seen) == {"0", "1", "2", ""}
    wait_for_one_server(workspace)


def test_rollback_and_back_again(workspace: Path, models: list[Path], tmp_path: Path) -> None:
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
    for version in (0, 1, 2):
        deploy(workspace, models, version)
    assert len(list(workspace.glob("endpoints/vae/models/*"))) == 2


def test_a_dead_server_is_told_and_healed(workspace: Path, models: list[Path]) -> None:
    deploy(workspace, models, 0)
    first = deploy(workspace, models, 1)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    while server.Server(workspace / "x").alive() or look(workspace).state != "dead":
        time.sleep(0.01)
    assert (look(workspace).pid, look(workspace).version) == (None, "1")
    again = deploy(workspace, models, 1)
    assert (again.state, again.url, again.previous) == ("serving", first.url, "0")
    assert served_version(first.url) == "1"


def test_a_server_that_hangs_is_told_and_replaced(workspace: Path, models: list[Path]) -> None:
    first = deploy(workspace, models, 1)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGSTOP)
    assert look(workspace).state == "unhealthy"
    again = deploy(workspace, models, 1)
    assert (again.state, again.url) == ("serving", first.url)
    assert [each.pid for each in servers(workspace)] == [again.pid]


def test_a_port_in_use_is_named(workspace: Path, models: list[Path]) -> None:
    first = deploy(workspace, models, 1)
    port = httpx.URL(first.url).port
    assert port is not None
    endpoint.stop(workspace=workspace, name="vae")
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(InputError, match=rf"port {port} is in use.*another endpoint"):
            deploy(workspace, models, 1)
        with pytest.raises(InputError, match=rf"port {port} is in use"):
            endpoint.deploy(
                workspace=workspace, name="other", version="1", model=models[1], port=port
            )
        assert servers(workspace) == []
        moved = deploy(workspace, models, 1, port=free_port())
    assert moved.url != first.url
    assert served_version(moved.url) == "1"


def test_an_endpoint_can_move_to_another_port(workspace: Path, models: list[Path]) -> None:
    first = deploy(workspace, models, 1)
    port = free_port()
    moved = deploy(workspace, models, 1, port=port)
    assert moved.url == f"http://127.0.0.1:{port}"
    assert served_version(moved.url) == "1"
    wait_for_one_server(workspace)
    with pytest.raises(httpx.ConnectError):
        httpx.get(first.url)
    with pytest.raises(InputError, match=r"1\.\.65535"):
        deploy(workspace, models, 1, port=70000)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def test_a_bad_version_leaves_the_old_one_serving(
    workspace: Path, models: list[Path], tmp_path: Path
) -> None:
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
    with pytest.raises(ProviderError, match="version 0 of digits-vae"):
        deploy(workspace, models, 0, deadline=0.001)
    assert servers(workspace) == []
    assert endpoint.endpoints(workspace=workspace) == []
    assert deploy(workspace, models, 0).state == "serving"


def test_a_version_that_fails_its_trial(
    workspace: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = deploy(workspace, models, 0)
    monkeypatch.setattr(server, "ask", lambda *_, **__: (200, {"operations": ["sample"]}))
    with pytest.raises(ProviderError, match=r"does not answer a trial request \('images'\)"):
        deploy(workspace, models, 1)
    monkeypatch.undo()
    assert look(workspace) == first


def test_stop_and_start_again(workspace: Path, models: list[Path]) -> None:
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
    url = deploy(workspace, models, 1).url
    with httpx.Client(base_url=url) as client, concurrent.futures.ThreadPoolExecutor(1) as pool:
        client.get("/")
        slow = pool.submit(client.post, "/sample", json={"n": 1024})
        time.sleep(0.005)
        endpoint.stop(workspace=workspace, name="vae")
        assert len(slow.result().json()["images"]) == 1024


# A deployer that is killed

PHASES = {
    "as it starts": "endpointdir.Place.tidy",
    "with the model copied": "endpointdir.Place.keep",
    "with a server just started": "server.Candidate.__init__",
    "with the server tried out": "server.Candidate.try_out",
    "with both servers taking requests": "server.Candidate.serve",
    "with the new version written down": "endpointdir.Place.write",
}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("first_time", [False, True])
def test_a_killed_deployer_leaves_a_whole_endpoint(
    workspace: Path, models: list[Path], phase: str, first_time: bool
) -> None:
    url = "" if first_time else deploy(workspace, models, 0).url
    owner, _, name = PHASES[phase].rpartition(".")
    code = f"""
import os, signal
from pathlib import Path
from infra.local import endpoint, endpointdir, server
real = {owner}.{name}
def killed(*given, **named):
    real(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
{owner}.{name} = killed
endpoint.deploy(workspace=Path({str(workspace)!r}), name="vae", version="1",
                model=Path({str(models[1])!r}), model_name="digits-vae")
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    if url:
        assert served_version(url) in {"0", "1"}
    found = endpoint.endpoints(workspace=workspace)  # ends what is not wanted
    deadline = time.monotonic() + 20
    while len(servers(workspace)) > len(found):
        assert time.monotonic() < deadline, "a server is left that nobody wants"
        time.sleep(0.05)
        endpoint.endpoints(workspace=workspace)
    written = "written" in phase
    assert [each.version for each in found] == (["1"] if written else [] if first_time else ["0"])
    if url:
        assert served_version(url) == ("1" if written else "0")
    done = deploy(workspace, models, 2)
    assert (done.state, served_version(done.url)) == ("serving", "2")
    assert not url or done.url == url
    wait_for_one_server(workspace)
    versions = {done.version, done.previous} - {None}
    assert len(list(workspace.glob("endpoints/vae/models/*"))) == len(versions)


def test_an_untried_server_does_not_outlive_its_deployer(
    workspace: Path, models: list[Path]
) -> None:
    """Without anybody coming by to end it."""
    code = f"""
import os, signal
from pathlib import Path
from infra.local.server import Candidate
folder = Path({str(workspace)!r}) / "endpoints/vae/servers/1"
Candidate(folder, "vae", "1", Path({str(models[1])!r}))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    orphan = Server(workspace / "endpoints/vae/servers/1")
    assert orphan.wait(20)


def test_two_deployments_at_once_come_one_after_the_other(
    workspace: Path, models: list[Path]
) -> None:
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
    wait_for_one_server(workspace)


def test_looking_disturbs_no_deployment(workspace: Path, models: list[Path]) -> None:
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


def test_a_path_too_long_for_a_unix_socket(tmp_path: Path, models: list[Path]) -> None:
    long = tmp_path / ("d" * 60) / ("e" * 60)
    try:
        first = deploy(long, models, 0)
        assert deploy(long, models, 1).url == first.url
    finally:
        for each in servers(long):
            each.kill()


def test_the_server_gets_nothing_of_the_step(
    workspace: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TREFOIL_FAILURE", str(tmp_path / "failure"))
    monkeypatch.setenv("AIP_PREDICT_ROUTE", "/elsewhere")
    monkeypatch.chdir(tmp_path)
    found = deploy(workspace, models, 0)
    assert httpx.post(f"{found.url}/predict", json={"instances": [{}]}).status_code == 200
    environment = Path(f"/proc/{found.pid}/environ")
    if environment.exists():
        assert b"TREFOIL_" not in environment.read_bytes()


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-a", "a-", "a" * 64, "a b"])
def test_a_name_that_cannot_be(workspace: Path, models: list[Path], name: str) -> None:
    with pytest.raises(InputError, match="cannot name an endpoint"):
        endpoint.deploy(workspace=workspace, name=name, version="1", model=models[1])
    assert not workspace.exists()


def test_what_is_not_there_is_told(workspace: Path, models: list[Path], tmp_path: Path) -> None:
    assert endpoint.endpoints(workspace=workspace) == []
    with pytest.raises(InputError, match="there is no endpoint vae; there is none"):
        endpoint.stop(workspace=workspace, name="vae")
    with pytest.raises(InputError, match=r"has no serving\.json"):
        endpoint.deploy(workspace=workspace, name="vae", version="1", model=tmp_path / "none")
    deploy(workspace, models, 0)
    with pytest.raises(InputError, match="there is no endpoint vaes; there is vae"):
        endpoint.rollback(workspace=workspace, name="vaes")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"port": 1, "current": {"a": 1}}'])
def test_a_damaged_record_is_named(workspace: Path, models: list[Path], text: str) -> None:
    record = workspace / "endpoints/vae/endpoint.json"
    record.parent.mkdir(parents=True)
    record.write_text(text)
    with pytest.raises(InputError, match=r"endpoint.json is damaged .*remove the folder"):
        deploy(workspace, models, 0)
