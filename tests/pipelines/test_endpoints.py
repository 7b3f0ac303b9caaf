"""The verbs about what is being served: what they print, what they return."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import InputError, UnsupportedError
from infra.local import endpoint
from infra.local.endpointdir import Endpoint
from infra.local.server import Server
from pipelines import __main__ as verbs
from pipelines import endpoints
from tests.served import write_model


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TREFOIL_WORKSPACE", str(tmp_path / "ws"))
    yield tmp_path / "ws"
    for folder in tmp_path.glob("ws/endpoints/*/servers/*"):
        Server(folder).kill()


def serve(workspace: Path, tmp_path: Path, version: int) -> Endpoint:
    model = write_model(tmp_path / str(version), seed=version)
    return endpoint.deploy(workspace=workspace, name="vae", version=str(version), model=model)


def namespace(workspace: Path, **more: object) -> argparse.Namespace:
    return argparse.Namespace(json=False, workspace=workspace, **more)


def test_nothing_is_served(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verbs.main(["endpoints"]) == 0
    assert "nothing is served here" in capsys.readouterr().out
    assert verbs.main(["endpoints", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert not workspace.exists()


def test_what_is_served_and_stopping_it(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(workspace, tmp_path, 1)
    found = serve(workspace, tmp_path, 2)
    assert verbs.main(["endpoints"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["NAME", "VERSION", "STATE", "URL", "PID", "STARTED", "PREVIOUS"]
    cells = row.split()
    assert [*cells[:5], cells[-1]] == ["vae", "2", "serving", found.url, str(found.pid), "1"]
    assert head.index("URL") == row.index("http")

    assert verbs.main(["endpoints", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["name"], told["pid"], told["url"]) == ("vae", found.pid, found.url)

    assert verbs.main(["stop", "vae"]) == 0
    assert capsys.readouterr().out.startswith("vae is stopped")
    assert verbs.main(["stop", "vae", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "stopped"
    assert verbs.main(["endpoints"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "vae", "2", "stopped", found.url, "-", "-", "1",
    ]  # fmt: skip


def test_rollback(workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = serve(workspace, tmp_path, 1)
    with pytest.raises(InputError, match="no earlier version"):
        endpoints.rollback(namespace(workspace, name="vae"))
    serve(workspace, tmp_path, 2)
    assert endpoints.rollback(namespace(workspace, name="vae")) == 0
    assert capsys.readouterr().out == f"vae serves version 1 again at {first.url}\n"
    arguments = namespace(workspace, name="vae")
    arguments.json = True
    assert endpoints.rollback(arguments) == 0
    assert json.loads(capsys.readouterr().out)["version"] == "2"


def test_an_endpoint_that_is_not_there(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verbs.main(["stop", "vae"]) == 2
    assert capsys.readouterr().err == "error: there is no endpoint vae; there is none\n"


def test_a_place_without_endpoints(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "infra.local.endpoint", None)
    with pytest.raises(UnsupportedError, match="local serves nothing"):
        endpoints.endpoints(namespace(workspace))
