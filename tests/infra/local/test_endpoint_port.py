"""The port of an endpoint: kept, moved, or taken by another program."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from infra.errors import InputError
from infra.local import endpoint
from infra.rehearsal.served import free_port
from pipelines import run
from tests.endpoints import (  # noqa: F401  fixtures work by being here
    deploy,
    made_models,
    made_workspace,
    served_version,
    servers,
)
from tests.served import until


def test_a_port_in_use_is_named(workspace: Path, models: list[Path]) -> None:
    """The sentence names the port and the way out, and nothing is left running."""
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
    """The old address must not go on answering with the old version."""
    first = deploy(workspace, models, 1)
    port = free_port()
    moved = deploy(workspace, models, 1, port=port)
    assert moved.url == f"http://127.0.0.1:{port}"
    assert served_version(moved.url) == "1"
    until(lambda: len(servers(workspace)) == 1)
    with pytest.raises(httpx.ConnectError):
        httpx.get(first.url)
    with pytest.raises(InputError, match=r"1\.\.65535"):
        deploy(workspace, models, 1, port=70000)


def test_a_port_taken_since_is_found_before_a_run(
    workspace: Path, models: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Training for hours and then failing to deploy is the dearest way to find out."""
    port = httpx.URL(deploy(workspace, models, 1).url).port
    assert port is not None
    endpoint.check(workspace=workspace, name="vae")  # its own server has it
    endpoint.stop(workspace=workspace, name="vae")
    endpoint.check(workspace=workspace, name="vae")
    with socket.create_server(("127.0.0.1", port)):
        assert run.main(["--param", "endpoint=vae"]) == 2
    assert f"error: port {port} is in use by another program" in capsys.readouterr().err
    assert not (workspace / "runs").exists()
    assert not (workspace / "ledger.jsonl").exists()


def test_an_endpoint_that_never_was_needs_no_port(workspace: Path) -> None:
    endpoint.check(workspace=workspace, name="vae")
    assert not workspace.exists()
    with pytest.raises(InputError, match="cannot name an endpoint"):
        endpoint.check(workspace=workspace, name="../vae")
