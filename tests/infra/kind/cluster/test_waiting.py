"""A Deployment that does not become ready is told with the reason that its pods give."""

from __future__ import annotations

from typing import Any

import pytest

from infra.kind.cluster import waiting
from tests.infra.kind.cluster.machine import Machine

Capture = pytest.CaptureFixture[str]


def put_pod(machine: Machine, status: dict[str, Any]) -> None:
    """A pod of MLflow as the kubelet would tell of it."""
    meta = {"name": "mlflow-1", "namespace": "kubeflow", "labels": {"app": "mlflow"}}
    spec = {"containers": [{"name": "mlflow"}]}
    body = {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": spec, "status": status}
    machine.server.put("/api/v1/namespaces/kubeflow/pods/mlflow-1", body)


def container(kind: str = "containerStatuses", **state: Any) -> dict[str, Any]:
    return {kind: [{"name": "mlflow", "image": "mlflow:v3", **state}]}


def waits(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


PULL = container(state=waits("ImagePullBackOff", "no route to host"))
CRASH = container(
    state=waits("CrashLoopBackOff", "back-off 5m0s"),
    lastState={"terminated": {"exitCode": 3, "reason": "Error"}},
)
KILLED = container(
    state=waits("CrashLoopBackOff"),
    lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
)
UNPLACED = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: too little memory"}
REASONS: list[tuple[str, dict[str, Any]]] = [
    ("the image mlflow:v3 cannot be pulled (ImagePullBackOff): no route to host", PULL),
    (
        "the image mlflow:v3 cannot be pulled (ErrImageNeverPull): not in the node",
        container("initContainerStatuses", state=waits("ErrImageNeverPull", "not in the node")),
    ),
    ("its container mlflow ended with exit code 3", CRASH),
    ("its container mlflow ended with exit code 137: it took more memory than its limit", KILLED),
    (
        "its container mlflow waits (CreateContainerConfigError): no secret x",
        container(state=waits("CreateContainerConfigError", "no secret x")),
    ),
    ("no room for its pod: 0/1 nodes: too little memory", {"conditions": [UNPLACED]}),
    (
        "its pod failed (Evicted): the node is low on disk",
        {"phase": "Failed", "reason": "Evicted", "message": "the node is low on disk"},
    ),
]


@pytest.mark.parametrize(("words", "status"), REASONS, ids=[words for words, _ in REASONS])
def test_a_pod_tells_its_reason(words: str, status: dict[str, Any]) -> None:
    """ "timed out waiting for the condition" sends a person to search for half an hour."""
    assert list(waiting.pod_reasons({"status": status})) == [words]


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"phase": "Running"},
        container(state={"running": {}}),
        container(state=waits("ContainerCreating")),
        container(state={"terminated": {"exitCode": 0}}),
    ],
)
def test_a_pod_on_its_way_is_not_blamed(status: dict[str, Any]) -> None:
    assert not list(waiting.pod_reasons({"status": status}))


def test_up_ends_with_the_reason_and_the_last_lines(machine: Machine, capsys: Capture) -> None:
    machine.server.stuck.add("mlflow")
    machine.server.logs["mlflow-1"] = "starting\ncannot open /mlflow\n"
    put_pod(machine, CRASH)
    assert machine.up("--timeout", "0.01") == 1
    said = capsys.readouterr().err
    assert (
        "error: mlflow is not ready within 0.01 minutes: "
        "its container mlflow ended with exit code 3\n    starting\n    cannot open /mlflow\n"
    ) in said
    assert "kubectl -n kubeflow describe deployment/mlflow" in said


def test_a_log_that_is_gone_takes_no_reason_away(machine: Machine, capsys: Capture) -> None:
    """The node keeps the log of a crashed container only for a while."""
    machine.server.stuck.add("mlflow")
    put_pod(machine, CRASH)
    del machine.server.find("Pod", "mlflow-1")["spec"]
    assert machine.up("--timeout", "0.01") == 1
    assert "ended with exit code 3\n  look on with" in capsys.readouterr().err


def test_a_job_of_upstream_is_waited_for(machine: Machine, capsys: Capture) -> None:
    """Until one has made the bucket, the first run would fail with words about S3."""
    meta = {
        "name": "init-seaweedfs", "namespace": "kubeflow",
        "labels": {"application-crd-id": "kubeflow-pipelines"},
    }  # fmt: skip
    job = {"kind": "Job", "apiVersion": "batch/v1", "metadata": meta, "spec": {}}
    machine.server.put("/apis/batch/v1/namespaces/kubeflow/jobs/init-seaweedfs", job)
    assert machine.up() == 0
    assert "✓ init-seaweedfs is done" in capsys.readouterr().err
