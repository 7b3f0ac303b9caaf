"""``cluster status`` tells what a run needs; ``cluster down`` ends all of it, once it may."""

from __future__ import annotations

import json
import sys

import pytest

from tests.infra.kind.cluster.machine import IMAGE, NEEDED, Machine
from tests.infra.kind.cluster.test_waiting import PULL, put_pod

Capture = pytest.CaptureFixture[str]


def test_no_cluster_is_told_with_what_to_do(machine: Machine, capsys: Capture) -> None:
    assert machine.cluster("status") == 1
    assert "python -m pipelines cluster up makes one" in capsys.readouterr().out
    assert machine.cluster("status", "--json") == 1
    assert json.loads(capsys.readouterr().out) == {"cluster": None}


def test_a_cluster_that_is_well_tells_its_addresses_and_versions(
    machine: Machine, capsys: Capture
) -> None:
    """What a person copies into a browser, and what a report of a fault must name."""
    machine.built()
    assert machine.up("--ui-port", "8181") == 0
    capsys.readouterr()
    assert machine.cluster("status", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ui"], answer["mlflow"]) == ("http://127.0.0.1:8181", "http://127.0.0.1:5000")
    assert (answer["pipelines"], answer["kubernetes"]) == ("2.17.0", "v1.33.0")
    assert answer["images"] == [f"docker.io/library/{IMAGE}"]
    assert [each["name"] for each in answer["deployments"]] == [*NEEDED, "mlflow"]
    assert all(each["ready"] for each in answer["deployments"])
    assert machine.cluster("status") == 0
    told = capsys.readouterr().out
    assert "http://127.0.0.1:8181" in told
    assert "http://mlflow.kubeflow:5000" in told


def test_a_deployment_that_is_not_well_is_told_with_its_reason(
    machine: Machine, capsys: Capture
) -> None:
    machine.server.stuck.add("mlflow")
    put_pod(machine, PULL)
    assert machine.up("--timeout", "0.01") == 1
    del machine.server.objects["/apis/apps/v1/namespaces/kubeflow/deployments/ml-pipeline"]
    capsys.readouterr()
    assert machine.cluster("status") == 1
    told = capsys.readouterr().out
    assert "✗ ml-pipeline " in told
    assert "is not there; python -m pipelines cluster up" in told
    assert "cannot be pulled (ImagePullBackOff): no route to host" in told


def test_down_says_what_is_lost_and_asks_for_consent(machine: Machine, capsys: Capture) -> None:
    """In a script nobody can be asked: it must not be deleted by accident."""
    machine.is_up()
    capsys.readouterr()
    assert machine.cluster("down") == 2
    said = capsys.readouterr().err
    assert "MLflow's runs, models and registry" in said
    assert "--yes" in said
    assert not machine.calls("kind", "delete")


@pytest.mark.parametrize(("answer", "deleted"), [("y", True), ("", False), ("no", False)])
def test_on_a_terminal_down_asks(
    answer: str, deleted: bool, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.is_up()
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert machine.cluster("down") == (0 if deleted else 2)
    assert bool(machine.calls("kind", "delete")) is deleted


def test_down_deletes_the_cluster_once(machine: Machine, capsys: Capture) -> None:
    machine.is_up()
    capsys.readouterr()
    assert machine.cluster("down", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": True}
    assert machine.calls("kind", "delete") == [["kind", "delete", "cluster", "--name", "trefoil"]]
    assert machine.cluster("down") == 0
    assert "there is no cluster" in capsys.readouterr().out
    assert len(machine.calls("kind", "delete")) == 1
