"""The API: discovery, objects by CRUD and patches, what pods print, and a way through to them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from infra.kind.emulator.kubernetes.discovery import (
    Place,
    Refused,
    discovery,
    group_of,
    kind_of,
    place,
)
from infra.kind.emulator.kubernetes.objects import Object, Objects
from infra.rehearsal.server import Answer, Call, answer

Admit = Callable[[Call, Place, Object], None]
"""Refuses an object that no cluster would take; raises Refused."""
Ask = Callable[[Call, Place], Answer]
"""Answers what is asked of a pod itself."""
_WATCHED = 0.1
"""Seconds that a watch lasts: whoever watches looks anew after that."""


class Api:
    """The API server's side of a call."""

    def __init__(self, objects: Objects, admit: Admit, log: Ask, proxy: Ask) -> None:
        self._objects, self._admit = objects, admit
        self._of_pods: Mapping[str | None, Ask] = {"log": log, "proxy": proxy}
        self._methods: Mapping[str, Callable[[Call, Place], Answer]] = {
            "GET": self._get, "POST": self._post, "PUT": self._put, "PATCH": self._patch,
            "DELETE": self._delete,
        }  # fmt: skip

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        try:
            if (found := discovery(call.path)) is not None:
                return answer(found)
            at = place(call.path)
            if at["sub"] in self._of_pods:
                return self._of_pods[at["sub"]](call, at)
            return self._methods[call.method](call, at)
        except Refused as refused:
            return status(refused)

    def _get(self, call: Call, at: Place) -> Answer:
        if at["name"]:
            return answer(self._objects.get(call.path))
        items = self._objects.select(at, _pairs(call, "labelSelector"), _named(call))
        if "watch" in call.query:  # they are told once, and nothing happens after
            time.sleep(_WATCHED)
            lines = [json.dumps({"type": "ADDED", "object": each}) for each in items]
            return Answer(200, "".join(f"{line}\n" for line in lines).encode())
        return answer(
            {
                "kind": f"{kind_of(at)}List",
                "apiVersion": group_of(at["base"]),
                "items": items,
                "metadata": {"resourceVersion": str(self._objects.revision)},
            }
        )

    def _post(self, call: Call, at: Place) -> Answer:
        return self._create(call, at, f"{call.path}/{_whole(call)['metadata']['name']}")

    def _create(self, call: Call, at: Place, path: str) -> Answer:
        body = _whole(call)
        self._admit(call, at, body)
        return answer(self._objects.create(path, body), 201)

    def _put(self, call: Call, at: Place) -> Answer:
        with self._objects.lock:
            before = self._objects.get(call.path)
            body, version = _whole(call), before["metadata"]["resourceVersion"]
            if body["metadata"].get("resourceVersion", version) != version:
                raise Refused(409, "Conflict", "the object has been modified")
            self._admit(call, at, body)
            return answer(self._objects.put(call.path, body))

    def _patch(self, call: Call, at: Place) -> Answer:
        form = call.headers.get("Content-Type", "")
        apply = "apply" in form
        with self._objects.lock:
            if apply and call.path not in self._objects.by_path:
                return self._create(call, at, call.path)
            body = self._objects.patch(call.path, _body(call), apply or "merge-patch" not in form)
            if body == self._objects.by_path[call.path]:
                return answer(body)
            self._admit(call, at, body)
            return answer(self._objects.put(call.path, body))

    def _delete(self, call: Call, at: Place) -> Answer:
        alone = at["plural"] == "jobs" and "propagationPolicy" not in call.query
        self._objects.delete(call.path, orphans=alone)  # as Kubernetes deletes a Job by default
        return answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})


def status(refused: Refused) -> Answer:
    """A refusal as Kubernetes writes it."""
    return answer(
        {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": refused.code,
            "reason": refused.reason, "message": str(refused),
        },
        refused.code,
    )  # fmt: skip


def _body(call: Call) -> Object:
    """What was sent, JSON or YAML. Raises Refused."""
    try:
        found = json.loads(call.body)
    except ValueError:
        import yaml

        try:
            found = yaml.safe_load(call.body)
        except (yaml.YAMLError, UnicodeDecodeError):
            found = None
    if not isinstance(found, dict):
        raise Refused(400, "BadRequest", "the object provided is unrecognized")
    return found


def _whole(call: Call) -> Object:
    """An object that was sent. Raises Refused where it has no kind or name."""
    found = _body(call)
    if "kind" not in found or "name" not in (found.get("metadata") or {}):
        raise Refused(422, "Invalid", "the object has no kind, or no metadata.name")
    return found


def _pairs(call: Call, name: str) -> dict[str, str]:
    """A selector of the form a=b,c=d."""
    given = call.query.get(name, [""])[0].split(",")
    return {each.partition("=")[0]: each.rpartition("=")[2] for each in given if each}


def _named(call: Call) -> str | None:
    return _pairs(call, "fieldSelector").get("metadata.name")
