"""Serve a model directory over HTTP: sample, reconstruct, score.

    python -m components.serve --model DIR [--port 8080] [--host 127.0.0.1]

One image serves every platform. SageMaker runs it as ``serve`` (port 8080, the model in
/opt/ml/model), Vertex AI sets AIP_HTTP_PORT, AIP_HEALTH_ROUTE, AIP_PREDICT_ROUTE and
AIP_STORAGE_URI, a gs:// address that the model is fetched from; either means every interface
instead of 127.0.0.1. Azure ML says by AZUREML_MODEL_DIR where the model lies; how deep below it
differs, so it is searched for. Where flags cannot be given, TREFOIL_MODEL_NAME and
TREFOIL_MODEL_VERSION say what it is. It listens at once and is ready when the model has been loaded
and tried. SIGTERM lets requests finish (``--drain`` seconds at most) and ends it with 0.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from components import contract
from training.errors import InputError

if TYPE_CHECKING:
    from components.serving.app import App
    from components.serving.operations import Model
    from components.serving.server import Server

SAGEMAKER_MODEL = Path("/opt/ml/model")
_MOUNTS = ("AZUREML_MODEL_DIR", "TREFOIL_MODEL_MOUNT")
"""What may say below which folder Azure ML mounted the model: its own word, and ours."""


def main() -> None:
    """Serve until told to end. Raises InputError where the model or the port cannot be had."""
    arguments = parse(sys.argv[1:], os.environ)
    listener = None if arguments.control_fd is not None else bind(arguments.host, arguments.port)

    from components.serving.app import App
    from components.serving.server import Server

    app = App(arguments.version, arguments.name, arguments.health_route, arguments.predict_route)
    server = Server(app, arguments.drain, shared=listener is None)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(serve(app, server, arguments, listener))


def parse(argv: list[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """Read flags, with the platforms' environment as their defaults. Raises InputError."""
    hosted = argv[:1] == ["serve"] or "AIP_HTTP_PORT" in environment
    parser = contract.Arguments("components.serve", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("platform", nargs="?", choices=["serve"], help="as SageMaker starts it")
    model = environment.get("AIP_STORAGE_URI") or str(mounted(environment))
    parser.add_argument("--model", default=model, help="model directory, or gs:// address of one")
    parser.add_argument("--host", default="0.0.0.0" if hosted else "127.0.0.1")  # noqa: S104
    parser.add_argument("--port", type=int, default=environment.get("AIP_HTTP_PORT", "8080"))
    name = environment.get("TREFOIL_MODEL_NAME", "")
    version = environment.get("TREFOIL_MODEL_VERSION", "1")
    parser.add_argument("--name", default=name, help="the model's name in KServe's routes")
    parser.add_argument("--version", default=version, help="told by /, /metrics and KServe")
    parser.add_argument("--threads", type=int, default=1, help="threads of one inference")
    parser.add_argument("--drain", type=float, default=25.0, help="seconds to finish in")
    parser.add_argument("--health-route", default=environment.get("AIP_HEALTH_ROUTE", "/health"))
    parser.add_argument("--predict-route", default=environment.get("AIP_PREDICT_ROUTE", "/predict"))
    for name, kind in (("--control-fd", int), ("--id", str), ("--record", Path)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)  # see serving.handover
    arguments = parser.parse_args(argv)
    for route in (arguments.health_route, arguments.predict_route):
        if not route.startswith("/"):
            raise InputError(f"a route begins with a slash, and {route!r} does not")
    return arguments


def mounted(environment: Mapping[str, str]) -> Path:
    """Where the platform put the model."""
    roots = [Path(environment[name]) for name in _MOUNTS if environment.get(name)]
    for root in roots:
        if found := sorted(root.glob("**/serving.json")):
            return found[0].parent
    return roots[0] if roots else SAGEMAKER_MODEL


def bind(host: str, port: int) -> socket.socket:
    """Listen on an address. Raises InputError saying what to do where it is taken."""
    try:
        return socket.create_server((host, port), backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"port {port} of {host} cannot be had: {reason}; choose another with --port"
        ) from None


async def serve(
    app: App, server: Server, arguments: argparse.Namespace, listener: socket.socket | None
) -> None:
    """Listen, load the model meanwhile, and serve until told to end."""
    running = asyncio.create_task(server.serve(sockets=[]))
    while not (server.started or running.done()):
        await asyncio.sleep(0)
    if listener is not None:
        server.listen(listener)
        host, port = listener.getsockname()[:2]
        print(f"listening on http://{host}:{port}", file=sys.stderr, flush=True)
    else:
        from components.serving.handover import Handover

        control = socket.socket(fileno=arguments.control_fd)
        Handover(server, control, arguments.record, arguments.id)
    try:
        app.ready(*await asyncio.to_thread(load, arguments.model, arguments.threads))
        print(f"serving {app.name} version {app.version}", file=sys.stderr, flush=True)
    except BaseException:
        server.drain()
        raise
    finally:
        await running
        app.close()


def load(where: str | Path, threads: int) -> tuple[Model, dict[str, float]]:
    """Load a model, fetched where it lies in a bucket, and try each of its operations.

    Raises InputError.
    """
    from components.serving.operations import Model

    if str(where).startswith("gs://"):
        from components.serving.storage import fetch

        with tempfile.TemporaryDirectory() as folder:
            return load(fetch(str(where), Path(folder, "model")), threads)
    model = Model(Path(where), threads)
    return model, model.warm_up()


if __name__ == "__main__":
    contract.run(main)
