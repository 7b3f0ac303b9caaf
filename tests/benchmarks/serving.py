"""The model server beside its floor: ``python -m tests.benchmarks.serving [--json]``.

The floor is a bare ASGI function on the same uvicorn that runs the same decoder (16 -> 256 -> 64)
with onnxruntime: no validation, no limits, no metrics, no drain. Rounds are interleaved, figures
are medians. The client is in this process and takes the other core.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from infra.local import endpoint
from tests.served import ROOT, wait_ready, write_model

REQUEST = b'{"n": 1, "seed": 1}'
FLOOR = """
import json, sys
import numpy as np, onnxruntime as ort, uvicorn
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
async def app(scope, receive, send):
    body = {"n": 1, "seed": 1}
    if scope["method"] == "POST":
        body = json.loads((await receive())["body"])
    shape = (body["n"], 16)
    z = np.random.default_rng(body["seed"]).standard_normal(shape, dtype=np.float32)
    out = json.dumps({"images": session.run(None, {"z": z})[0].tolist()}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(out))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": out})
uvicorn.run(app, port=int(sys.argv[2]), log_config=None, access_log=False, lifespan="off")
"""


class Client(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, url: str, until: float, seconds: list[float]) -> None:
        self._request = (
            f"POST /sample HTTP/1.1\r\nHost: {url}\r\nContent-Length: {len(REQUEST)}\r\n\r\n"
        ).encode() + REQUEST
        self._until, self._seconds = until, seconds
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, found, body = self._held.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        assert head.startswith(b"HTTP/1.1 200"), head
        self._seconds.append(now - self._began)
        if now < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _ask(self) -> None:
        self._held = b""
        self._began = time.perf_counter()
        self._transport.write(self._request)


async def _load(port: int, connections: int, seconds: float) -> list[float]:
    until, times = time.perf_counter() + seconds, list[float]()
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: Client("x", until, times), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.ended for client in clients))
    return times


def load(process: psutil.Process, port: int, connections: int, seconds: float) -> dict[str, float]:
    """Load a server and return what it did."""
    used = process.cpu_times()
    began = time.perf_counter()
    times = asyncio.run(_load(port, connections, seconds))
    took, after = time.perf_counter() - began, process.cpu_times()
    cpu = after.user + after.system - used.user - used.system
    cuts = statistics.quantiles(times, n=100)
    return {
        f"c{connections} rps": len(times) / took,
        f"c{connections} p50 ms": cuts[49] * 1e3,
        f"c{connections} p99 ms": cuts[98] * 1e3,
        f"c{connections} cpu us": cpu / len(times) * 1e6,
    }


@contextlib.contextmanager
def started(name: str, model: Path) -> Iterator[tuple[psutil.Process, int, float]]:
    """A server, its port, and the seconds from its start until it was ready."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    commands = {
        "floor": ["-c", FLOOR, str(model / "sample.onnx"), str(port)],
        "trefoil": ["-m", "components.serve", "--model", str(model), "--port", str(port)],
    }
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *commands[name]], cwd=ROOT, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_ready(f"http://127.0.0.1:{port}")
            yield psutil.Process(process.pid), port, time.perf_counter() - began
        finally:
            process.terminate()


def servers(model: Path, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Both servers, in turn."""
    rows: dict[str, list[dict[str, float]]] = {"floor": [], "trefoil": []}
    for _ in range(rounds):
        for name, found in rows.items():
            with started(name, model) as (process, port, ready):
                load(process, port, 1, 0.3)
                row = {"ready s": ready}
                for connections in (1, 32):
                    row |= load(process, port, connections, seconds)
                memory = process.memory_full_info()
                row |= {"rss MB": memory.rss / 1e6, "pss MB": memory.pss / 1e6}
                found.append(row)
    return {
        name: {key: statistics.median(row[key] for row in found) for key in found[0]}
        for name, found in rows.items()
    }


def deployments(folder: Path, rounds: int) -> dict[str, float]:
    """Wall seconds of the deploy step: the first, one that switches, one with nothing to do."""
    models = [write_model(folder / str(version), seed=version) for version in range(2)]
    times: dict[str, list[float]] = {"first": [], "switch": [], "unchanged": []}
    for turn in range(rounds):
        workspace = folder / f"ws{turn}"
        for kind, version in (("first", 0), ("switch", 1), ("unchanged", 1)):
            began = time.perf_counter()
            subprocess.run(
                [
                    sys.executable, "-m", "components.deploy", "--model", str(models[version]),
                    "--model-name", "m", "--version", str(version), "--endpoint", "e",
                    "--url", str(folder / "url"),
                ],
                cwd=ROOT, env={**os.environ, "TREFOIL_WORKSPACE": str(workspace)}, check=True,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
            times[kind].append(time.perf_counter() - began)
        endpoint.stop(workspace=workspace, name="e")
    return {kind: statistics.median(found) for kind, found in times.items()}


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        found = servers(write_model(folder / "model"), arguments.rounds, arguments.seconds)
        steps = deployments(folder, arguments.rounds)
    if arguments.json:
        print(json.dumps({"servers": found, "deploy step s": steps}, indent=2))
        return
    print(f"{'':12}{'floor':>12}{'trefoil':>12}{'ratio':>8}")
    for key, floor in found["floor"].items():
        ours = found["trefoil"][key]
        print(f"{key:12}{floor:12.3g}{ours:12.3g}{ours / floor:8.2f}")
    for kind, seconds in steps.items():
        print(f"deploy step, {kind:12}{seconds:11.2f} s")


if __name__ == "__main__":
    main()
