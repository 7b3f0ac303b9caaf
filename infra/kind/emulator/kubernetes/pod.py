"""One pod, as processes of this environment: init containers one after the other, then its own.

A container's paths in volumes lead to folders of the pod; its port, wherever it says it, to a free
one of loopback. All else, its image too, is as if it were there. What ends is started again as the
pod's restartPolicy says, in tenths of Kubernetes' seconds and less.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.errors import TrefoilError
from infra.kind.emulator.kubernetes.objects import Object
from infra.local.process import Process, program
from infra.local.rundir import StepDirectory

LOOPBACK = "127.0.0.1"
_EVERYONE = "0.0.0.0"  # noqa: S104  what a manifest says; it is never bound
_NOT_STARTED = 128
_POLL, _AFTER = 0.05, 1.0
"""Seconds between two probes, before a container is ready and after."""
_PATIENCE = 5.0
_BACKOFF, _LONGEST = 0.1, 5.0

Report = Callable[[Object], None]


class Pod:
    """From its start to its end. ``report`` hears its status each time that it changes."""

    def __init__(self, body: Object, folder: Path, report: Report) -> None:
        self._spec, self._folder, self._report = body["spec"], folder, report
        self.place = StepDirectory(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.port = _free_port()
        self._lock, self._over = threading.RLock(), threading.Event()
        self._process: Process | None = None
        self._told = {
            each["name"]: {
                "name": each["name"], "image": each["image"], "imageID": "", "ready": False,
                "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}},
            }
            for each in (*self._init(), *self._spec["containers"])
        }  # fmt: skip
        self._phase = "Pending"
        self._tell()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes, str]:
        """Status, content and type of what its server answers; status 0 where none does."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=_PATIENCE)
        try:
            connection.request(method, path, body)
            found = connection.getresponse()
            return found.status, found.read(), found.getheader("Content-Type", "")
        except (OSError, http.client.HTTPException):
            return 0, b"", ""
        finally:
            connection.close()

    def log(self, container: str, previous: bool) -> str:
        """What a container printed since it was started last, or the time before."""
        number = self._told[container]["restartCount"] - previous
        file = self._log(container, number)
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def containers(self) -> list[str]:
        """The names of its containers, those that come first first."""
        return list(self._told)

    def end(self) -> None:
        """Ask it to end, and see to it if it does not."""
        with self._lock:
            self._over.set()
            if self._process:
                self._process.terminate()
        grace = self._spec.get("terminationGracePeriodSeconds", 30)
        timer = threading.Timer(grace, self._kill)
        timer.daemon = True
        timer.start()
        self._thread.join()
        timer.cancel()

    def _kill(self) -> None:
        if self._process:
            self._process.kill()

    def _init(self) -> list[Object]:
        return self._spec.get("initContainers") or []

    def _run(self) -> None:
        code = 0
        for container in self._init():
            if code := self._until_done(container, once=True):
                break
        if code == 0:
            (only,) = self._spec["containers"]
            code = self._until_done(only, once=False)
        self._phase = "Failed" if code else "Succeeded"
        self._tell()

    def _until_done(self, container: Object, once: bool) -> int:
        """Run a container, and again until it need not; ``once`` it ended well, it need not."""
        policy, told = self._spec.get("restartPolicy", "Always"), self._told[container["name"]]
        while not self._over.is_set():
            code = self._once(container, told)
            if self._over.is_set() or policy == "Never":
                return code
            if code == 0 and (once or policy == "OnFailure"):
                return code
            wait = min(_LONGEST, _BACKOFF * 2 ** told["restartCount"])
            if self._over.wait(wait):
                return code
            told["lastState"] = told["state"]
            told["restartCount"] += 1
        return 1

    def _once(self, container: Object, told: Object) -> int:
        log = self._log(container["name"], told["restartCount"])
        try:
            with self._lock:
                if self._over.is_set():
                    return 1
                self._process = process = self._start(container, log)
            self._phase = "Pending" if container in self._init() else "Running"
            told["state"] = {"running": {}}
            self._tell()
            ended = threading.Event()
            probing = threading.Thread(target=self._probe, args=(container, told, ended))
            probing.start()
            code = process.wait().code
            ended.set()
            probing.join()
        except (TrefoilError, OSError) as error:
            log.write_text(f"{error}\n", encoding="utf-8")
            code = _NOT_STARTED
        code = 128 - code if code < 0 else code  # by a signal
        reason = "Error" if code else "Completed"
        told["ready"] = False
        told["state"] = {"terminated": {"exitCode": code, "reason": reason}}
        self._tell()
        return code

    def _start(self, container: Object, log: Path) -> Process:
        words = [*container.get("command", []), *container.get("args", [])]
        argv = [self._here(word, container) for word in words]
        env = {
            each["name"]: self._here(each.get("value", ""), container)
            for each in container.get("env", [])
        }
        return Process([program(argv[0]), *argv[1:]], env, self.place, log)

    def _here(self, word: str, container: Object) -> str:
        """A word of a command as it is meant on this machine."""
        if word == _EVERYONE:
            return LOOPBACK
        if word in {str(port["containerPort"]) for port in container.get("ports", [])}:
            return str(self.port)
        for mount in container.get("volumeMounts", []):
            path = mount["mountPath"]
            if word == path or word.startswith(f"{path}/"):
                folder = self._folder.resolve() / "volumes" / mount["name"]
                folder.mkdir(parents=True, exist_ok=True)
                return f"{folder}{word.removeprefix(path)}"
        return word

    def _probe(self, container: Object, told: Object, ended: threading.Event) -> None:
        """Note whether its readiness probe is answered well, until it has ended."""
        probe: dict[str, Any] = container.get("readinessProbe", {}).get("httpGet", {})
        while not ended.wait(_AFTER if told["ready"] else _POLL):
            ready = not probe or self.ask("GET", probe["path"])[0] == http.client.OK
            if ready != told["ready"]:
                told["ready"] = ready
                self._tell()

    def _tell(self) -> None:
        own = {each["name"] for each in self._init()}
        told = [dict(each) for each in self._told.values()]
        ready = all(each["ready"] for each in told if each["name"] not in own)
        self._report(
            {
                "phase": self._phase,
                "podIP": LOOPBACK,
                "conditions": [{"type": "Ready", "status": str(ready)}],
                "initContainerStatuses": [each for each in told if each["name"] in own],
                "containerStatuses": [each for each in told if each["name"] not in own],
            }
        )

    def _log(self, container: str, number: int) -> Path:
        return self._folder / f"{container}.{number}.log"


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as found:
        port: int = found.getsockname()[1]
        return port
