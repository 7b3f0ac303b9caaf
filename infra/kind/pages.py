"""What KFP's page serves of one run beside the API: logs, the state of pods, and artefacts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.kind import KindSettings
from infra.kind.server import Found, Server
from infra.kind.tasks import Task
from infra.storage import write_whole

_LARGEST = 64 * 2**20
"""Bytes of an artefact beyond which it stays where it is."""
_STORES = {"minio": "minio", "s3": "s3", "gs": "gcs"}
"""Schemes of artefacts' URIs, as the page calls them."""
_METRICS = "metrics.json"


class Pages:
    """The pages of one run."""

    def __init__(self, server: Server, settings: KindSettings, run: Found) -> None:
        self._server = server
        self._query = {"podnamespace": settings.namespace, "runid": run["run_id"]}

    def lines(self, task: Task, whole: bool = True) -> list[str]:
        """What a step printed in all its attempts; what is gone with its pod is left out.

        With ``whole`` also a last line that has no end yet.
        """
        pods = [*task.failures, *([task.pod] if task.pod and task.launched else [])]
        found = (
            self._server.page("/k8s/pod/logs", {"podname": pod, **self._query}) for pod in pods
        )
        text = "".join(each.decode(errors="replace") for each in found if each)
        return (text if whole else text[: text.rfind("\n") + 1]).splitlines()

    def obstacle(self, task: Task) -> str:
        """Why a step's pod does not start, in Kubernetes' words; empty where it does not say."""
        return "; ".join(_obstacles(self._pod(task)))

    def ending(self, task: Task) -> str:
        """How a step's container ended, where Kubernetes knows better than the step."""
        for container in _statuses(self._pod(task)):
            ended = (container.get("state") or {}).get("terminated") or {}
            if ended.get("reason") == "OOMKilled":
                return "ran out of memory: it needed more than its limit"
        return ""

    def fetched(self, uri: str, place: Path) -> Path | None:
        """Bring an artefact to ``place``, once; None where it stays in the store."""
        parts = urlsplit(uri)
        store = _STORES.get(parts.scheme)
        if place.is_file() or (place / _METRICS).is_file():
            return place
        if store is None:
            return None
        path = f"{store}/{parts.netloc}{parts.path}"
        for below in ("", f"/{_METRICS}"):
            content = self._server.download(path + below, _LARGEST)
            if content is not None:
                file = place / _METRICS if below else place
                file.parent.mkdir(parents=True, exist_ok=True)
                write_whole(file, content)
                return place
        return None

    def _pod(self, task: Task) -> dict[str, Any]:
        query = {"podname": task.pod, "podnamespace": self._query["podnamespace"]}
        found = self._server.page("/k8s/pod", query) if task.pod else None
        try:
            pod = json.loads(found or "{}")
        except ValueError:
            return {}
        return pod if isinstance(pod, dict) else {}


def _obstacles(pod: dict[str, Any]) -> Iterator[str]:
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield f"{condition.get('reason')}: {condition.get('message')}"
    for container in _statuses(pod):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            yield f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")


def _statuses(pod: dict[str, Any]) -> list[dict[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
