"""What Kubernetes is told of a step's pod: the platform half of a KFP pipeline, as data.

The form is kfp-kubernetes' KubernetesExecutorConfig; tests hold it against what that compiles.
"""

from __future__ import annotations

import re
from typing import Any

from infra.errors import SettingsError
from infra.kind import KindSettings
from infra.plan import Json, Step
from infra.values import quantity

_SHM = "/dev/shm"  # noqa: S108  where PyTorch's loaders share memory


def pod(step: Step, settings: KindSettings) -> dict[str, Any]:
    """The settings laid under what the pipeline itself asks of Kubernetes. Raises SettingsError."""
    asked = step.platforms.get("kubernetes")
    own: dict[str, Any] = dict(asked) if isinstance(asked, dict) else {}
    found: dict[str, Any] = {"imagePullPolicy": settings.pull_policy, **own}
    mounts = own.get("emptyDirMounts", [])
    if settings.shm and all(mount.get("mountPath") != _SHM for mount in mounts):
        found["emptyDirMounts"] = [*mounts, _shm(settings.shm)]
    lists = {
        "secretAsEnv": _secrets(settings),
        "pvcMount": [_claim(name, path) for name, path in settings.claims.items()],
        "tolerations": [_toleration(dict(each)) for each in settings.tolerations],
    }
    for name, items in lists.items():
        if items:
            found[name] = [*own.get(name, []), *items]
    if settings.node_selector:
        labels = own.get("nodeSelector", {}).get("labels", {})
        found["nodeSelector"] = {"labels": {**settings.node_selector, **labels}}
    return found


def _shm(size: str) -> dict[str, Json]:
    """A part of memory as a folder. ``size`` is as Docker has it (1g) or Kubernetes (1Gi)."""
    match = re.fullmatch(r"(\d+)([kmg])b?", size)
    size = f"{match.group(1)}{match.group(2).upper()}i" if match else size
    try:
        quantity(size, "")
    except Exception:
        raise SettingsError(f"the setting shm is {size!r}; write it like 1g or 512Mi") from None
    return {"volumeName": "shm", "mountPath": _SHM, "medium": "Memory", "sizeLimit": size}


def secret_key(variable: str, place: str) -> tuple[str, str]:
    """A secret's name and the key in it. Raises SettingsError where it is not SECRET/KEY."""
    secret, _, key = place.partition("/")
    if not (secret and key):
        raise SettingsError(
            f"the setting secrets gives {variable} the place {place!r}; write SECRET/KEY"
        )
    return secret, key


def _secrets(settings: KindSettings) -> list[dict[str, Json]]:
    """By secret, which of its keys become which variable."""
    keys: dict[str, list[Json]] = {}
    for variable, place in settings.secrets.items():
        secret, key = secret_key(variable, place)
        keys.setdefault(secret, []).append({"secretKey": key, "envVar": variable})
    return [
        {
            "keyToEnv": found,
            "optional": False,
            "secretName": secret,
            "secretNameParameter": {"runtimeValue": {"constant": secret}},
        }
        for secret, found in keys.items()
    ]


def _claim(name: str, path: str) -> dict[str, Json]:
    return {
        "constant": name,
        "mountPath": path,
        "pvcNameParameter": {"runtimeValue": {"constant": name}},
    }


def _toleration(toleration: dict[str, Json]) -> dict[str, Json]:
    """As Kubernetes writes it; protobuf has whole numbers of 64 bits as text."""
    seconds = toleration.pop("tolerationSeconds", None)
    return toleration if seconds is None else {**toleration, "tolerationSeconds": str(seconds)}
