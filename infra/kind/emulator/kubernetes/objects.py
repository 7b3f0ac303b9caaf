"""What the stand-in holds: objects by their path, each change a new revision."""

from __future__ import annotations

import base64
import copy
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from infra.kind.emulator.kubernetes.discovery import Place, Refused, group_of, path_of, place

Object: TypeAlias = dict[str, Any]


class Objects:
    """The objects of a cluster. ``lock`` is held by whoever reads and then writes.

    ``settle`` may do at once what a cluster would do to an object after a while.
    """

    def __init__(self, settle: Callable[[Object], None] = lambda _: None) -> None:
        self.by_path: dict[str, Object] = {}
        self.lock = threading.RLock()
        self.revision = 0
        self._settle = settle

    def get(self, path: str) -> Object:
        """The object at a path. Raises Refused."""
        with self.lock:
            if path in self.by_path:
                return self.by_path[path]
        at = place(path)
        group = group_of(at["base"]).rpartition("/")[0]
        what = f"{at['plural']}{'.' if group else ''}{group}"
        raise Refused(404, "NotFound", f'{what} "{at["name"]}" not found')

    def select(
        self, at: Place, labels: Mapping[str, str] | None = None, name: str | None = None
    ) -> list[Object]:
        """The objects of a collection, those with some labels, or of a name."""
        with self.lock:
            return [
                body
                for path, body in sorted(self.by_path.items())
                if _is_in(place(path), at)
                and name in (None, body["metadata"].get("name"))
                and (labels or {}).items() <= (body["metadata"].get("labels") or {}).items()
            ]

    def create(self, path: str, body: Object) -> Object:
        """Put a new object there. Raises Refused where there is one, or no such namespace."""
        at = place(path)
        with self.lock:
            if path in self.by_path:
                raise Refused(409, "AlreadyExists", f"{path} already exists")
            home = f"/api/v1/namespaces/{at['namespace']}"
            if at["namespace"] and home not in self.by_path:
                raise Refused(404, "NotFound", f'namespaces "{at["namespace"]}" not found')
            return self.put(path, _encoded(body))

    def add(self, body: Object) -> Object:
        """Put an object where it belongs."""
        return self.put(path_of(body), body)

    def of(self, kind: str) -> list[tuple[str, Object]]:
        """The objects of a kind, with their paths."""
        with self.lock:
            return [(path, b) for path, b in self.by_path.items() if b["kind"] == kind]

    def patch(self, path: str, patch: Object, by_name: bool) -> Object:
        """The object with a patch merged in, not yet put there. Raises Refused at a conflict.

        ``by_name`` merges lists of things with names name by name, as strategic patches do.
        """
        body = copy.deepcopy(self.get(path))
        version = patch.get("metadata", {}).get("resourceVersion")
        if version not in (None, body["metadata"]["resourceVersion"]):
            raise Refused(409, "Conflict", "the object has been modified")
        _merge(body, patch, by_name)
        return body

    def put(self, path: str, body: Object) -> Object:
        """Put an object there, whatever was there before."""
        with self.lock:
            before = self.by_path.get(path, {})
            self.revision += 1
            metadata = body.setdefault("metadata", {})
            metadata.setdefault("uid", str(uuid.uuid4()))
            if before.get("spec") != body.get("spec") and body.get("kind") == "Deployment":
                metadata["generation"] = metadata.get("generation", 0) + 1
            metadata["resourceVersion"] = str(self.revision)
            self._settle(body)
            self.by_path[path] = body
        return body

    def report(self, path: str, status: Object) -> None:
        """Say how an object is, where that changed; nothing where it is gone."""
        with self.lock:
            body = self.by_path.get(path)
            if body is not None and body.get("status") != status:
                self.put(path, {**copy.deepcopy(body), "status": status})

    def delete(self, path: str, orphans: bool = False) -> Object:
        """Take an object away, and what it owns but for ``orphans``. Raises Refused."""
        with self.lock:
            gone = self.get(path)
            del self.by_path[path]
            self.revision += 1
            for other in () if orphans else self.owned(gone):
                if other in self.by_path:
                    self.delete(other)
        return gone

    def owned(self, owner: Object) -> list[str]:
        """Paths of what an object owns."""
        uid = owner["metadata"].get("uid")
        with self.lock:
            return [path for path, body in self.by_path.items() if uid in _owners(body)]


def _owners(body: Object) -> Iterable[str]:
    return [each["uid"] for each in body["metadata"].get("ownerReferences", ())]


def _is_in(other: Place, at: Place) -> bool:
    return (other["base"], other["plural"]) == (at["base"], at["plural"]) and at["namespace"] in (
        None,
        other["namespace"],
    )


def _merge(into: Object, patch: Object, by_name: bool) -> None:
    """JSON merge; in a strategic one, lists of things with names are merged name by name."""
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            under = into.get(key)
            into[key] = under if isinstance(under, dict) else {}
            _merge(into[key], value, by_name)
        elif by_name and isinstance(value, list) and isinstance(into.get(key), list):
            into[key] = _merged(into[key], value)
        elif not key.startswith("$"):
            into[key] = value


def _merged(there: list[Any], patch: list[Any]) -> list[Any]:
    if not all(isinstance(each, dict) and "name" in each for each in (*there, *patch)):
        return patch
    named = {each["name"]: each for each in there}
    for each in patch:
        if each.get("$patch") == "delete":
            named.pop(each["name"], None)
        elif each["name"] in named:
            _merge(named[each["name"]], each, by_name=True)
        else:
            named[each["name"]] = each
    return list(named.values())


def _encoded(body: Object) -> Object:
    """A copy; of a Secret, as the server keeps it."""
    body = json.loads(json.dumps(body))
    if clear := body.pop("stringData", None):
        data = {key: base64.b64encode(value.encode()).decode() for key, value in clear.items()}
        body["data"] = {**body.get("data", {}), **data}
    return body
