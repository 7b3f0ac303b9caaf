"""The champion reaches evaluate as a model directory, or it is said why there is none."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from components import champion
from infra import mlflow
from infra.errors import ProviderError
from infra.storage import tree
from tests.registered import NAME, call
from tests.served import ROOT
from tests.tracked import (  # noqa: F401  fixtures work by being here
    made_template,
    made_uri,
    outputs,
)


def fetch(uri: str, where: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    champion.main(["--model-name", NAME, "--champion", str(where)])
    found: dict[str, object] = json.loads((where / "champion.json").read_text())
    return found


def test_the_champion_is_handed_over_whole(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = outputs(tmp_path / "a")
    call(place, uri, monkeypatch)
    found = fetch(uri, tmp_path / "champion", monkeypatch)
    assert found["version"] == "1"
    assert tree(tmp_path / "champion" / "model") == tree(place / "model")


def test_without_a_champion_the_version_is_null(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fetch(uri, tmp_path / "none", monkeypatch)["version"] is None
    call(outputs(tmp_path / "a"), uri, monkeypatch, rule="never")
    assert fetch(uri, tmp_path / "challenged", monkeypatch)["version"] is None
    assert sorted(file.name for file in (tmp_path / "challenged").iterdir()) == ["champion.json"]


def test_where_nothing_was_ever_registered_mlflow_is_not_imported(tmp_path: Path) -> None:
    """On a first run this costs the time of a bare python, not of a database."""
    code = (
        "import sys; from components import champion; "
        f"champion.main(['--model-name', 'm', '--champion', {str(tmp_path / 'c')!r}]); "
        "sys.exit('mlflow' in sys.modules)"
    )
    environment = {"TREFOIL_WORKSPACE": str(tmp_path / "ws"), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert json.loads((tmp_path / "c" / "champion.json").read_text())["version"] is None
    assert not (tmp_path / "ws").exists()


def test_a_champion_of_somebody_elses_making_is_told_but_not_handed_over(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = mlflow.connect(uri)
    client.create_registered_model(NAME)
    client.create_model_version(NAME, str(tmp_path / "elsewhere"))
    client.set_registered_model_alias(NAME, "champion", "1")
    found = fetch(uri, tmp_path / "champion", monkeypatch)
    assert found["version"] == "1"
    assert not (tmp_path / "champion" / "model").exists()
    assert "cannot be compared with" in capsys.readouterr().err


def test_a_server_that_hangs_is_given_up_soon_and_is_no_champion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to know the champion is not to have none: a worse model would take its place."""
    for variable in champion._IMPATIENT:
        monkeypatch.delenv(variable, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ProviderError, match="does not answer"):
            fetch(uri, tmp_path / "champion", monkeypatch)
    assert not (tmp_path / "champion").exists()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "5"
