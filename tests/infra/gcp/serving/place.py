"""What the tests of endpoints share: a project on loopback, and models to serve there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from infra.gcp import GcpSettings, endpoint, session
from infra.gcp.emulator import cloud
from infra.gcp.emulator.cloud import Account, standing
from infra.gcp.emulator.world import World
from infra.gcp.serving.requests import SERVER_IMAGE, SERVING, Serving
from infra.rehearsal.log import lines
from infra.served import Endpoint
from tests.infra.gcp.serving.threads import Threads

PROJECT, NUMBER, REGION, BUCKET = (
    "example-project",
    "123456789012",
    "europe-west4",
    "example-bucket",
)
SERVED_BY = f"trefoil-serving@{PROJECT}.iam.gserviceaccount.com"
IMAGE = f"{REGION}-docker.pkg.dev/{PROJECT}/trefoil/little:1"
PARENT = f"projects/{PROJECT}/locations/{REGION}"
ACCOUNT = Account(PROJECT, NUMBER, REGION, frozenset({SERVED_BY}), BUCKET)
SETTINGS = GcpSettings(
    project=PROJECT, region=REGION, bucket=BUCKET, serving_service_account=SERVED_BY,
    serving_machine_type="n1-standard-2",
)  # fmt: skip
MACHINES: dict[str, Any] = {"serving_instances": 3, "serving_requests": 300}
_SERVER = """
import http.server, json, os, pathlib, sys, tempfile
sys.path.insert(0, os.getcwd())
from components.serving.storage import fetch

place = fetch(os.environ["AIP_STORAGE_URI"], pathlib.Path(tempfile.mkdtemp(), "model"))
card = json.loads((place / "serving.json").read_text())
if "ill" in card:
    sys.exit("these weights are of another model")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        well = self.path == os.environ["AIP_HEALTH_ROUTE"] and "sick" not in card
        self.reply(200 if well else 503, {})

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = json.loads(text)
        if self.path != os.environ["AIP_PREDICT_ROUTE"] or "broken" in card:
            self.reply(500, {"error": "these weights are broken"})
        elif asked.get("parameters", {}).get("bad"):
            self.reply(422, {"error": "that is bad"})
        elif asked.get("parameters", {}).get("die"):
            os._exit(1)
        else:
            version = os.environ["TREFOIL_MODEL_VERSION"]
            told = [{"version": version, "asked": each} for each in asked.get("instances", ())]
            self.reply(200, {"predictions": told})

    def reply(self, status, told):
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

print("serves", os.environ["TREFOIL_MODEL_VERSION"], flush=True)
port = int(os.environ["AIP_HTTP_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


class Place:
    """A project, and models to serve there."""

    def __init__(self, folder: Path, world: World, **settings: Any) -> None:
        self.world = world
        serving = Serving.of(SETTINGS._replace(**settings))
        self.environment = {SERVING: serving.text(), SERVER_IMAGE: IMAGE, "TREFOIL_RUN_ID": "r-1"}
        self.folder = folder

    @property
    def gcp(self) -> session.Gcp:
        """The way there."""
        return session.connected(PROJECT, REGION)

    def model(self, version: str, **card: Any) -> Path:
        """A model; the ``card`` says what is wrong with it."""
        model = self.folder / f"model-{version}"
        model.mkdir(exist_ok=True)
        (model / "serving.json").write_text(json.dumps({"operations": {"sample": {}}, **card}))
        (model / "weights").write_text(version)
        return model

    def deploy(self, version: str, canary: int = 0, **card: Any) -> Endpoint:
        """Serve a version."""
        return endpoint.deploy(
            workspace=self.folder, name="digits", version=version, model_name="vae",
            model=self.model(version, **card), canary=canary, environment=self.environment,
        )  # fmt: skip

    def ask(self, verb: str) -> Endpoint:
        """Roll back, or stop."""
        does = getattr(endpoint, verb)
        found: Endpoint = does(workspace=self.folder, name="digits", environment=self.environment)
        return found

    def endpoints(self) -> list[Endpoint]:
        """All that there are."""
        return endpoint.endpoints(workspace=self.folder, environment=self.environment)

    def serving(self, requests: int = 10) -> list[str]:
        """The versions that answer so many requests."""
        body: dict[str, Any] = {"instances": [{}]}
        found = [
            self.gcp.ask("endpoints.predict", "ask", body, endpoint=f"{PARENT}/endpoints/digits")
            for _ in range(requests)
        ]
        return sorted(each["predictions"][0]["version"] for each in found)

    def kept(self, kind: str) -> list[dict[str, Any]]:
        """What the project has: ModelVersion, Endpoint, Operation, BatchPredictionJob."""
        files = (self.folder / "cloud/vertex" / kind).glob("*.json")
        return [json.loads(file.read_text()) for file in sorted(files)]

    def deployed(self) -> list[str]:
        """The versions of Vertex AI's that machines are there for."""
        found = [each for one in self.kept("Endpoint") for each in one["deployed"].values()]
        return sorted(each["version"] for each in found)

    def sent(self, method: str) -> list[dict[str, Any]]:
        """The bodies of one method, of those that were carried out."""
        log = lines(self.folder / "cloud/requests.jsonl")
        name = f"aiplatform {method}"
        return [json.loads(line["body"]) for line in log if line["name"] == name]


@contextmanager
def place(folder: Path, scenario: dict[str, Any] | None = None, **settings: Any) -> Iterator[Place]:
    """The project while the block runs, its servers processes."""
    script = folder / "server.py"
    script.write_text(_SERVER)
    own = {"commands": {"little": ["python", str(script)]}, "startup": 60, **(scenario or {})}
    with standing(ACCOUNT, folder / "cloud", own) as there:
        yield Place(folder, there.world, **settings)


@contextmanager
def threaded(
    folder: Path, scenario: dict[str, Any] | None = None, **settings: Any
) -> Iterator[Place]:
    """The same, its servers threads."""
    with (
        mock.patch.object(cloud, "choose", return_value=Threads()),
        standing(ACCOUNT, folder / "cloud", {"startup": 5, **(scenario or {})}) as there,
    ):
        yield Place(folder, there.world, **settings)
