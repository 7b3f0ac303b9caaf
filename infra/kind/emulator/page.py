"""What KFP's page serves beside the API: logs and states of pods, and the artefact store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from infra.kind.emulator.runs import Run
from infra.kind.emulator.store import BUCKET, key
from infra.plan import Step
from infra.rehearsal.server import Answer, Call, answer

_CODE = re.compile(r"exit code (\d+)")


class Page:
    """Answers for all runs there are."""

    def __init__(self, runs: Callable[[], list[Run]]) -> None:
        self._runs = runs

    def answer(self, call: Call) -> Answer | None:
        """What is answered; None where the page has nothing at this path."""
        if call.method != "GET":
            return None
        if call.path == "/k8s/pod/logs":
            return self._logs(call)
        if call.path == "/k8s/pod":
            return self._pod(call)
        if call.path.startswith("/artifacts/"):
            return self._artifact(call.path)
        return None

    def _logs(self, call: Call) -> Answer:
        name = _of(call, "podname")
        if not name:
            return _said(400, "podname argument is required")
        for run, step, attempt in self._pods(name):
            stage = run.stages()[step.name]
            logs = run.execution.log(step.name)[-(len(stage.failures) + 1) :]
            if attempt <= len(logs):
                text = logs[attempt - 1].read_bytes()
                return Answer(200, text + _of_launcher(run, step, attempt), "text/plain")
        return _said(500, "Could not get main container logs: pods not found")

    def _pod(self, call: Call) -> Answer:
        name = _of(call, "podname")
        for word in ("podname", "podnamespace"):
            if not _of(call, word):
                return _said(422, f"{word} argument is required")
        for run, step, _ in self._pods(name):
            status: dict[str, object] = {"phase": "Running"}
            if run.stuck:
                reason, words = run.stuck
                waiting = {"reason": reason, "message": words.replace("{image}", step.image)}
                container = {"name": "main", "image": step.image, "state": {"waiting": waiting}}
                status = {"phase": "Pending", "containerStatuses": [container]}
            return answer({"metadata": {"name": name}, "status": status})
        return _said(500, f"Could not get pod {name}: pods not found")

    def _artifact(self, path: str) -> Answer:
        for run in self._runs():
            for step in run.plan.steps:
                entry = run.execution.entry(step.name)
                for output in step.artifacts if entry else ():
                    place = f"/artifacts/minio/{BUCKET}/{key(run, step, output)}"
                    if entry and (path == place or path.startswith(f"{place}/")):
                        return _object(entry.output(output), path.removeprefix(place).lstrip("/"))
        return _no_key()

    def _pods(self, name: str) -> Iterator[tuple[Run, Step, int]]:
        for run in self._runs():
            for pod, step, attempt in run.pods():
                if pod == name:
                    yield run, step, attempt


def _object(place: Path, below: str) -> Answer:
    """One object. A folder is none: its files are objects, whose names begin alike."""
    root = place.resolve()
    file = (root / below).resolve() if below else root
    if not file.is_file() or not file.is_relative_to(root):
        return _no_key()
    return Answer(200, file.read_bytes(), "application/octet-stream")


def _no_key() -> Answer:
    words = "Failed to get object in bucket: S3Error: The specified key does not exist."
    return _said(500, words)


def _of_launcher(run: Run, step: Step, attempt: int) -> bytes:
    """The last line of KFP's launcher, where the step's program failed."""
    stage = run.stages()[step.name]
    told = [*stage.failures, *([stage.event.message] if stage.event.state == "failed" else [])]
    if attempt > len(told):
        return b""
    code = _CODE.search(told[attempt - 1].partition("\n")[0])
    status = code.group(1) if code else str(stage.event.code or 1)
    return f"F main.go:60] failed to execute component: exit status {status}\n".encode()


def _of(call: Call, name: str) -> str:
    return call.query.get(name, [""])[0]


def _said(status: int, words: str) -> Answer:
    return Answer(status, words.encode(), "text/plain")
