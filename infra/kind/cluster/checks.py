"""What this machine must have before a cluster is made: one line each, with what to do."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra import docker
from infra.errors import TrefoilError
from infra.kind.cluster import MLFLOW_PORT, PIPELINES, UI_PORT, Options, tools

_KIND = (0, 28)
"""The first whose nodes are of Kubernetes 1.33, the oldest that upstream tries 2.17 on."""
_KUBECTL = (1, 27)
"""The first with kustomize 5, in which upstream's manifests are written."""
_LEAST_GB, _WELL_GB = 6.0, 8.0
"""Memory: its Deployments ask for 3.2 GB together, the node and the steps come on top."""
_DISK_GB = 20.0
"""An estimate: the node's image, upstream's and ours, and room for artefacts."""
_AMD64 = ("x86_64", "amd64")


class Check(NamedTuple):
    """One thing that was looked at; where ``needed`` and not ``well``, no cluster is made."""

    name: str
    well: bool
    words: str
    needed: bool = True


def checks(options: Options, there: bool) -> Iterator[Check]:
    """Look at everything in turn; ``there`` says that the cluster exists already."""
    try:
        info: Mapping[str, Any] = _daemon()
    except TrefoilError as error:
        info = {}
        yield Check("docker", False, str(error))
    else:
        yield Check("docker", True, f"{info['ServerVersion']}, answers")
    yield _version("kind", _KIND, "https://kind.sigs.k8s.io", "version")
    yield _version("kubectl", _KUBECTL, "https://kubernetes.io/docs/tasks/tools", "version",
                   "--client", "--output=json")  # fmt: skip
    yield _copy(Path(options.manifests)) if options.manifests else _git()
    if info:
        yield _architecture(str(info["Architecture"]))
        yield _memory(float(info["MemTotal"]) / 1e9)
        yield from _disk(Path(str(info["DockerRootDir"])))
        if options.gpu:
            yield _gpu(str(info.get("DefaultRuntime")))
    if not there:
        yield from _ports(options)


def _daemon() -> Mapping[str, Any]:
    done = docker.attempt("info", "--format", "{{json .}}")
    info: dict[str, Any] = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    if not info.get("ServerVersion"):
        errors = info.get("ServerErrors") or [docker.said(done.stderr)]
        raise TrefoilError(f"{errors[0]}; start Docker, or point DOCKER_HOST to a daemon")
    return info


def _version(program: str, least: tuple[int, int], home: str, *words: str) -> Check:
    wanted = f"{least[0]}.{least[1]} or newer"
    try:
        said = tools.run(program, *words, timeout=20)
    except TrefoilError as error:
        return Check(program, False, f"{error} ({wanted}): {home}")
    match = re.search(r"v(\d+)\.(\d+)[\w.-]*", said)
    if match is None:
        return Check(program, False, f"tells no version; {wanted} is needed: {home}")
    well = (int(match[1]), int(match[2])) >= least
    told = match[0].removeprefix("v")
    return Check(program, well, told if well else f"{told} is too old; {wanted}: {home}")


def _git() -> Check:
    found = shutil.which("git")
    return Check("git", bool(found), found or "not on PATH; kubectl fetches manifests with it")


def _copy(folder: Path) -> Check:
    if (folder / "env" / "platform-agnostic").is_dir():
        return Check("manifests", True, str(folder))
    words = f"{folder} is no copy of manifests/kustomize of github.com/kubeflow/pipelines"
    return Check("manifests", False, f"{words} at {PIPELINES}")


def _architecture(found: str) -> Check:
    if found in _AMD64:
        return Check("machine", True, "amd64")
    return Check(
        "machine",
        False,
        f"{found}, and the images of Kubeflow Pipelines {PIPELINES} are for amd64 alone; "
        "use an amd64 machine, or --provider local here",
    )


def _memory(gigabytes: float) -> Check:
    words = f"{gigabytes:.1f} GB for Docker"
    if gigabytes < _LEAST_GB:
        more = f"{words}, at least {_LEAST_GB:g} GB are needed; give Docker more memory"
        return Check("memory", False, more)
    if gigabytes < _WELL_GB:
        words += f"; {_WELL_GB:g} GB leave room for training"
        return Check("memory", False, words, needed=False)
    return Check("memory", True, words)


def _disk(root: Path) -> Iterator[Check]:
    if not root.exists():  # the daemon is on another machine, or in one of its own
        return
    free = shutil.disk_usage(root).free / 1e9
    words = f"{free:.0f} GB free in {root}"
    if free < _DISK_GB:
        words += f", {_DISK_GB:g} GB are needed; `docker system prune` makes room"
    yield Check("disk", free >= _DISK_GB, words)


def _gpu(runtime: str) -> Check:
    if runtime == "nvidia":
        return Check("gpu", True, "NVIDIA's runtime is Docker's default")
    return Check(
        "gpu",
        False,
        f"Docker's default runtime is {runtime}; kind hands GPUs on only under NVIDIA's: "
        "sudo nvidia-ctk runtime configure --runtime=docker --set-as-default, "
        "sudo nvidia-ctk config --in-place --set accept-nvidia-visible-devices-as-volume-mounts"
        "=true, and restart Docker",
    )


def _ports(options: Options) -> Iterator[Check]:
    for flag, port in (
        ("--ui-port", options.ui_port or UI_PORT),
        ("--mlflow-port", options.mlflow_port or MLFLOW_PORT),
    ):
        if reason := _taken(port):
            words = f"127.0.0.1:{port} cannot be had ({reason}); choose another with {flag}"
            yield Check("port", False, words)
        else:
            yield Check("port", True, f"127.0.0.1:{port} is free")


def _taken(port: int) -> str:
    """Why a port of this machine cannot be had; empty where it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            return str(error)
    return ""
