"""Kubernetes in a rehearsal: what it refuses, and pods that run, answer, fail and end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.errors import ProviderError
from infra.kind.api import Cluster
from infra.kind.endpoint_manifests import Release, deployment_name, labels
from infra.kind.ready import ready, until_ready
from tests.infra.kind.rehearsing import standing
from tests.served import until

ROOT = Path(__file__).parents[3]
NAME, RELEASE = "web", Release("web", "1")
FULL = deployment_name(NAME, RELEASE)
SERVER = """
import http.server, pathlib, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(pathlib.Path(sys.argv[2], "page").read_bytes())
print("on", sys.argv[1], flush=True)
http.server.HTTPServer((sys.argv[3], int(sys.argv[1])), Handler).serve_forever()
"""
WRITE = "import pathlib, sys; pathlib.Path(sys.argv[1], 'page').write_text('hello')"


def pods(fetch: str = WRITE, **changes: Any) -> dict[str, Any]:
    """A Deployment whose init container writes what its server then answers."""
    mount = {"name": "shared", "mountPath": "/shared"}
    common = {
        "image": "python:3.11-slim",
        "resources": {"limits": {"cpu": "1", "memory": "64Mi"}},
        "volumeMounts": [mount],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    probe = {"httpGet": {"path": "/", "port": "http"}}
    server = {
        **common, "name": "server", "command": ["python", "-S", "-c", SERVER],
        "args": ["8080", "/shared", "0.0.0.0"],  # noqa: S104
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": probe, "livenessProbe": probe, **changes,
    }  # fmt: skip
    first = {**common, "name": "fetch", "command": ["python", "-S", "-c", fetch, "/shared"]}
    secure = {
        "runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}
    }  # fmt: skip
    spec = {
        "automountServiceAccountToken": False, "securityContext": secure,
        "initContainers": [first], "containers": [server],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }  # fmt: skip
    own = labels(NAME, RELEASE)
    return {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": FULL, "namespace": "kubeflow"},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": own},
            "template": {"metadata": {"labels": own}, "spec": spec},
        },
    }  # fmt: skip


def service() -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": NAME, "namespace": "kubeflow"},
        "spec": {"selector": labels(NAME), "ports": [{"port": 80, "targetPort": "http"}]},
    }  # fmt: skip


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with standing(tmp_path), Cluster() as found:
        yield found


def is_ready(cluster: Cluster) -> bool:
    return ready(cluster.find("Deployment", FULL))


def page(cluster: Cluster) -> str:
    """What the Service answers, by the API server's own proxy."""
    host = cluster._client.configuration.host
    where = f"{host}/api/v1/namespaces/kubeflow/services/{NAME}/proxy/"
    return httpx.get(where, timeout=10).text


def test_pods_of_a_deployment_answer_behind_a_service(cluster: Cluster) -> None:
    """What a rehearsal serves is the manifest's own commands, volumes and probes."""
    cluster.apply(pods())
    cluster.apply(service())
    until(lambda: is_ready(cluster))
    assert page(cluster) == "hello"
    (pod,) = cluster.all("Pod", labels(NAME))
    assert pod["status"]["phase"] == "Running"
    assert cluster.log(pod["metadata"]["name"], "server", False, 5)[0].startswith("on ")
    cluster.patch("Deployment", FULL, {"spec": {"replicas": 2}})
    until(lambda: is_ready(cluster))
    assert len(cluster.all("Pod", labels(NAME))) == 2
    cluster.delete("Deployment", FULL)
    assert cluster.all("Pod", labels(NAME)) == []
    assert "no endpoints available" in page(cluster)


def test_another_template_replaces_the_pods(cluster: Cluster) -> None:
    cluster.apply(pods())
    until(lambda: is_ready(cluster))
    (before,) = cluster.all("Pod", labels(NAME))
    cluster.apply(pods(WRITE.replace("hello", "other")))
    cluster.apply(service())
    until(lambda: is_ready(cluster) and cluster.all("Pod", labels(NAME)) != [before])
    until(lambda: page(cluster) == "other")


def test_a_container_that_always_fails_gives_its_log_at_once(cluster: Cluster) -> None:
    """Somebody who rehearses should not wait five minutes to be told of a wrong version."""
    cluster.apply(pods("print('no such version'); raise SystemExit(3)"))
    words = r"(?s)version 1 fails: its container fetch ended with exit code 3\n +no such version"
    with pytest.raises(ProviderError, match=words):
        until_ready(cluster, NAME, RELEASE, 300)


def test_a_server_that_dies_is_started_again(cluster: Cluster, tmp_path: Path) -> None:
    cluster.apply(pods())
    until(lambda: is_ready(cluster))
    (server,) = _running(tmp_path)
    os.kill(server, signal.SIGKILL)
    until(lambda: _containers(cluster)["server"]["restartCount"] == 1)
    until(lambda: is_ready(cluster))
    assert _containers(cluster)["server"]["lastState"]["terminated"]["exitCode"] == 137


