"""The whole of a rehearsal: what is deployed answers, by the manifests that would be sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.errors import ProviderError
from infra.kind import endpoint
from infra.kind.api import Cluster
from tests.infra.kind.rehearsing import standing
from tests.registered import NAME, call
from tests.served import ROOT
from tests.tracked import made_template, made_uri, outputs  # noqa: F401  fixtures work by being here


@pytest.fixture
def versions(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two versions in a registry, and what lower tells the step deploy; a folder for the rest."""
    for version in range(2):
        call(outputs(tmp_path / str(version), seed=version), uri, monkeypatch)
    monkeypatch.setenv("TREFOIL_TRAINER_IMAGE", "trefoil-trainer:abc")
    monkeypatch.setenv("TREFOIL_SERVER_IMAGE", "trefoil-server:abc")
    return tmp_path / "rehearsal"


def deploy(version: int, **options: Any) -> str:
    found = endpoint.deploy(
        workspace=Path(), name="digits", version=str(version), model=Path(), model_name=NAME,
        **options,
    )  # fmt: skip
    return found.version


def answering(times: int = 1) -> Counter[str]:
    """How often each version answers whom the Service leads to it."""
    with Cluster() as cluster:
        host = cluster._client.configuration.host
        where = f"{host}/api/v1/namespaces/kubeflow/services/digits/proxy"
        return Counter(httpx.get(f"{where}/").json()["version"] for _ in range(times))


def test_a_canary_a_rollback_and_the_next_version(versions: Path) -> None:
    """Who is asked is decided by pods that are ready, not by what was written down."""
    with standing(versions):
        assert deploy(1) == "1"
        assert deploy(2, canary=50) == "1, canary 2"
        assert answering(10) == {"1": 5, "2": 5}
        assert endpoint.rollback(workspace=Path(), name="digits").version == "1"
        assert answering() == {"1": 1}
        assert deploy(2) == "2"
        assert answering() == {"2": 1}
    with standing(versions, None):
        assert endpoint.rollback(workspace=Path(), name="digits").version == "1"
        assert answering() == {"1": 1}
        assert endpoint.stop(workspace=Path(), name="digits").state == "stopped"
    assert not list(versions.glob("kubernetes/kubeconfig*"))


def test_what_the_registry_is_reached_by_is_taken_to_be_there(
    versions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rehearsal knows no secret; it must not fail for that, nor hand on what is no password."""
    monkeypatch.setenv("TREFOIL_FETCHING", '{"MLFLOW_TRACKING_PASSWORD": "mlflow/password"}')
    with standing(versions, secrets={"MLFLOW_TRACKING_PASSWORD": "mlflow/password"}):
        assert deploy(1) == "1"
        assert answering() == {"1": 1}


def test_a_version_that_is_not_there_says_so_and_the_old_one_serves(versions: Path) -> None:
    words = r"(?s)version 7 fails: its container fetch ended.*no version 7.*version 1 still serves"
    with standing(versions):
        deploy(1)
        with pytest.raises(ProviderError, match=words):
            deploy(7)
        assert answering() == {"1": 1}


def test_the_whole_pipeline_ends_with_an_endpoint_that_answered(tmp_path: Path) -> None:
    """Everything that a cluster would be asked is asked, but on this machine."""
    gate = json.dumps({"bits_per_dim": None, "fd": None})
    done = _pipelines(
        tmp_path, "run", "--provider", "kind", "--rehearse", "--set", "image_tag=abc",
        "--param", "steps=40", "--param", f"gate={gate}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "endpoint  http://digits-vae.kubeflow" in done.stdout
    served = "served: digits-vae, where digits-vae version 1 answered, from 1 pod"
    assert done.stderr.splitlines()[-1] == served
    words = ("endpoints", "--provider", "kind", "--rehearse", "--json")
    (found,) = json.loads(_pipelines(tmp_path, *words).stdout)
    assert (found["name"], found["version"], found["state"]) == ("digits-vae", "1", "serving")
    left = list(tmp_path.glob("rehearsal/kind/kubernetes/pods/*/alive"))
    assert left
    assert not any(_lives(int(each.read_text())) for each in left)


def _pipelines(workspace: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines", *words],
        cwd=ROOT, env={**os.environ, "TREFOIL_WORKSPACE": str(workspace)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
