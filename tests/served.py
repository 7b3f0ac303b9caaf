"""A small model directory, made without torch, and how to start and ask a server of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).parents[1]
LATENT, HIDDEN = 16, 256


def write_model(
    directory: Path, *, shape: tuple[int, ...] = (8, 8), levels: int = 17, seed: int = 0
) -> Path:
    """Write a decoder LATENT -> HIDDEN -> shape, a reconstruction and a score."""
    directory.mkdir(parents=True)
    pixels = int(np.prod(shape))
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((LATENT, HIDDEN)).astype(np.float32) / 4
    out = rng.standard_normal((HIDDEN, pixels)).astype(np.float32) / 4
    np.savez(directory / "weights.npz", hidden=hidden, out=out)
    _save(
        directory / "sample.onnx", {"z": (LATENT,)}, ("images", shape),
        [
            helper.make_node("MatMul", ["z", "hidden"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "out"], ["c"]),
            helper.make_node("Sigmoid", ["c"], ["d"]),
            helper.make_node("Reshape", ["d", "rows"], ["images"]),
        ],
        {"hidden": hidden, "out": out, "rows": np.array([-1, *shape])},
    )  # fmt: skip
    _save(
        directory / "reconstruct.onnx", {"images": shape}, ("rebuilt", shape),
        [
            helper.make_node("Mul", ["images", "half"], ["a"]),
            helper.make_node("Add", ["a", "quarter"], ["rebuilt"]),
        ],
        {"half": np.float32(0.5), "quarter": np.float32(0.25)},
    )  # fmt: skip
    axes = np.arange(1, 1 + len(shape))
    _save(
        directory / "score.onnx", {"images": shape, "noise": shape}, ("bits_per_dim", ()),
        [
            helper.make_node("Mul", ["images", "noise"], ["a"]),
            helper.make_node("ReduceMean", ["a", "axes"], ["bits_per_dim"], keepdims=0),
        ],
        {"axes": axes},
    )  # fmt: skip
    card = {
        "format": 1, "name": "tiny", "shape": list(shape), "levels": levels,
        "operations": {each: f"{each}.onnx" for each in ("sample", "reconstruct", "score")},
    }  # fmt: skip
    (directory / "serving.json").write_text(json.dumps(card))
    return directory


def decode(directory: Path, z: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the decoder of 8x8 images gives, by numpy."""
    weights = np.load(directory / "weights.npz")
    hidden = np.maximum(z @ weights["hidden"], 0)
    found: NDArray[np.float32] = 1 / (1 + np.exp(-(hidden @ weights["out"])))
    return found.reshape(-1, 8, 8)


def _save(
    file: Path,
    inputs: dict[str, tuple[int, ...]],
    output: tuple[str, tuple[int, ...]],
    nodes: list[onnx.NodeProto],
    constants: dict[str, object],
) -> None:
    def value(name: str, row: tuple[int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *row])

    graph = helper.make_graph(
        nodes, "graph", [value(*each) for each in inputs.items()], [value(*output)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, file)


@contextlib.contextmanager
def server(
    *arguments: str | Path, env: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process of its own on a free port, and its URL; killed at the end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
    process = subprocess.Popen(
        [sys.executable, "-m", "components.serve", *map(str, arguments), "--port", "0"],
        stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stderr.read()
        yield process, found[0]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def wait_ready(url: str, seconds: float = 30) -> float:
    """Wait until the server is ready; how long that took."""
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/ready", timeout=5).status_code == 200:
                return time.perf_counter() - began
        time.sleep(0.01)
    raise TimeoutError(f"{url} was not ready in {seconds} s")


def until(there: Callable[[], object]) -> None:
    """Wait for what must come; the test's own time limit is the only clock."""
    while not there():
        time.sleep(0.01)
