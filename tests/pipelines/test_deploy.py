"""deploy and rollback by hand: the version is the registry's own, and reaches the place whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infra.kind import ready
from infra.kind.endpoint_manifests import Release, deployment_name
from infra.registry import Registry
from pipelines import __main__ as verbs
from pipelines import registry
from tests.endpoints import servers
from tests.infra.kind.fake_kubernetes import FakeKubernetes
from tests.registered import NAME, call
from tests.tracked import (  # noqa: F401  fixtures work by being here
    made_template,
    made_uri,
    outputs,
)


@pytest.fixture
def two(tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Two versions, the first of them champion; what serves them ends with the test."""
    for n in (1, 2):
        place = outputs(tmp_path / str(n), seed=n)
        call(place, uri, monkeypatch, run=f"run-{n}", rule="when-better")
    for name in ("MLFLOW_TRACKING_URI", "TREFOIL_RUN_ID", "TREFOIL_GIT_COMMIT"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("TREFOIL_WORKSPACE", str(tmp_path / "ws"))
    yield Registry(uri)
    for each in servers(tmp_path / "ws"):
        each.kill()


@pytest.fixture
def cluster(tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    """A cluster to deploy into from this machine, which is told nothing by a step's environment.

    Its MLflow is the test's database.
    """
    monkeypatch.setattr(registry, "tracking_uri", lambda _: uri)
    with FakeKubernetes() as server:
        server.write_kubeconfig(tmp_path / "config", "kind-trefoil")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        monkeypatch.setenv("TREFOIL_IMAGE_TAG", "abc")
        monkeypatch.setattr(ready, "_POLL", 0.01)
        server.put("/api/v1/namespaces/kubeflow", {"kind": "Namespace", "metadata": {}})
        yield server


def verb(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, str]:
    """A verb that ends well; its JSON document."""
    assert verbs.main([*words, "--json"]) == 0
    found: dict[str, str] = json.loads(capsys.readouterr().out)
    return found


def test_the_champion_is_served_then_another_and_rollback_brings_it_back(
    two: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    served = verb(capsys, "deploy")
    assert (served["name"], served["version"], served["state"]) == (NAME, "1", "serving")
    second = verb(capsys, "deploy", "2")
    assert (second["version"], second["previous"], second["url"]) == ("2", "1", served["url"])
    assert httpx.get(second["url"]).json()["version"] == "2"
    verb(capsys, "promote", "2")
    assert verb(capsys, "rollback")["endpoint_url"] == served["url"]
    assert httpx.get(served["url"]).json()["version"] == "1"


def test_what_was_altered_since_is_not_served(
    two: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (tmp_path / "ws" / "mlflow").rglob("serving.json"):
        file.write_text(file.read_text() + " ")
    assert verbs.main(["deploy", "2"]) == 1
    assert "is not what was registered" in capsys.readouterr().err
    assert not servers(tmp_path / "ws")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["7"], f"{NAME} has no version 7; there is 1, 2"),
        (["2", "--canary", "10"], "an endpoint of this machine is one server, and has no canary"),
        (["--model-name", "digits-vea"], "did you mean digits-vae?"),
    ],
)
def test_what_cannot_be_served_is_refused(
    two: Registry,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    assert verbs.main(["deploy", *words]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "ws" / "endpoints").exists()


def test_a_cluster_is_told_what_lower_would_have_told_the_step(
    two: Registry, cluster: FakeKubernetes, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a laptop there is no step whose environment names images and MLflow."""
    verb(capsys, "deploy", "--provider", "kind")
    pod = cluster.find("Deployment", deployment_name(NAME, Release(NAME, "1")))
    spec = pod["spec"]["template"]["spec"]
    assert [each["image"] for each in spec["initContainers"]] == ["trefoil-trainer:abc"]
    assert [each["image"] for each in spec["containers"]] == ["trefoil-server:abc"]
    told = {each["name"]: each["value"] for each in spec["initContainers"][0]["env"]}
    assert told["MLFLOW_TRACKING_URI"] == "http://mlflow.kubeflow:5000"


def test_no_other_cluster_is_touched(
    two: Registry,
    cluster: FakeKubernetes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The current context may be somebody's production."""
    cluster.write_kubeconfig(tmp_path / "config", "production")
    assert verbs.main(["deploy", "--provider", "kind"]) == 1
    assert "cluster up" in capsys.readouterr().err
    assert cluster.requests == []
