"""An endpoint on Kubernetes: what is sent, in which order, and who is asked at each moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from infra.errors import CredentialsError, InputError, ProviderError
from infra.kind import endpoint, ready
from infra.kind.api import Cluster
from infra.kind.cluster.rules import problems
from infra.kind.endpoint_manifests import (
    RELEASE,
    Release,
    State,
    deployment,
    deployment_name,
    service,
    state_of,
)
from infra.served import Endpoint
from tests.infra.kind.fake_kubernetes import FakeKubernetes

IMAGES = {"trefoil-trainer": "trefoil-trainer:abc", "trefoil-server": "trefoil-server:abc"}
ONE, TWO = Release("digits-vae", "1"), Release("digits-vae", "2")
NAME = "digits"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    """A namespace to deploy into, and what lower tells the step deploy."""
    with FakeKubernetes() as server:
        server.write_kubeconfig(tmp_path / "config", "kind-trefoil")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.kubeflow:5000")
        monkeypatch.setenv("TREFOIL_TRAINER_IMAGE", IMAGES["trefoil-trainer"])
        monkeypatch.setenv("TREFOIL_SERVER_IMAGE", IMAGES["trefoil-server"])
        monkeypatch.setattr(ready, "_POLL", 0.01)
        server.put("/api/v1/namespaces/kubeflow", {"kind": "Namespace", "metadata": {}})
        yield server


def deploy(version: str, **options: Any) -> Endpoint:
    return endpoint.deploy(
        workspace=Path(), name=NAME, version=version, model=Path(), model_name="digits-vae",
        **options,
    )  # fmt: skip


def asked(server: FakeKubernetes) -> dict[str, int]:
    """The pods that the Service reaches, by version."""
    wanted = server.find("Service", NAME)["spec"]["selector"]
    found = {}
    for release in (ONE, TWO, Release("digits-vae", "3")):
        for each in server.objects.values():
            if each["metadata"].get("name") != deployment_name(NAME, release):
                continue
            labels = each["spec"]["template"]["metadata"]["labels"]
            if wanted.items() <= labels.items() and each["spec"]["replicas"]:
                found[release.version] = each["spec"]["replicas"]
    return found


@pytest.mark.parametrize(
    "state",
    [State(ONE), State(TWO, ONE), State(ONE, None, TWO), State(ONE, None, None, True)],
    ids=["first", "second", "canary", "stopped"],
)
def test_the_manifests_keep_to_schema_and_rules(state: State) -> None:
    """A cluster that refuses them would refuse after ten minutes of training."""
    releases = [each for each in (state.current, state.canary, state.previous) if each]
    secrets = {"MLFLOW_TRACKING_TOKEN": "mlflow/token"}
    documents = [
        deployment(NAME, "kubeflow", each, IMAGES, "http://x", secrets) for each in releases
    ]
    documents.append(service(NAME, "kubeflow", state))
    metadata = {"name": "mlflow", "namespace": "kubeflow"}
    documents.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    for document in documents:
        kubernetes_validate.validate(document, "1.33", strict=True)
    found = problems(documents)
    if state.stopped:
        assert found == [
            f"Service {NAME}: its selector {documents[-2]['spec']['selector']} meets no pod"
        ]
    else:
        assert not found
    assert state_of(documents[-2]) == state


def test_a_first_version_is_ready_before_anybody_is_sent_to_it(cluster: FakeKubernetes) -> None:
    found = deploy("1")
    assert (found.version, found.state, found.url) == ("1", "serving", "http://digits.kubeflow")
    first = deployment_name(NAME, ONE)
    writes = [(how, path.rpartition("/")[2]) for how, path in cluster.writes()]
    assert writes[:2] == [("PATCH", first), ("POST", "services")]
    (container,) = cluster.find("Deployment", first)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "trefoil-server:abc"
    assert asked(cluster) == {"1": 1}


def test_who_fetches_the_model_has_the_secrets_of_the_registry(
    cluster: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry behind a password would refuse every pod; the server itself needs none."""
    monkeypatch.setenv("TREFOIL_FETCHING", '{"MLFLOW_TRACKING_PASSWORD": "mlflow/password"}')
    deploy("1")
    spec = cluster.find("Deployment", deployment_name(NAME, ONE))["spec"]["template"]["spec"]
    (fetch,), (server,) = spec["initContainers"], spec["containers"]
    place = {"secretKeyRef": {"name": "mlflow", "key": "password"}}
    assert {"name": "MLFLOW_TRACKING_PASSWORD", "valueFrom": place} in fetch["env"]
    assert "mlflow" not in json.dumps(server)


