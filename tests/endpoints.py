"""What tests of endpoints share: a workspace whose servers end with it, versions, and clients."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local import endpoint
from infra.local.server import Server
from infra.served import Endpoint
from tests.served import until, write_model

NAME, MODEL = "vae", "digits-vae"


@pytest.fixture(name="workspace")
def made_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A workspace whose servers do not outlive the test."""
    place = tmp_path / "ws"
    monkeypatch.setenv("TREFOIL_WORKSPACE", str(place))
    yield place
    for each in servers(place):
        each.kill()


@pytest.fixture(scope="module", name="models")
def made_models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The model directories of versions 0, 1 and 2."""
    folder = tmp_path_factory.mktemp("models")
    return [write_model(folder / str(version), seed=version) for version in range(3)]


def servers(workspace: Path) -> list[Server]:
    """Every server of the workspace that is alive."""
    found = map(Server, workspace.glob("endpoints/*/servers/*"))
    return [each for each in found if each.alive()]


def deploy(workspace: Path, models: list[Path], version: int, **more: Any) -> Endpoint:
    """Deploy a version."""
    return endpoint.deploy(
        workspace=workspace, name=NAME, version=str(version), model=models[version],
        model_name=MODEL, **more,
    )  # fmt: skip


def look(workspace: Path) -> Endpoint:
    """The one endpoint there is."""
    (found,) = endpoint.endpoints(workspace=workspace)
    return found


def served_version(url: str) -> str:
    """Which version answers, over a connection of its own."""
    found: str = httpx.get(url).json()["version"]
    return found


class Clients:
    """Ask without a pause, half of them over one connection, half over a new one each time."""

    REQUESTS = (("GET", "/", None), ("GET", "/ready", None), ("POST", "/sample", '{"n": 2}'))

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.versions: set[str] = set()
        self.answers = 0
        self._ended = threading.Event()

    def ask(self, url: httpx.URL, keep: bool) -> None:
        """Ask until the end."""
        connection = http.client.HTTPConnection(url.host, url.port, timeout=60)
        count = 0
        while not self._ended.is_set():
            method, path, body = self.REQUESTS[count % 3]
            count += 1
            try:
                connection.request(method, path, body)
                answer = connection.getresponse()
                content = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(repr(error))
                connection.close()
                continue
            if answer.status != 200:
                self.failures.append(f"{answer.status} {content}")
            if path == "/":
                self.versions.add(content["version"])
            self.answers += 1
            if not keep:
                connection.close()
        connection.close()

    def more(self, count: int = 20) -> None:
        """Wait until that many more answers have come."""
        wanted = self.answers + count
        until(lambda: self.answers >= wanted)

    def end(self) -> None:
        """Ask no more."""
        self._ended.set()


@contextlib.contextmanager
def asked(url: str, threads: int = 4) -> Iterator[Clients]:
    """Clients that ask as long as the block lasts; none of them may have been disappointed."""
    clients = Clients()
    asking = [
        threading.Thread(target=clients.ask, args=(httpx.URL(url), bool(number % 2)))
        for number in range(threads)
    ]
    for each in asking:
        each.start()
    try:
        yield clients
    finally:
        clients.end()
        for each in asking:
            each.join()
    assert clients.failures == []
