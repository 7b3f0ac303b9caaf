"""``cluster up`` makes what is missing, in order, once; and says why where it cannot."""

from __future__ import annotations

import base64
import json
import socket

import pytest

from infra.kind.cluster import PIPELINES, checks
from tests.infra.kind.cluster.machine import IMAGE, NEEDED, Machine

Capture = pytest.CaptureFixture[str]


def test_it_makes_the_whole_in_order(machine: Machine, capsys: Capture) -> None:
    """Kinds before what uses them, the namespace before what lies in it, images before the end."""
    machine.built()
    assert machine.up() == 0
    out = capsys.readouterr().out
    assert "http://127.0.0.1:8080" in out
    assert "http://127.0.0.1:5000" in out
    (create,) = machine.calls("kind", "create")
    assert create[:5] == ["kind", "create", "cluster", "--name", "trefoil"]
    assert machine.calls("kind", "load") == [
        ["kind", "load", "docker-image", IMAGE, "--name", "trefoil"]
    ]
    made = [path.rpartition("/")[2] for how, path in machine.server.writes() if how == "POST"]
    first, then, ours = 2, len(NEEDED), 13
    assert set(made[:first]) == {"namespaces", "customresourcedefinitions"}
    assert made[first : first + then] == ["deployments"] * then
    assert len(made) == first + then + ours
    namespace = machine.server.find("Namespace", "kubeflow")
    assert namespace["metadata"]["annotations"]["trefoil/pipelines"] == "2.17.0"


def test_the_node_is_bound_to_loopback_and_sees_the_data_alone(machine: Machine) -> None:
    """A page without a password must not be on the network, nor the machine's files in pods."""
    assert machine.up("--ui-port", "8181") == 0
    node = machine.state["node"]
    ports = node["HostConfig"]["PortBindings"]
    assert ports == {
        "30300/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8181"}],
        "30500/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5000"}],
    }
    data = str(machine.place / "data")
    assert node["Mounts"] == [{"Source": data, "Destination": "/trefoil/data"}]


def test_a_second_time_changes_nothing_and_says_so(machine: Machine, capsys: Capture) -> None:
    """Without --manifests it would have to fetch upstream's: it must see that they are there."""
    machine.built()
    assert machine.up() == 0
    before = machine.server.writes()
    capsys.readouterr()
    assert machine.cluster("up") == 0
    assert machine.server.writes() == before
    assert len(machine.calls("kind", "create")) == len(machine.calls("kind", "load")) == 1
    assert "nothing changed" in capsys.readouterr().out


