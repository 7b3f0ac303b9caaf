"""Kubernetes on loopback, as far as Trefoil acts by it: objects are kept, and pods really run.

discovery.py    the kinds there are, and their paths     admission.py    what no cluster would take
objects.py      what is kept, each change a revision     controllers.py  what makes pods of it
api.py          calls: read, create, patch, delete       node.py         runs them, and asks them
                                                         pod.py          one pod, as processes

Tests of what drives kubectl take the API alone. Pods run from the first call on, and end with the
command; what else there is is kept for the next one.
"""

from __future__ import annotations

import fcntl
import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from infra.kind.cluster import CONTEXT
from infra.kind.emulator.kubernetes import controllers
from infra.kind.emulator.kubernetes.admission import admit
from infra.kind.emulator.kubernetes.api import Api, status
from infra.kind.emulator.kubernetes.discovery import Place, Refused, path_of
from infra.kind.emulator.kubernetes.node import Node
from infra.kind.emulator.kubernetes.objects import Object, Objects
from infra.rehearsal.server import Answer, Call
from infra.storage import write_whole

_PASSING = ("Pod", "Job")
"""Kinds that end with the command that they were made in."""
_THERE = (
    ("", "v1", "Namespace", "kubeflow"),
    ("kubeflow", "v1", "ServiceAccount", "default"),
    ("kubeflow", "v1", "ServiceAccount", "pipeline-runner"),
    ("kubeflow", "v1", "PersistentVolumeClaim", "trefoil-data"),
    ("kubeflow", "v1", "PersistentVolumeClaim", "trefoil-work"),
)
_BEAT = 0.05
_WAKING = 60.0
"""Seconds that the first call waits for what an earlier command had left running."""


class Kubernetes:
    """One cluster, kept in a folder. ``secrets`` are there by name, without what is in them."""

    def __init__(self, folder: Path, secrets: Iterable[str] = ()) -> None:
        self._there = (*_THERE, *(("kubeflow", "v1", "Secret", name) for name in secrets))
        self._file, self._owner = folder / "objects.json", folder / "owner"
        self._objects = Objects()
        self._node = Node(self._objects, folder)
        self._api = Api(self._objects, self._admit, self._node.log, self._node.proxy)
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._held: IO[bytes] | None = None

    def answer(self, call: Call) -> Answer:
        """What a call is answered, whatever it is."""
        try:
            with self._lock:
                self._wake()
        except Refused as refused:
            return status(refused)
        found = self._api.answer(call)
        if call.method != "GET":
            self._save()
        return found

    def served(self) -> list[str]:
        """What answers behind each Service, a line for each; nothing where nobody called."""
        return self._node.served() if self._held else []

    def close(self) -> None:
        """End every pod."""
        if self._held is None:
            return
        self._over.set()
        self._thread.join()
        self._node.close()
        self._held.close()

    def _admit(self, call: Call, _: Place, body: Object) -> None:
        admit(call, body, self._objects)

    def _wake(self) -> None:
        """Take up what an earlier command left. Raises Refused while another one has it."""
        if self._held is not None:
            return
        self._owner.parent.mkdir(parents=True, exist_ok=True)
        held = self._owner.open("wb")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            words = "another command rehearses with this cluster just now; wait for its end"
            raise Refused(503, "ServiceUnavailable", words) from None
        self._held = held
        self._node.clear()
        self._load()
        self._thread.start()
        end = time.monotonic() + _WAKING
        while not controllers.settled(self._objects) and time.monotonic() < end:
            time.sleep(_BEAT)

    def _beat(self) -> None:
        while not self._over.wait(_BEAT):
            controllers.reconcile(self._objects)
            self._node.sync()

    def _load(self) -> None:
        if self._file.exists():
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            self._objects.by_path, self._objects.revision = kept["objects"], kept["revision"]
            for body in self._objects.by_path.values():
                body.pop("status", None)  # of pods that have ended
        for namespace, version, kind, name in self._there:
            metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
            body = {"apiVersion": version, "kind": kind, "metadata": metadata}
            if path_of(body) not in self._objects.by_path:
                self._objects.add(body)

    def _save(self) -> None:
        with self._objects.lock:
            there = self._objects.by_path.items()
            lasting = {path: body for path, body in there if body["kind"] not in _PASSING}
            kept = {"revision": self._objects.revision, "objects": lasting}
            write_whole(self._file, json.dumps(kept))


def write_kubeconfig(file: Path, address: str, context: str = CONTEXT) -> Path:
    """Write a kubeconfig whose one context leads to an address; returns its path."""
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": context,
        "clusters": [{"name": context, "cluster": {"server": address}}],
        "users": [{"name": context, "user": {}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(config))
    return file