def test_the_next_version_takes_over_and_the_old_one_gives_its_pods_back(
    cluster: FakeKubernetes,
) -> None:
    deploy("1")
    found = deploy("2")
    assert (found.version, found.previous) == ("2", "1")
    assert asked(cluster) == {"2": 1}
    assert cluster.find("Deployment", deployment_name(NAME, ONE))["spec"]["replicas"] == 0


def test_the_same_version_again_changes_nothing(cluster: FakeKubernetes) -> None:
    deploy("1")
    before = cluster.writes()
    assert deploy("1").state == "serving"
    assert cluster.writes() == before


def test_of_three_versions_two_are_kept(cluster: FakeKubernetes) -> None:
    for version in "123":
        deploy(version)
    assert asked(cluster) == {"3": 1}
    names = {each["metadata"].get("name") for each in cluster.objects.values()}
    assert deployment_name(NAME, ONE) not in names
    assert deployment_name(NAME, TWO) in names


def test_a_rollback_asks_the_version_before_again(cluster: FakeKubernetes) -> None:
    deploy("1")
    deploy("2")
    found = endpoint.rollback(workspace=Path(), name=NAME)
    assert (found.version, found.previous) == ("1", "2")
    assert asked(cluster) == {"1": 1}
    with pytest.raises(InputError, match="never deployed"):
        endpoint.rollback(workspace=Path(), name="other")


@pytest.mark.parametrize(("percent", "pods"), [(50, 1), (25, 3), (10, 9), (5, 9)])
def test_a_canary_gets_its_share_by_pods(cluster: FakeKubernetes, percent: int, pods: int) -> None:
    """Weights without a mesh: as many pods of the old one as the share leaves."""
    deploy("1")
    found = deploy("2", canary=percent)
    assert (found.state, found.version) == ("canary", "1, canary 2")
    assert asked(cluster) == {"1": pods, "2": 1}


def test_a_canary_is_promoted_by_the_same_version(cluster: FakeKubernetes) -> None:
    deploy("1")
    deploy("2", canary=20)
    found = deploy("2")
    assert (found.version, found.previous, found.state) == ("2", "1", "serving")
    assert asked(cluster) == {"2": 1}


def test_a_canary_is_ended_by_a_rollback(cluster: FakeKubernetes) -> None:
    deploy("1")
    deploy("2", canary=20)
    found = endpoint.rollback(workspace=Path(), name=NAME)
    assert (found.version, found.state) == ("1", "serving")
    assert asked(cluster) == {"1": 1}


def test_a_version_that_does_not_get_ready_says_why_and_the_old_one_serves(
    cluster: FakeKubernetes,
) -> None:
    """The sentence is what somebody would otherwise look for with kubectl, at night."""
    deploy("1")
    full = deployment_name(NAME, TWO)
    cluster.stuck.add(full)
    cluster.logs[f"{full}-pod"] = "loading\nerror: version 2 is not what was registered"
    cluster.put(
        f"/api/v1/namespaces/kubeflow/pods/{full}-pod",
        {
            "kind": "Pod",
            "metadata": {
                "name": f"{full}-pod",
                "labels": {"trefoil.dev/endpoint": NAME, RELEASE: TWO.key()},
            },
            "status": {"initContainerStatuses": [
                {"name": "fetch", "image": "x", "state": {"terminated": {"exitCode": 1}}}
            ]},
        },
    )  # fmt: skip
    with pytest.raises(ProviderError, match=r"(?s)fetch ended with exit code 1.*not what was reg"):
        deploy("2", deadline=0.05)
    assert asked(cluster) == {"1": 1}
    assert full not in {each["metadata"].get("name") for each in cluster.objects.values()}


