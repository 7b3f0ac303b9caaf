"""The deploy step: a server that outlives it, and its failures as the contract tells them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from components import contract, deploy
from infra.errors import CapacityError, QuotaError, UnsupportedError
from infra.local import endpoint
from tests.endpoints import made_workspace  # noqa: F401  fixtures work by being here
from tests.served import ROOT, write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def step(
    workspace: Path, model: Path, *more: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the step as the pipeline does."""
    return subprocess.run(
        [
            sys.executable, "-m", "components.deploy", "--model", str(model),
            "--model-name", "digits-vae", "--version", "3", "--endpoint", "vae",
            "--url", str(workspace.parent / "url"), *more,
        ],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def test_the_server_outlives_the_step(workspace: Path, model: Path) -> None:
    """A step that waits for its server, or a server that holds its output, never ends the run."""
    ended = step(workspace, model)  # returns only once nobody holds the step's output any more
    assert ended.returncode == 0, ended.stderr
    url = (workspace.parent / "url").read_text()
    assert ended.stderr == f"vae serves version 3 at {url}\n"
    assert httpx.get(url).json()["version"] == "3"
    (found,) = endpoint.endpoints(workspace=workspace)
    assert found.pid is not None
    assert os.getsid(found.pid) == found.pid


def test_bad_input_is_told_by_the_contract(workspace: Path, tmp_path: Path) -> None:
    failure = tmp_path / "failure.json"
    ended = step(workspace, tmp_path, TREFOIL_FAILURE=str(failure))
    assert ended.returncode == contract.BAD_INPUT
    sentence = f"{tmp_path} is no model to serve: it has no serving.json"
    assert ended.stderr == f"error: {sentence}\n"
    assert json.loads(failure.read_text()) == {"kind": "input", "message": sentence}
    assert not (tmp_path / "url").exists()


def test_a_version_that_does_not_start_fails_the_step(workspace: Path, model: Path) -> None:
    (model / "sample.onnx").write_bytes(b"junk")
    failure = workspace.parent / "failure.json"
    ended = step(workspace, model, TREFOIL_FAILURE=str(failure))
    assert ended.returncode == contract.FAILED
    told = json.loads(failure.read_text())
    assert told["kind"] == "failure"
    assert "version 3 of digits-vae ended before it was ready" in told["message"]
    assert "sample.onnx cannot be loaded" in told["message"]


def test_misuse_and_unknown_places(workspace: Path, model: Path) -> None:
    ended = step(workspace, model, "--port", "web")
    assert ended.returncode == contract.BAD_INPUT
    assert "--port" in ended.stderr
    ended = step(workspace, model, TREFOIL_PROVIDER="mars")
    assert ended.returncode == contract.BAD_INPUT
    assert ended.stderr.startswith("error: there is no provider mars; there is ")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (UnsupportedError("no GPUs here"), contract.BAD_INPUT),
        (QuotaError("not so many"), contract.FAILED),
        (CapacityError("none left"), contract.FAILED),
    ],
)
def test_what_a_place_raises_ends_the_step_with_its_sentence_and_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: Exception,
    code: int,
) -> None:
    """A quota is worth a retry, a thing that the place cannot do is not; neither is a traceback."""

    def refuse(**_: object) -> None:
        raise raised

    monkeypatch.setattr(endpoint, "deploy", refuse)
    argv = ["deploy", "--model", "m", "--model-name", "n", "--version", "1", "--endpoint", "e"]
    monkeypatch.setattr(sys, "argv", [*argv, "--url", "u"])
    with pytest.raises(SystemExit) as ended:
        contract.run(deploy.main)
    assert ended.value.code == code
    assert capsys.readouterr().err == f"error: {raised}\n"


def test_the_step_imports_no_server_and_no_science() -> None:
    code = (
        "import sys; from components import deploy; deploy.provider.get('local').endpoint()\n"
        "heavy = {'torch', 'mlflow', 'numpy', 'onnxruntime', 'uvicorn', 'pydantic'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert ended.stdout.strip() == "[]"


def test_a_version_that_was_not_promoted_leaves_the_endpoint_as_it_is(
    workspace: Path, model: Path
) -> None:
    """An endpoint answers as the champion; a challenger took it over once, and nobody was told."""
    url = workspace.parent / "url"
    ended = step(workspace, model, "--promoted", "false")
    assert (ended.returncode, url.read_text()) == (0, "")
    assert "nothing is served; to serve it: python -m pipelines deploy 3" in ended.stderr
    assert endpoint.endpoints(workspace=workspace) == []
    step(workspace, model, "--promoted", "true")
    served = url.read_text()
    ended = step(workspace, model, "--promoted", "false", "--version", "4")
    assert (ended.returncode, url.read_text()) == (0, served)
    assert ended.stderr.startswith("version 4 was not promoted: vae goes on serving what it did")
    assert httpx.get(served).json()["version"] == "3"