def _containers(cluster: Cluster) -> dict[str, Any]:
    (pod,) = cluster.all("Pod", labels(NAME))
    return {each["name"]: each for each in pod["status"]["containerStatuses"]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"readinessProb": {}}, r"containers\[0\]\.readinessProb is not a field"),
        ({"ports": [{"containerPort": "8080"}]},
         r"containers\[0\]\.ports\[0\]\.containerPort: '8080' is not a whole number"),
        ({"image": "trefoil-server"}, "container server: the image trefoil-server has no tag"),
        ({"volumeMounts": [{"name": "model", "mountPath": "/x"}]},
         "mounts the volume model, which is not among its volumes"),
        ({"resources": {}}, "container server: has no limit of cpu"),
        ({"command": []}, "the stand-in has no image to look into: give server a command"),
    ],
)  # fmt: skip
def test_a_manifest_that_a_cluster_would_refuse_is_refused(
    cluster: Cluster, change: dict[str, Any], words: str
) -> None:
    """By the field or the container that is wrong, while it costs nothing."""
    with pytest.raises(
        ProviderError, match=f'answers 422: Deployment "{FULL}" is invalid.*{words}'
    ):
        cluster.apply(pods(**change))
    assert cluster.find("Deployment", FULL) is None


def test_a_patch_may_not_break_an_object(cluster: Cluster) -> None:
    cluster.apply(pods())
    with pytest.raises(ProviderError, match=r"Deployment\.spec\.replicas: 'two' is not a whole"):
        cluster.patch("Deployment", FULL, {"spec": {"replicas": "two"}})


def test_a_service_that_leads_nowhere_is_refused(cluster: Cluster) -> None:
    with pytest.raises(ProviderError, match=r"422: Service .*meets no pod"):
        cluster.apply(service())


@pytest.mark.parametrize("path", ["/apis/apps/v1/namespaces/kubeflow/widgets", "/apis/x/v1/y"])
def test_an_unknown_path_is_refused(cluster: Cluster, path: str) -> None:
    answer = httpx.get(cluster._client.configuration.host + path)
    assert (answer.status_code, answer.json()["reason"]) == (404, "NotFound")


def test_nobody_is_led_to_a_persons_own_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rehearsal that deployed to what kubectl happens to point at would be a catastrophe."""
    monkeypatch.setenv("KUBECONFIG", "/a/persons/own")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with standing(tmp_path):
        leads = json.loads(Path(os.environ["KUBECONFIG"]).read_text())
        assert leads["clusters"][0]["cluster"]["server"].startswith("http://127.0.0.1:")
        assert "KUBERNETES_SERVICE_HOST" not in os.environ
    assert os.environ["KUBECONFIG"] == "/a/persons/own"
    assert os.environ["KUBERNETES_SERVICE_HOST"] == "10.0.0.1"


def test_what_is_served_ends_with_the_command_and_is_there_in_the_next(tmp_path: Path) -> None:
    with standing(tmp_path), Cluster() as cluster:
        cluster.apply(pods())
        cluster.apply(service())
        until(lambda: is_ready(cluster))
        running = _running(tmp_path)
        assert running
    assert not any(map(_lives, running))
    with standing(tmp_path, None), Cluster() as cluster:
        assert is_ready(cluster), "whoever looks finds it as it was"
        assert page(cluster) == "hello"


def test_two_commands_at_once_do_not_end_each_others_pods(tmp_path: Path) -> None:
    with standing(tmp_path), Cluster() as cluster:
        cluster.apply(pods())
        until(lambda: is_ready(cluster))
        with (
            standing(tmp_path, None),
            Cluster() as other,
            pytest.raises(ProviderError, match="another command rehearses with this cluster"),
        ):
            other.find("Deployment", FULL)
        assert all(map(_lives, _running(tmp_path)))


def test_what_a_killed_command_left_running_is_ended_by_the_next(tmp_path: Path) -> None:
    code = """
import json, pathlib, sys, time
from tests.infra.kind.rehearsing import standing
from infra.kind.api import Cluster
with standing(pathlib.Path(sys.argv[1])), Cluster() as cluster:
    cluster.apply(json.loads(sys.argv[2]))
    time.sleep(600)
"""
    killed = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), json.dumps(pods())],
                              cwd=ROOT)  # fmt: skip
    until(lambda: any("server" in each.name for each in _logs(tmp_path)))
    until(lambda: _running(tmp_path))
    left = _running(tmp_path)
    killed.kill()
    killed.wait()
    assert all(map(_lives, left)), "it was ended without the next command"
    with standing(tmp_path, None), Cluster() as cluster:
        cluster.find("Service", NAME)
        assert not any(map(_lives, left))
        assert is_ready(cluster)


def _logs(workspace: Path) -> list[Path]:
    return list(workspace.glob("kubernetes/pods/*/*.log"))


def _running(workspace: Path) -> list[int]:
    """The processes of pods, as they wrote them down."""
    found = []
    for each in workspace.glob("kubernetes/pods/*/alive"):
        with contextlib.suppress(ValueError):
            found.append(int(each.read_text()))
    return found


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
