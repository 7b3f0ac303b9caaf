"""The node, a container of Docker: made from manifests/kind.yaml, read back from the daemon."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from infra import docker
from infra.errors import InputError, ProviderError
from infra.kind.cluster import (
    MANIFESTS,
    MLFLOW_NODE_PORT,
    MLFLOW_PORT,
    NAME,
    NODE,
    UI_NODE_PORT,
    UI_PORT,
    Options,
    tools,
)
from infra.kind.cluster.tools import Say

_DATA = "/trefoil/data"
_EVERY_GPU = "/var/run/nvidia-container-devices/all"
_INOTIFY = {"fs.inotify.max_user_instances": 1280, "fs.inotify.max_user_watches": 655360}
"""Below these, pods of Kubeflow Pipelines crash with "too many open files"."""
_TRIES = 30
_REMEDY = "python -m pipelines cluster down, then up"


class Node(NamedTuple):
    """A node as it is: the ports of this machine that lead to it, and what it sees of it."""

    running: bool
    ui_port: int
    mlflow_port: int
    data: str
    gpu: bool

    @property
    def ui(self) -> str:
        """Address of the page and the API of Kubeflow Pipelines."""
        return f"http://127.0.0.1:{self.ui_port}"

    @property
    def mlflow(self) -> str:
        """Address of MLflow."""
        return f"http://127.0.0.1:{self.mlflow_port}"


def find() -> Node | None:
    """The node; None where there is no cluster. Raises ProviderError where Docker fails."""
    done = docker.attempt("container", "inspect", "--format", "{{json .}}", NODE)
    if done.returncode:
        if "no such" in done.stderr.lower():
            return None
        raise ProviderError(docker.said(done.stderr))
    found: dict[str, Any] = json.loads(done.stdout)
    bound = found["HostConfig"]["PortBindings"] or {}
    mounts = {each["Destination"]: each.get("Source", "") for each in found["Mounts"]}
    return Node(
        running=found["State"]["Running"],
        ui_port=_port(bound, UI_NODE_PORT),
        mlflow_port=_port(bound, MLFLOW_NODE_PORT),
        data=mounts.get(_DATA, "").removeprefix("/host_mnt"),  # Docker Desktop's own
        gpu=_EVERY_GPU in mounts,
    )


def create(options: Options, say: Say) -> Node:
    """Make the cluster. Raises ToolFailed; InputError where the data folder is not there."""
    config = json.dumps(configuration(options))  # JSON is YAML
    say(f"▶ kind makes the cluster {NAME}: a first time takes minutes")
    tools.follow("kind", "create", "cluster", "--name", NAME, "--config", "-", "--wait", "120s",
                 timeout=900, say=say, text=config)  # fmt: skip
    made = find()
    if made is None:
        raise ProviderError(f"kind made the cluster {NAME}, but Docker has no container {NODE}")
    return made


def configuration(options: Options) -> dict[str, Any]:
    """manifests/kind.yaml with this machine's folder and ports. Raises InputError."""
    import yaml

    data = Path(options.data or "data").resolve()
    if not data.is_dir():
        raise InputError(f"the data folder {data} is not there; name one with --data")
    config: dict[str, Any] = yaml.safe_load((MANIFESTS / "kind.yaml").read_text(encoding="utf-8"))
    node = config["nodes"][0]
    chosen = {UI_NODE_PORT: options.ui_port or UI_PORT}
    chosen[MLFLOW_NODE_PORT] = options.mlflow_port or MLFLOW_PORT
    for mapping in node["extraPortMappings"]:
        mapping["hostPort"] = chosen[mapping["containerPort"]]
    node["extraMounts"][0]["hostPath"] = str(data)
    if options.gpu:
        node["extraMounts"].append({"hostPath": "/dev/null", "containerPath": _EVERY_GPU})
    return config


def require_same(node: Node, options: Options) -> None:
    """Refuse options that a node which is there cannot take on. Raises InputError."""
    wanted = Path(options.data).resolve() if options.data else None
    for differs, what in (
        (wanted and str(wanted) != node.data, f"sees the data folder {node.data}, not {wanted}"),
        (
            options.ui_port and options.ui_port != node.ui_port,
            f"has its page at port {node.ui_port}, not {options.ui_port}",
        ),
        (
            options.mlflow_port and options.mlflow_port != node.mlflow_port,
            f"has MLflow at port {node.mlflow_port}, not {options.mlflow_port}",
        ),
        (options.gpu and not node.gpu, "was made without --gpu"),
    ):
        if differs:
            raise InputError(f"the cluster {NAME} {what}, and kind cannot change that; {_REMEDY}")


def wake(node: Node, say: Say) -> bool:
    """Start the node if it is stopped, and wait for its API; whether it was. Raises."""
    if not node.running:
        say(f"▶ starting the stopped node {NODE}")
        docker.ask("start", NODE)
    if _answers():
        return not node.running
    tools.run("kind", "export", "kubeconfig", "--name", NAME, timeout=30)  # perhaps it was lost
    for _ in range(_TRIES):
        if _answers():
            return not node.running
        time.sleep(2)
    raise ProviderError(f"the cluster {NAME} is there, but its API does not answer; {_REMEDY}")


def raise_limits(say: Say) -> bool:
    """Raise the kernel's limits on watched files where they are too low; whether they were."""
    found = docker.ask("exec", NODE, "sysctl", "-n", *_INOTIFY).split()
    low = [
        f"{name}={least}"
        for (name, least), value in zip(_INOTIFY.items(), found, strict=True)
        if int(value) < least
    ]
    if low:
        docker.ask("exec", NODE, "sysctl", "-w", *low)
        say(f"✓ raised for this machine's kernel, until it restarts: {', '.join(low)}")
    return bool(low)


def _answers() -> bool:
    try:
        tools.kubectl("get", "--raw", "/readyz", timeout=20)
    except tools.ToolFailed:
        return False
    return True


def _port(bound: dict[str, Any], of_the_node: int) -> int:
    mapped = bound.get(f"{of_the_node}/tcp") or [{"HostPort": 0}]
    return int(mapped[0]["HostPort"])
