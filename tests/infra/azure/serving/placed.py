"""What the tests of endpoints share: a workspace on loopback, a little server, models to serve."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.azure import endpoint
from infra.azure.emulator.cloud import standing
from infra.azure.emulator.world import Scope
from infra.azure.serving.requests import SERVER_IMAGE, SERVING, Serving
from infra.rehearsal.log import lines
from infra.served import Endpoint

IDENTITY = (
    "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/example/providers/"
    "Microsoft.ManagedIdentity/userAssignedIdentities/serving"
)
SCOPE = Scope(
    "11111111-1111-4111-8111-111111111111", "example", "digits-workspace", "westeurope",
    "examplestore", "trefoil", "trefoil", identities=frozenset({IDENTITY}),
)  # fmt: skip
WHERE = Serving(
    SCOPE.subscription, SCOPE.group, SCOPE.workspace, SCOPE.region, SCOPE.account, SCOPE.container,
    SCOPE.datastore, "trefoil", IDENTITY, {"team": "digits"}, "Standard_DS3_v2", 1, 16, False,
)  # fmt: skip
IMAGE = "example.azurecr.io/little@sha256:" + "0" * 64
SERVER = """
import http.server, json, os, pathlib, signal, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the first process of a container has none
(file,) = pathlib.Path(os.environ["AZUREML_MODEL_DIR"]).glob("**/serving.json")
card, version = json.loads(file.read_text()), os.environ["TREFOIL_MODEL_VERSION"]
print("starts", version, flush=True)
if "ill" in card:
    sys.exit("these weights are of another model")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(200 if self.path in ("/live", "/ready") else 404, {})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print("asked", json.dumps(asked), flush=True)
        status = 500 if "broken" in card else int(asked.get("status", 200))
        self.reply(status, {"version": version, "path": self.path, **asked})

    def reply(self, status, told):
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

host, port = os.environ.get("TREFOIL_HOST", "127.0.0.1"), int(os.environ["TREFOIL_PORT"])
http.server.ThreadingHTTPServer((host, port), Handler).serve_forever()
"""


class Place:
    """A workspace, and models to serve there."""

    def __init__(self, folder: Path, **serving: Any) -> None:
        self.serving = WHERE._replace(**serving)
        self.environment = {SERVING: self.serving.text(), SERVER_IMAGE: IMAGE}
        self.folder = folder

    def deploy(
        self, version: str, canary: int = 0, name: str = "digits", run: str = "", **card: Any
    ) -> Endpoint:
        """Serve a version; the ``card`` says what is wrong with it."""
        model = self.folder / f"model-{version}"
        model.mkdir(exist_ok=True)
        (model / "serving.json").write_text(json.dumps({"operations": {"sample": {}}, **card}))
        (model / "weights").write_text(version)
        return endpoint.deploy(
            workspace=self.folder, name=name, version=version, model=model, model_name="vae",
            canary=canary, environment={**self.environment, "TREFOIL_RUN_ID": run},
        )  # fmt: skip

    def ask(self, verb: str, name: str = "digits") -> Endpoint:
        """Roll back, or stop."""
        does = getattr(endpoint, verb)
        found: Endpoint = does(workspace=self.folder, name=name, environment=self.environment)
        return found

    def told(self) -> list[Endpoint]:
        """What the verb endpoints tells."""
        return endpoint.endpoints(workspace=self.folder, environment=self.environment)

    def answers(self, requests: int = 10, name: str = "digits") -> list[str]:
        """The versions that answer so many requests, asked as anyone asks."""
        from infra.azure.arm import Arm

        url = f"https://{name}.{SCOPE.region}.inference.ml.azure.com/score"
        arm = Arm(self.serving.where)
        found = [arm.score(url, {"n": 1}, {}, "ask") for _ in range(requests)]
        return sorted(json.loads(each.body)["version"] for each in found)

    def kept(self, kind: str) -> list[dict[str, Any]]:
        """What the workspace has: models, environments, onlineEndpoints, deployments."""
        files = (self.folder / "cloud/azureml" / kind).glob("*.json")
        return [json.loads(file.read_text()) for file in sorted(files)]

    def sent(self, method: str, kind: str) -> list[dict[str, Any]]:
        """The bodies of such calls to ARM: PUT, onlineEndpoints/deployments."""
        log = lines(self.folder / "cloud/requests.jsonl")
        wanted = f"ARM {method} {kind}"
        return [json.loads(line["body"] or "{}") for line in log if line["name"] == wanted]


@contextmanager
def place(
    folder: Path, scenario: dict[str, Any] | None = None, runner: str = "process", **serving: Any
) -> Iterator[Place]:
    """The workspace while the block runs; its image of the tests is a little server."""
    script = folder / "server.py"
    script.write_text(SERVER)
    commands = {"commands": {"little": ["python", str(script)]}}
    with standing(SCOPE, folder / "cloud", {**commands, **(scenario or {})}, runner):
        yield Place(folder, **serving)
