"""What a step's container may use and see: the options of ``docker run``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from infra.errors import SettingsError
from infra.local import LocalSettings
from infra.local.outside import DATA, paths
from infra.local.runner import Job
from infra.plan import Step
from infra.values import quantity

STEP, INPUTS = "/trefoil/step", "/trefoil/inputs"
_STEERING = {
    "PATH", "HOME", "DOCKER_API_VERSION", "DOCKER_CERT_PATH", "DOCKER_CONFIG", "DOCKER_CONTEXT",
    "DOCKER_CUSTOM_HEADERS", "DOCKER_HOST", "DOCKER_TLS", "DOCKER_TLS_VERIFY",
}  # fmt: skip
"""Variables that docker's own client goes by; a step's must not lead it astray."""
_OF_MLFLOW = (
    "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_INSECURE_TLS", "MLFLOW_S3_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION",
    "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
    "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCESS_KEY",
)  # fmt: skip
"""The person's own variables that a server of MLflow and its store let in by: none is a file's."""
_LOCAL = ("127.0.0.1", "localhost", "::1")


def confinement(job: Job, settings: LocalSettings) -> Iterator[str]:
    """Its user, network, limits and mounts. Raises SettingsError."""
    asked = job.step.resources
    yield from ("--pull", "never", "--init")
    yield from ("--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    yield from ("--user", f"{os.getuid()}:{os.getgid()}", "--env", "HOME=/tmp")
    yield from ("--network", _network(job.env, settings.network))
    yield from ("--shm-size", _shm(job.step) or settings.shm)
    if asked.cpu:
        yield from ("--cpus", f"{min(asked.cpu, os.cpu_count() or 1):g}")
    if asked.memory_gb:
        limit = f"{asked.memory_gb * 1e9:.0f}"
        yield from ("--memory", limit, "--memory-swap", limit)
    if asked.accelerators:
        yield from ("--gpus", str(asked.accelerators))
    for path, seen, mode in _mounts(job):
        yield from ("--mount", f"type=bind,{csv('source', path)},{csv('target', seen)}{mode}")


def variables(env: Mapping[str, str]) -> Iterator[str]:
    """Its environment, with the person's credentials where it has a server of MLflow to reach.

    Values are the client's to know: a command line is for everyone to read.
    """
    for name, value in env.items():
        yield from ("--env", f"{name}={value}" if name in _STEERING else name)
    if urlsplit(env.get("MLFLOW_TRACKING_URI", "")).hostname:
        for name in _OF_MLFLOW:
            if name in os.environ and name not in env:
                yield from ("--env", name)


def of_client(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of the client that is given ``variables``: it finds their values there."""
    return {name: value for name, value in env.items() if name not in _STEERING}


def _network(env: Mapping[str, str], network: str) -> str:
    """Raises SettingsError where the step could not reach MLflow."""
    host = urlsplit(env.get("MLFLOW_TRACKING_URI", "")).hostname
    if host in _LOCAL and network != "host":
        raise SettingsError(
            f"a container on the network {network} does not reach MLflow at {host}, an "
            "address of this machine alone; set TREFOIL_NETWORK=host, or give MLflow another"
        )
    return network


def _mounts(job: Job) -> Iterator[tuple[str, str, str]]:
    """What is mounted: its path here, its path there, and ``,readonly`` or nothing."""
    yield str(job.place.root.resolve()), STEP, ""
    for name, path in job.reads.items():
        yield str(path), f"{INPUTS}/{name}", ",readonly"
    for folder in _shared(job.env):
        folder.mkdir(parents=True, exist_ok=True)
        yield str(folder), str(folder), ""
    if data := paths(job.step).get(DATA):
        yield data, data, ",readonly"


def _shared(env: Mapping[str, str]) -> Iterator[Path]:
    if spool := env.get("TREFOIL_TRACKING"):
        yield Path(spool).parent
    kind, _, file = env.get("MLFLOW_TRACKING_URI", "").partition(":///")
    if kind == "sqlite" and file:
        yield Path(file).parent


def csv(key: str, value: str) -> str:
    """One field of ``--mount``, which docker reads as CSV."""
    return '"{}={}"'.format(key, value.replace('"', '""'))


def _shm(step: Step) -> str:
    """The size of /dev/shm that the pipeline itself asks for (kfp-kubernetes' empty_dir_mount)."""
    kubernetes = step.platforms.get("kubernetes")
    mounts = kubernetes.get("emptyDirMounts", []) if isinstance(kubernetes, dict) else []
    for mount in mounts if isinstance(mounts, list) else []:
        if isinstance(mount, dict) and mount.get("mountPath") == "/dev/shm":  # noqa: S108
            return f"{quantity(str(mount.get('sizeLimit') or '1Gi'), step.name):.0f}"
    return ""
