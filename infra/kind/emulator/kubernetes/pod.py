"""One pod, as processes of this environment: init containers one after the other, then its own.

A container's paths in volumes lead to folders of the pod; its port, wherever it says it, to a free
one of loopback. All else, its image too, is as if it were there. What ends is started again as the
pod's restartPolicy says, in tenths of Kubernetes' seconds and less.
"""

from __future__ import annotations

import datetime
import http.client
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from infra.errors import TrefoilError
from infra.kind.emulator.kubernetes.objects import Object
from infra.local.process import Process, program
from infra.local.rundir import StepDirectory
from infra.rehearsal.served import free_port

LOOPBACK = "127.0.0.1"
_EVERYONE = "0.0.0.0"  # noqa: S104  what a manifest says; it is never bound
_NOT_STARTED = 128
_POLL, _AFTER = 0.05, 1.0
"""Seconds between two probes, before a container is ready and after."""
_PATIENCE = 5.0
_BACKOFF, _LONGEST = 0.1, 5.0

Report = Callable[[Object], None]


class Places(NamedTuple):
    """Where a pod is on this machine: its own folder, that of all claims, and its port."""

    folder: Path
    claims: Path
    port: int


class Pod:
    """From its start to its end. ``report`` hears its status each time that it changes."""

    def __init__(self, body: Object, places: Places, report: Report) -> None:
        self._body, self._spec, self._report = body, body["spec"], report
        self._folder, self._claims, self.port = places
        self.place = StepDirectory(self._folder)
        self._folder.mkdir(parents=True, exist_ok=True)
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
            gone = threading.Event()
            probing = threading.Thread(target=self._probe, args=(container, told, gone))
            probing.start()
            code = process.wait().code
            gone.set()
            probing.join()
        except (TrefoilError, OSError) as error:
            log.write_text(f"{error}\n", encoding="utf-8")
            code = _NOT_STARTED
        code = 128 - code if code < 0 else code  # by a signal
        reason = "Error" if code else "Completed"
        told["ready"] = False
        finished = datetime.datetime.now(datetime.UTC).isoformat()
        ended = {"exitCode": code, "reason": reason, "finishedAt": finished}
        told["state"] = {"terminated": ended}
        self._tell()
        return code

    def _start(self, container: Object, log: Path) -> Process:
        if "subdomain" not in self._spec:  # the others do not look for it at its port
            self.port = free_port()  # the one before may have been taken meanwhile
        words = [*container.get("command", []), *container.get("args", [])]
        argv = [self._here(word, container) for word in words]
        env = {
            each["name"]: self._here(self._value(each), container)
            for each in container.get("env", [])
            if "secretKeyRef" not in each.get("valueFrom", {})  # nobody knows them here
        }
        return Process([program(argv[0]), *argv[1:]], env, self.place, log)

    def _value(self, variable: Object) -> str:
        """A variable's value; of what it may come from, an annotation of the pod is known here."""
        path = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
        if match := re.fullmatch(r"metadata\.annotations\['(.+)'\]", path):
            return str(self._body["metadata"]["annotations"][match[1]])
        return str(variable.get("value", ""))

    def _here(self, word: str, container: Object) -> str:
        """A word of a command as it is meant on this machine."""
        home = self._spec.get("subdomain")
        if word == _EVERYONE or (home and word.endswith(f".{home}")):
            return LOOPBACK
        if word in {str(port["containerPort"]) for port in container.get("ports", [])}:
            return str(self.port)
        for mount in container.get("volumeMounts", []):
            flag, _, path = word.rpartition("=")  # --model=/path
            if path == mount["mountPath"] or path.startswith(f"{mount['mountPath']}/"):
                front = f"{flag}=" if flag else ""
                return f"{front}{self._volume(mount)}{path.removeprefix(mount['mountPath'])}"
        return word

    def _volume(self, mount: Object) -> Path:
        """The folder of a mount: one of its own, or of the claim that others mount too."""
        volume = next(each for each in self._spec["volumes"] if each["name"] == mount["name"])
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        own = self._folder / "volumes" / mount["name"]
        folder = Path(self._claims / claim if claim else own).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        return folder

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
