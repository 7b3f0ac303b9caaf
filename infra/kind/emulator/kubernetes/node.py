"""The one node: runs every pod that is among the objects, and nothing else; and a way to them."""

from __future__ import annotations

import contextlib
import datetime
import json
import threading
from collections.abc import Iterator
from pathlib import Path

from infra.kind.cluster.podrules import selects
from infra.kind.emulator.kubernetes.discovery import Place, Refused
from infra.kind.emulator.kubernetes.objects import Object, Objects
from infra.kind.emulator.kubernetes.pod import Places, Pod
from infra.local.process import end_orphan
from infra.local.rundir import StepDirectory
from infra.rehearsal.served import free_port
from infra.rehearsal.server import Answer, Call
from infra.storage import remove

_GRACE = 5.0
_BEGAN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Node:
    """The pods that run here, each in a folder of its own."""

    def __init__(self, objects: Objects, folder: Path) -> None:
        self._objects, self._folder, self._claims = objects, folder / "pods", folder / "claims"
        self._ports: dict[str, int] = {}
        self._pods: dict[str, Pod] = {}
        self._ending: list[threading.Thread] = []
        self._turn = 0

    def clear(self) -> None:
        """End what a killed command left running, and forget its pods."""
        for each in sorted(self._folder.glob("*")):
            end_orphan(StepDirectory(each), _GRACE)
            remove(each)

    def sync(self) -> None:
        """Start the pods that do not run yet, end those that are no longer wanted."""
        with self._objects.lock:
            wanted = dict(self._objects.of("Pod"))
        for path, body in wanted.items():
            if path not in self._pods:
                self._pods[path] = self._started(path, body)
        for path in self._pods.keys() - wanted.keys():
            self._end(self._pods.pop(path))

    def close(self) -> None:
        """End all pods."""
        for pod in self._pods.values():
            self._end(pod)
        for thread in self._ending:
            thread.join()
        self._pods.clear()

    def log(self, call: Call, at: Place) -> Answer:
        """What a container of a pod printed. Raises Refused."""
        pod = self._pod(at)
        names = pod.containers()
        container = _word(call, "container") or names[-1]
        if container not in names:
            raise Refused(400, "BadRequest", f"container {container} is not valid for the pod")
        text = pod.log(container, previous=_word(call, "previous") == "true")
        lines = text.splitlines(keepends=True)
        if _word(call, "timestamps") == "true":
            lines = list(_timed(lines, _word(call, "sinceTime")))
        last = int(_word(call, "tailLines") or len(lines))
        return Answer(200, "".join(lines[-last:] if last else []).encode(), "text/plain")

    def proxy(self, call: Call, at: Place) -> Answer:
        """Ask a pod, or one of those behind a Service, in turns. Raises Refused."""
        if at["plural"] == "services":
            body = self._objects.get(call.path.partition("/proxy")[0])
            ready = list(self._behind(body))
            if not ready:
                words = f'no endpoints available for service "{at["name"]}"'
                raise Refused(503, "ServiceUnavailable", words)
            self._turn += 1
            pod = ready[self._turn % len(ready)]
        else:
            pod = self._pod(at)
        status, content, kind = pod.ask(call.method, at["rest"] or "/", call.body)
        if not status:
            raise Refused(502, "BadGateway", f"{at['name']} does not answer")
        return Answer(status, content, kind)

    def served(self) -> list[str]:
        """A line for each Service: who answers behind it, and how many pods."""
        return [
            f"served: {body['metadata']['name']}, where {words}"
            for _, body in self._objects.of("Service")
            for words in self._answering(body)
        ]

    def _answering(self, service: Object) -> Iterator[str]:
        found: dict[str, int] = {}
        for pod in self._behind(service):
            status, content, _ = pod.ask("GET", "/")
            with contextlib.suppress(ValueError):
                about = json.loads(content) if status else {}
                who = f"{about.get('name')} version {about.get('version')}"
                found[who] = found.get(who, 0) + 1
        for who, pods in found.items():
            yield f"{who} answered, from {pods} pod{'s' if pods > 1 else ''}"

    def _behind(self, service: Object) -> Iterator[Pod]:
        """The ready pods that a Service leads to."""
        selector = service["spec"].get("selector", {})
        for path, body in self._objects.of("Pod"):
            if path in self._pods and is_ready(body) and selects(selector, _labels(body)):
                yield self._pods[path]

    def _pod(self, at: Place) -> Pod:
        for path, pod in list(self._pods.items()):
            if path.endswith(f"/{at['namespace']}/pods/{at['name']}"):
                return pod
        raise Refused(404, "NotFound", f'pods "{at["name"]}" not found')

    def _started(self, path: str, body: Object) -> Pod:
        folder = self._folder / body["metadata"]["name"]
        meeting = body["spec"].get("subdomain", path)  # where pods know each other by name
        port = self._ports.setdefault(meeting, free_port())
        places = Places(folder, self._claims, port)
        return Pod(body, places, lambda status: self._objects.report(path, status))

    def _end(self, pod: Pod) -> None:
        thread = threading.Thread(target=pod.end)
        thread.start()
        self._ending.append(thread)


def _timed(lines: list[str], since: str) -> Iterator[str]:
    """Lines with times in front that rise, though they are not when they were printed."""
    for number, line in enumerate(lines):
        at = (_BEGAN + datetime.timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
        if at >= since:
            yield f"{at} {line}"


def is_ready(pod: Object) -> bool:
    """Whether a pod, as the API gives it, can be asked."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _labels(pod: Object) -> dict[str, str]:
    found: dict[str, str] = pod["metadata"].get("labels", {})
    return found


def _word(call: Call, name: str) -> str:
    return call.query.get(name, [""])[0]