def test_what_was_taken_away_comes_back(machine: Machine, capsys: Capture) -> None:
    """A half-made cluster is finished by the same command."""
    machine.is_up()
    for name in ("ml-pipeline", "mlflow"):
        del machine.server.objects[f"/apis/apps/v1/namespaces/kubeflow/deployments/{name}"]
    capsys.readouterr()
    assert machine.up("--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["changes"] == ["deployment.apps/ml-pipeline", "deployment.apps/mlflow"]


def test_the_kernels_limits_are_raised_only_where_they_are_low(machine: Machine) -> None:
    """Too few watches crash pods with "too many open files"; a larger setting is the person's."""
    limits = {"fs.inotify.max_user_instances": 8192, "fs.inotify.max_user_watches": 1000}
    machine.change(inotify=limits)
    assert machine.up() == 0
    assert machine.state["inotify"] == {**limits, "fs.inotify.max_user_watches": 655360}


def test_a_stopped_node_is_started(machine: Machine, capsys: Capture) -> None:
    """After the machine restarted, its cluster is there and stopped."""
    machine.is_up()
    node = machine.state["node"]
    machine.change(node={**node, "State": {"Running": False}})
    assert machine.cluster("status") == 1
    assert "stopped" in capsys.readouterr().out
    assert machine.cluster("up") == 0
    assert machine.calls("docker", "start")
    assert machine.cluster("status") == 0


def test_a_lost_kubeconfig_is_written_anew(machine: Machine) -> None:
    """Another tool may have removed the context; the cluster is as good as ever."""
    machine.is_up()
    (machine.place / "kubeconfig").unlink()
    assert machine.cluster("up") == 0
    assert machine.calls("kind", "export", "kubeconfig")


def test_options_that_kind_cannot_change_later_are_refused(
    machine: Machine, capsys: Capture
) -> None:
    """Silently keeping the old folder would have steps read other data than was said."""
    machine.is_up()
    (machine.place / "other").mkdir()
    assert machine.up("--data", "other") == 2
    assert "sees the data folder" in capsys.readouterr().err
    assert machine.up("--gpu") == 2
    assert machine.up("--mlflow-port", "5001") == 2
    assert machine.up("--data", "data", "--mlflow-port", "5000") == 0


def test_another_image_for_mlflow_is_taken(machine: Machine) -> None:
    """Whoever mirrors images has them under other names."""
    assert machine.up("--mlflow-image", "mirror.example/mlflow:v3.17.2") == 0
    deployment = machine.server.find("Deployment", "mlflow")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "mirror.example/mlflow:v3.17.2"


def test_an_image_without_a_version_is_refused_before_anything_of_ours_is_applied(
    machine: Machine, capsys: Capture
) -> None:
    """The rules are asked by `up` itself, not only by tests."""
    assert machine.up("--mlflow-image", "mlflow:latest") == 1
    assert "mlflow:latest has no tag of its own" in capsys.readouterr().err
    assert not any("roles" in path for _, path in machine.server.writes())


# Postgres


def password(machine: Machine) -> str:
    secret = machine.server.find("Secret", "mlflow-postgres")
    return base64.b64decode(secret["data"]["password"]).decode()


def test_postgres_has_a_password_that_is_nowhere_else(machine: Machine, capsys: Capture) -> None:
    """A secret in a log, an argument or a file is no secret."""
    assert machine.up("--postgres") == 0
    secret = password(machine)
    assert len(secret) > 30
    captured = capsys.readouterr()
    assert secret not in captured.out + captured.err
    for file in machine.place.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file
    annotations = machine.server.find("Secret", "mlflow-postgres")["metadata"].get("annotations")
    assert not annotations  # apply would have written it there a second time
    args = machine.server.find("Deployment", "mlflow")["spec"]["template"]["spec"]
    assert secret not in json.dumps(args)


def test_postgres_stays_and_keeps_its_password(machine: Machine) -> None:
    """A new password would lock MLflow out; SQLite again would hide every run."""
    assert machine.up("--postgres") == 0
    before = password(machine)
    assert machine.up() == 0
    assert password(machine) == before
    assert machine.server.find("Deployment", "mlflow-postgres")


def test_postgres_over_sqlite_is_refused(machine: Machine, capsys: Capture) -> None:
    """The runs that are there would be out of sight."""
    machine.is_up()
    assert machine.up("--postgres") == 2
    assert "out of sight" in capsys.readouterr().err


# Images


def test_images_not_built_are_told_in_one_sentence(machine: Machine, capsys: Capture) -> None:
    """The cluster is of use before; a run that finds no image is not."""
    assert machine.up() == 0
    assert "python -m pipelines image build" in capsys.readouterr().out
    assert not machine.calls("kind", "load")


def test_an_image_of_other_content_is_loaded_again(machine: Machine) -> None:
    """A tag can be given twice, as with another base image: the ID tells them apart."""
    machine.built()
    assert machine.up() == 0
    other = f"sha256:{'6' * 64}"
    machine.change(images={IMAGE: other})
    machine.built(identity=other)
    assert machine.up() == 0
    assert len(machine.calls("kind", "load")) == 2


@pytest.mark.parametrize("images", [{}, {IMAGE: "sha256:another"}])
def test_an_image_that_docker_lost_is_told(
    images: dict[str, str], machine: Machine, capsys: Capture
) -> None:
    machine.built()
    machine.change(images=images)
    assert machine.up() == 2
    assert "build it again: python -m pipelines image build" in capsys.readouterr().err


def test_a_broken_note_of_images_is_told_before_anything_is_made(
    machine: Machine, capsys: Capture
) -> None:
    (machine.place / "workspace" / "images.json").write_text('{"trainer": 3}', encoding="utf-8")
    assert machine.up() == 2
    assert "is damaged" in capsys.readouterr().err
    assert not machine.calls("kind", "create")


# Tools that are missing, old or failing


def refused(machine: Machine, capsys: Capture, name: str) -> str:
    """The line of the check that fails; that nothing was made."""
    assert machine.up() == 2
    said = capsys.readouterr().err
    assert f"see to {name}\n" in said
    assert not machine.calls("kind", "create")
    assert not machine.server.requests
    (line,) = [each for each in said.splitlines() if each.startswith(f"✗ {name}")]
    return line


@pytest.mark.parametrize("program", ["docker", "kind", "kubectl"])
def test_a_missing_program_is_told(program: str, machine: Machine, capsys: Capture) -> None:
    (machine.bin / program).unlink()
    assert "is not on PATH" in refused(machine, capsys, program)


def test_git_is_needed_only_to_fetch(machine: Machine, capsys: Capture) -> None:
    """kubectl's kustomize fetches upstream with git, and says only "exec: git" without it."""
    (machine.bin / "git").unlink()
    assert machine.cluster("up") == 2
    assert "✗ git" in capsys.readouterr().err
    assert machine.up() == 0


def test_an_old_kind_is_told(machine: Machine, capsys: Capture) -> None:
    machine.change(kind="0.20.0")
    assert "0.20.0 is too old; 0.28 or newer" in refused(machine, capsys, "kind")


def test_an_old_kubectl_is_told(machine: Machine, capsys: Capture) -> None:
    """Debian's does not know half of what upstream's kustomizations say."""
    machine.install("kubectl", """echo '{"clientVersion": {"gitVersion": "v1.20.2"}}'""")
    assert "1.20.2 is too old; 1.27 or newer" in refused(machine, capsys, "kubectl")


def test_a_folder_that_is_no_copy_of_upstreams_is_told(machine: Machine, capsys: Capture) -> None:
    assert machine.cluster("up", "--manifests", str(machine.place / "data")) == 2
    assert "is no copy of manifests/kustomize" in capsys.readouterr().err
    assert not machine.calls("kind", "create")


def test_no_daemon_is_told(machine: Machine, capsys: Capture) -> None:
    machine.change(fails={"docker info": "Cannot connect to the Docker daemon at unix:///x"})
    assert "start Docker, or point DOCKER_HOST" in refused(machine, capsys, "docker")


def test_too_little_memory_is_told(machine: Machine, capsys: Capture) -> None:
    machine.change(info={**machine.state["info"], "MemTotal": 4_100_000_000})
    assert "4.1 GB for Docker, at least 6 GB" in refused(machine, capsys, "memory")


def test_little_memory_is_said_and_no_reason_to_refuse(machine: Machine, capsys: Capture) -> None:
    machine.change(info={**machine.state["info"], "MemTotal": 7_000_000_000})
    assert machine.up() == 0
    assert "– memory" in capsys.readouterr().err


def test_arm64_is_refused(machine: Machine, capsys: Capture) -> None:
    """Its images do not run there; it would end in crashes without a word."""
    machine.change(info={**machine.state["info"], "Architecture": "aarch64"})
    assert "for amd64 alone" in refused(machine, capsys, "machine")


def test_a_full_disk_is_told(
    machine: Machine, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.kind.cluster.checks._DISK_GB", 1e9)
    machine.change(info={**machine.state["info"], "DockerRootDir": str(machine.place)})
    assert "docker system prune" in refused(machine, capsys, "disk")


def test_a_port_that_is_taken_is_told_with_the_flag_that_helps(
    machine: Machine, capsys: Capture
) -> None:
    machine.taken.add(5000)
    assert "choose another with --mlflow-port" in refused(machine, capsys, "port")
    assert machine.up("--mlflow-port", "5001") == 0


def test_a_port_is_tried_on_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert checks._taken(port)
    assert not checks._taken(port)
    assert checks._taken(70000)


def test_gpus_need_nvidias_runtime(machine: Machine, capsys: Capture) -> None:
    assert machine.up("--gpu") == 2
    assert "nvidia-ctk runtime configure" in capsys.readouterr().err


def test_a_data_folder_that_is_not_there_is_told(machine: Machine, capsys: Capture) -> None:
    assert machine.up("--data", "nowhere") == 2
    assert "name one with --data" in capsys.readouterr().err


def test_a_failing_kind_is_told_with_its_last_lines(machine: Machine, capsys: Capture) -> None:
    machine.change(fails={"kind create": "ERROR: node image not found"})
    assert machine.up() == 1
    said = capsys.readouterr().err
    assert "error: kind create cluster failed with exit code 1" in said
    assert said.rstrip().endswith("ERROR: node image not found")


def test_a_refused_apply_is_told_with_the_servers_words(machine: Machine, capsys: Capture) -> None:
    machine.server.refuses["networkpolicies"] = "exceeded quota"
    assert machine.up() == 1
    said = capsys.readouterr().err
    assert "kubectl apply -f failed" in said
    assert "exceeded quota" in said


def test_upstream_is_fetched_at_the_tag_of_its_release(machine: Machine) -> None:
    """The addresses are what kustomize and git make of them; git is led to a folder instead."""
    machine.publish(PIPELINES)
    assert machine.cluster("up") == 0
    assert machine.server.find("Deployment", "ml-pipeline")
    assert machine.server.find("CustomResourceDefinition", "applications.app.k8s.io")


def test_a_release_that_cannot_be_fetched_is_told(machine: Machine, capsys: Capture) -> None:
    machine.publish("1.0.0")
    assert machine.cluster("up") == 1
    said = capsys.readouterr().err
    assert "kubectl apply -k failed with exit code 1" in said
    assert f"couldn't find remote ref {PIPELINES}" in said
