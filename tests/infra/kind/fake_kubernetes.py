"""A Kubernetes API server for kubectl and clients: it stores and validates, and runs nothing.

    with FakeKubernetes() as server:
        server.write_kubeconfig(path, context="kind-trefoil")

It is the API of a rehearsal's stand-in without its pods: a Deployment is ready at once unless its
name is in ``stuck``, a Job complete. What is sent with field validation is held against
Kubernetes' own schemas.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import TracebackType
from typing import Any

import kubernetes_validate

from infra.kind.emulator.kubernetes import write_kubeconfig
from infra.kind.emulator.kubernetes.api import Api
from infra.kind.emulator.kubernetes.discovery import Place, Refused
from infra.kind.emulator.kubernetes.objects import Object, Objects
from infra.rehearsal.faults import Faults
from infra.rehearsal.log import Log
from infra.rehearsal.server import Answer, Call, serving

_VERSION = "1.33"


class FakeKubernetes:
    """The server. ``objects`` is what it holds, by path; ``requests`` what was asked of it.

    ``stuck`` are Deployments and Jobs that never get on; ``logs`` what containers of a pod printed;
    ``refuses`` maps a plural to the message with which its creation is refused.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.stuck: set[str] = set()
        self.logs: dict[str, str] = {}
        self.refuses: dict[str, str] = {}
        self._objects = Objects(self._settle)
        self._api = Api(self._objects, self._admit, self._log, self._proxy)
        self._held = contextlib.ExitStack()
        self.url = ""

    def __enter__(self) -> FakeKubernetes:
        self.url = self._held.enter_context(serving(self._answer, _Silent(), Faults()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._held.close()

    @property
    def objects(self) -> dict[str, Object]:
        """What it holds, by path."""
        return self._objects.by_path

    @objects.setter
    def objects(self, held: dict[str, Object]) -> None:
        self._objects.by_path = held

    def write_kubeconfig(self, file: Path, context: str) -> None:
        """Write a kubeconfig whose context leads here."""
        write_kubeconfig(file, self.url, context)

    def writes(self) -> list[tuple[str, str]]:
        """Method and path of every request that changed something, in order."""
        return [(how, path) for how, path, _ in self.requests if how != "GET"]

    def find(self, kind: str, name: str) -> Object:
        """The object of a kind and name, in whichever namespace."""
        (found,) = [
            each
            for each in self.objects.values()
            if each["kind"] == kind and each["metadata"]["name"] == name
        ]
        return found

    def put(self, path: str, body: Object) -> Object:
        """Store an object at its path, as if it had been sent."""
        return self._objects.put(path, body)

    def _answer(self, call: Call) -> Answer:
        body = json.loads(call.body) if call.body[:1] == b"{" else None
        self.requests.append((call.method, call.path, body))
        return self._api.answer(call)

    def _admit(self, call: Call, at: Place, body: Object) -> None:
        if call.method != "PUT" and at["plural"] in self.refuses:
            raise Refused(403, "Forbidden", self.refuses[at["plural"]])
        if call.query.get("fieldValidation") != ["Strict"]:
            return
        try:
            kubernetes_validate.validate(body, _VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            raise Refused(400, "BadRequest", f"strict decoding error: {error.message}") from None

    def _log(self, _: Call, at: Place) -> Answer:
        return Answer(200, self.logs.get(at["name"] or "", "").encode(), "text/plain")

    def _proxy(self, _: Call, at: Place) -> Answer:
        raise Refused(503, "ServiceUnavailable", f"{at['name']} answers nobody")

    def _settle(self, body: Object) -> None:
        """What the controllers of a real cluster would have done at once."""
        name, kind = body["metadata"].get("name"), body["kind"]
        if kind == "Deployment":
            count = 0 if name in self.stuck else body["spec"].setdefault("replicas", 1)
            body["status"] = {
                "observedGeneration": body["metadata"]["generation"], "replicas": count,
                "updatedReplicas": count, "readyReplicas": count, "availableReplicas": count,
            }  # fmt: skip
        conditions = {"Job": "Complete", "CustomResourceDefinition": "Established"}
        if kind in conditions and name not in self.stuck:
            body["status"] = {"conditions": [{"type": conditions[kind], "status": "True"}]}


class _Silent(Log):
    """Keeps no log: ``requests`` is one."""

    def __init__(self) -> None:
        super().__init__(Path("/dev/null"))

    def add(self, call: Call, outcome: str, seconds: float) -> None:
        """Nothing."""
