"""What the tests of endpoints share: a little server, models of it, and endpoints."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.aws.emulator.cloud import Cloud
from tests.infra.aws.emulator.cloudy import IMAGE, ROLE, client, cloud, put, until, uri

STEADY = ("InService", "Failed")
_SERVER = """
import http.server, os, pathlib
model = pathlib.Path(os.environ["TREFOIL_OPT_ML"], "model/weights").read_text()
print("serves", model, flush=True)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(200 if self.path == "/ping" and "ill" not in model else 500, b"")

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        if asked == b"die":
            os._exit(1)
        kind, own = self.headers["Content-Type"], self.headers["X-Amzn-SageMaker-Custom-Attributes"]
        told = f"{model} {self.path} {kind} {own} {asked.decode()} {os.environ.get('EXTRA')}"
        self.reply(418 if asked == b"bad" else 200, told.encode())

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

if "gone" in model:
    raise SystemExit("no such weights")
port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@contextmanager
def served(folder: Path, **scenario: Any) -> Iterator[Cloud]:
    """AWS, whose image of the tests is a little server."""
    script = folder / "server.py"
    script.write_text(_SERVER)
    commands = {"trefoil-trainer": ["python", str(script)]}
    with cloud(folder / "cloud", commands=commands, **scenario) as found:
        yield found


def model(name: str, weights: str, **more: Any) -> str:
    """Make a model, packed as SageMaker takes it; returns its name."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("weights")
        entry.size = len(weights)
        archive.addfile(entry, io.BytesIO(weights.encode()))
    put(f"models/{name}/model.tar.gz", packed.getvalue())
    container = {"Image": IMAGE, "ModelDataUrl": uri("models", name, "model.tar.gz"), **more}
    client().create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    return name


def variant(name: str, model_name: str, weight: float = 1.0, **more: Any) -> dict[str, Any]:
    """A variant on one machine."""
    return {
        "VariantName": name, "ModelName": model_name, "InitialVariantWeight": weight,
        "InstanceType": "ml.m5.large", "InitialInstanceCount": 1, **more,
    }  # fmt: skip


def configured(name: str, *variants: dict[str, Any], **more: Any) -> str:
    """Make a configuration; returns its name."""
    client().create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=list(variants), **more
    )
    return name


def created(config: str, name: str = "digits") -> dict[str, Any]:
    """Make an endpoint, and wait until it stays as it is."""
    client().create_endpoint(EndpointName=name, EndpointConfigName=config)
    return settled(name)


def updated(config: str, name: str = "digits", **more: Any) -> dict[str, Any]:
    """Change it, and wait until it stays as it is."""
    client().update_endpoint(EndpointName=name, EndpointConfigName=config, **more)
    return settled(name)


def settled(name: str = "digits") -> dict[str, Any]:
    """An endpoint that stays as it is."""
    sagemaker = client()
    found: dict[str, Any] = until(
        lambda: sagemaker.describe_endpoint(EndpointName=name), "EndpointStatus", STEADY
    )
    return found


def answer(body: str = "hello", name: str = "digits", **more: Any) -> tuple[str, str]:
    """What an endpoint answers, and which variant did."""
    found = client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=body, **more)
    return found["Body"].read().decode(), found["InvokedProductionVariant"]
