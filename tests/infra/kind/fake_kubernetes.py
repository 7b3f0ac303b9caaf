"""A Kubernetes API server for kubectl and clients: it stores and validates, and runs nothing.

    with FakeKubernetes() as server:
        server.write_kubeconfig(path, context="kind-trefoil")

Discovery, create, read, patch (strategic, merge, apply), delete, label selectors, watches and logs
are there. Whatever is sent with field validation is held against Kubernetes' own schemas. A
Deployment is ready at once unless its name is in ``stuck``, a Job complete; nothing makes pods: put
them into ``objects``.
"""

from __future__ import annotations

import base64
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import kubernetes_validate
import yaml

from tests.infra.kind.fake_discovery import Place, Refused, discovery, group_of, kind_of, place

Object = dict[str, Any]

_VERSION = "1.33"


class FakeKubernetes:
    """The server. ``objects`` is what it holds, by path; ``requests`` what was asked of it.

    ``stuck`` are Deployments that never become ready; ``logs`` what containers of a pod printed;
    ``refuses`` maps a plural to the message with which its creation is refused.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.stuck: set[str] = set()
        self.logs: dict[str, str] = {}
        self.refuses: dict[str, str] = {}
        self.closing = threading.Event()
        self._revision = 0
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeKubernetes:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def write_kubeconfig(self, file: Path, context: str) -> None:
        """Write a kubeconfig whose context leads here."""
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": context,
            "clusters": [{"name": context, "cluster": {"server": self.url}}],
            "users": [{"name": context, "user": {}}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        }  # fmt: skip
        file.write_text(json.dumps(config), encoding="utf-8")

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
        with self._lock:
            self._revision += 1
            body.setdefault("metadata", {}).setdefault("uid", f"uid-{self._revision}")
            body["metadata"]["resourceVersion"] = str(self._revision)
            self._run(body)
            self.objects[path] = body
        return body

    def _run(self, body: Object) -> None:
        """What the controllers of a real cluster would have done at once."""
        name = body["metadata"].get("name")
        if body["kind"] == "Deployment":
            body["metadata"]["generation"] = body["metadata"].get("generation", 0) + 1
            count = 0 if name in self.stuck else body["spec"].setdefault("replicas", 1)
            body["status"] = {
                "observedGeneration": body["metadata"]["generation"], "replicas": count,
                "updatedReplicas": count, "readyReplicas": count, "availableReplicas": count,
            }  # fmt: skip
        conditions = {"Job": "Complete", "CustomResourceDefinition": "Established"}
        if body["kind"] in conditions:
            body["status"] = {"conditions": [{"type": conditions[body["kind"]], "status": "True"}]}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: kubectl ends without taking leave of its connections."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one packet: two wait for each other
    disable_nagle_algorithm = True
    fake: FakeKubernetes

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_PUT(self) -> None:
        self._answer(self._put)

    def do_PATCH(self) -> None:
        self._answer(self._patch)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, act: Any) -> None:
        url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(url.query))
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = yaml.safe_load(sent) if sent else None
        self.fake.requests.append((self.command, url.path, body))
        try:
            code, answer = act(url.path, body)
        except Refused as refused:
            code = refused.code
            answer = {
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                "reason": refused.reason, "message": str(refused),
            }  # fmt: skip
        text = answer if isinstance(answer, str) else json.dumps(answer)
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def _get(self, path: str, _: Any) -> tuple[int, Any]:
        if (found := discovery(path)) is not None:
            return 200, found
        at = place(path)
        if at["sub"] == "log":
            return 200, self.fake.logs.get(at["name"] or "", "")
        if at["name"]:
            return 200, self._object(path)
        items = [each for key, each in sorted(self.fake.objects.items()) if self._is_in(key, at)]
        if self.query.get("watch"):  # they are told once, and nothing happens after
            self.fake.closing.wait(0.1)
            events = [{"type": "ADDED", "object": each} for each in items]
            return 200, "".join(f"{json.dumps(event)}\n" for event in events)
        kind = kind_of(at)
        return 200, {
            "kind": f"{kind}List", "apiVersion": group_of(at["base"]), "items": items,
            "metadata": {"resourceVersion": str(self.fake._revision)},
        }  # fmt: skip

    def _post(self, path: str, body: Object) -> tuple[int, Any]:
        at = place(path)
        where = f"{path}/{body['metadata']['name']}"
        if at["plural"] in self.fake.refuses:
            raise Refused(403, "Forbidden", self.fake.refuses[at["plural"]])
        if where in self.fake.objects:
            raise Refused(409, "AlreadyExists", f"{where} already exists")
        namespace = f"/api/v1/namespaces/{at['namespace']}"
        if at["namespace"] and namespace not in self.fake.objects:
            raise Refused(404, "NotFound", f'namespaces "{at["namespace"]}" not found')
        self._validate(body)
        return 201, self.fake.put(where, _encoded(body))

    def _put(self, path: str, body: Object) -> tuple[int, Any]:
        self._object(path)
        self._validate(body)
        return 200, self.fake.put(path, _encoded(body))

    def _patch(self, path: str, patch: Object) -> tuple[int, Any]:
        apply = "apply" in self.headers["Content-Type"]
        if apply and path not in self.fake.objects:
            return self._post(path.rpartition("/")[0], patch)
        body = json.loads(json.dumps(self._object(path)))
        version = patch.get("metadata", {}).get("resourceVersion")
        if version not in (None, body["metadata"]["resourceVersion"]):
            raise Refused(409, "Conflict", "the object has been modified")
        _merge(body, patch, by_name="merge-patch" not in self.headers["Content-Type"] or apply)
        self._validate(body)
        if body == self.fake.objects[path]:
            return 200, body
        return 200, self.fake.put(path, body)

    def _delete(self, path: str, _: Any) -> tuple[int, Any]:
        self._object(path)
        del self.fake.objects[path]
        return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def _object(self, path: str) -> Object:
        at = place(path)
        if path not in self.fake.objects:
            group = group_of(at["base"]).rpartition("/")[0]
            what = f"{at['plural']}{'.' if group else ''}{group}"
            raise Refused(404, "NotFound", f'{what} "{at["name"]}" not found')
        return self.fake.objects[path]

    def _is_in(self, key: str, at: Place) -> bool:
        other = place(key)
        body = self.fake.objects[key]
        labels = body["metadata"].get("labels", {})
        wanted = [each for each in self.query.get("labelSelector", "").split(",") if each]
        fields = [each for each in self.query.get("fieldSelector", "").split(",") if each]
        return (
            (other["base"], other["plural"]) == (at["base"], at["plural"])
            and at["namespace"] in (None, other["namespace"])
            and all(
                labels.get(each.partition("=")[0]) == each.rpartition("=")[2] for each in wanted
            )
            and all(f"metadata.name={body['metadata']['name']}" == each for each in fields)
        )

    def _validate(self, body: Object) -> None:
        if self.query.get("fieldValidation") != "Strict":
            return
        try:
            kubernetes_validate.validate(body, _VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            raise Refused(400, "BadRequest", f"strict decoding error: {error.message}") from None


def _merge(into: Object, patch: Object, by_name: bool) -> None:
    """JSON merge; in a strategic one, lists of things with names are merged name by name."""
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
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
    """A Secret as the server keeps it."""
    if clear := body.pop("stringData", None):
        data = {key: base64.b64encode(value.encode()).decode() for key, value in clear.items()}
        body["data"] = {**body.get("data", {}), **data}
    return body