@pytest.mark.parametrize("at", range(1, 4))
def test_killed_anywhere_a_deployer_leaves_one_version_serving(
    cluster: FakeKubernetes, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The next deploy finishes what it began."""
    deploy("1")
    from infra.kind.api import Cluster

    class Killed(BaseException):
        pass

    calls = 0
    real = Cluster._call

    def dying(self: Cluster, method: str, *rest: Any, **more: Any) -> Any:
        nonlocal calls
        if method != "GET":
            calls += 1
            if calls == at:
                raise Killed
        return real(self, method, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Cluster, "_call", dying)
        with pytest.raises(Killed):
            deploy("2")
    assert asked(cluster) in ({"1": 1}, {"2": 1})
    assert deploy("2").version == "2"
    assert asked(cluster) == {"2": 1}


def test_stopped_it_answers_nobody_and_can_be_deployed_again(cluster: FakeKubernetes) -> None:
    deploy("1")
    assert endpoint.stop(workspace=Path(), name=NAME).state == "stopped"
    assert asked(cluster) == {}
    assert cluster.find("Deployment", deployment_name(NAME, ONE))["spec"]["replicas"] == 0
    assert [each.state for each in endpoint.endpoints(workspace=Path())] == ["stopped"]
    assert deploy("1").state == "serving"
    assert asked(cluster) == {"1": 1}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"port": 80}, "leave --port out"),
        ({"canary": 60}, "a canary of 60 percent"),
        ({"canary": -1}, "a canary of -1 percent"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    cluster: FakeKubernetes, options: dict[str, int], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        deploy("1", **options)
    assert not cluster.writes()


@pytest.mark.parametrize("name", ["Digits", "1st", "a" * 60, "a_b", ""])
def test_a_name_that_no_service_can_have_is_refused(cluster: FakeKubernetes, name: str) -> None:
    with pytest.raises(InputError, match="no name for a Service"):
        endpoint.deploy(workspace=Path(), name=name, version="1", model=Path())


def test_another_service_of_that_name_is_left_alone(cluster: FakeKubernetes) -> None:
    """An endpoint called mlflow must not take the tracking server's requests."""
    there = {"kind": "Service", "metadata": {"name": NAME}, "spec": {"selector": {"app": "x"}}}
    cluster.put(f"/api/v1/namespaces/kubeflow/services/{NAME}", there)
    with pytest.raises(InputError, match="is there, and no endpoint"):
        deploy("1")


def test_what_kubernetes_refuses_is_told_with_the_remedy(cluster: FakeKubernetes) -> None:
    cluster.refuses["deployments"] = 'deployments.apps is forbidden: User "x" cannot create'
    with pytest.raises(CredentialsError, match=r"cannot create; .*cluster up.* grants"):
        deploy("1")


def test_without_a_cluster_it_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ProviderError, match=r"no cluster to talk to.*cluster up"):
        deploy("1")


def test_two_deployers_at_once_end_with_one_version_asked(cluster: FakeKubernetes) -> None:
    deploy("1")
    threads = [threading.Thread(target=deploy, args=(version,)) for version in ("2", "3")]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(asked(cluster)) == 1


def test_of_two_first_deployers_neither_forgets_the_other(
    cluster: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not remembered is never scaled down, and no rollback reaches it."""
    found: list[Any] = []
    look = Cluster.find

    def late(own: Cluster, kind: str, name: str) -> Any:
        before = look(own, kind, name)
        started = any(each["kind"] == "Deployment" for each in cluster.objects.values())
        if kind == "Service" and started and not found:
            found.append(before)  # there is none, and now the other makes it
            deploy("1")
        return before

    monkeypatch.setattr(Cluster, "find", late)
    deploy("2")
    state = state_of(cluster.find("Service", NAME))
    assert (found, state.current, state.previous) == ([None], TWO, ONE)
