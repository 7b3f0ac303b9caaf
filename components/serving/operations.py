"""What a served model can do, computed by ONNX Runtime from a model directory.

``serving.json`` in the directory is the whole description::

    {"format": 1, "name": "digits-vae", "shape": [8, 8], "levels": 17,
     "operations": {"sample": "sample.onnx", "reconstruct": "reconstruct.onnx",
                    "score": "score.onnx"}}

A model has any of the three operations. Their graphs take, by name, all float32 with the batch
first, and give one output:

    images   (N, *shape), 0..1                 of reconstruct and score
    z        (N, *latent), standard normal     of sample
    noise    (N, ...), standard normal         of any that estimates by sampling
    ->       images (N, *shape) 0..1 of sample and reconstruct; bits/dim (N,) of score

Everywhere an image's values are 0..1. A model of discrete data (``levels``) sees the nearest of
its levels k / (levels - 1).
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.errors import InputError
from training.files import read_object
from training.runtime import onnxruntime

Array: TypeAlias = NDArray[np.float32]
FORMAT = 1
"""Format of the serving.json that is read here."""
OPERATIONS = ("sample", "reconstruct", "score")
BATCH = 256
"""Rows given to a graph at once: bounds the memory that one request can take."""


class Model:
    """A model directory, loaded. Safe to use from several threads."""

    def __init__(self, directory: Path, threads: int = 1) -> None:
        """Load it. Raises InputError with what is wrong, and in which file."""
        card = _card(directory)
        self.name: str = card["name"]
        self.shape: tuple[int, ...] = tuple(card["shape"])
        self.levels: int = card["levels"]
        self._graphs = {
            name: _Graph(directory / file, threads) for name, file in card["operations"].items()
        }
        self.latent: tuple[int, ...] = ()
        if "sample" in self._graphs:
            self.latent = self._graphs["sample"].row("z")

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of what this model can do."""
        return tuple(self._graphs)

    def draw(self, n: int, seed: int) -> Array:
        """The latents that a seed stands for; the first k of n are those of k."""
        return np.random.default_rng(seed).standard_normal((n, *self.latent), dtype=np.float32)

    def sample(self, z: Array) -> Array:
        """Images for latents."""
        return self._graphs["sample"].run(z, 0)

    def reconstruct(self, images: Array, seed: int = 0) -> Array:
        """Images as the model remembers them."""
        return self._graphs["reconstruct"].run(self._snapped(images), seed)

    def score(self, images: Array, seed: int = 0) -> Array:
        """Bits per dimension of each image; lower is likelier."""
        return self._graphs["score"].run(self._snapped(images), seed)

    def warm_up(self) -> dict[str, float]:
        """Run each operation on one row and return its seconds. Raises InputError."""
        image = np.zeros((1, *self.shape), np.float32)
        expected = {"sample": image.shape, "reconstruct": image.shape, "score": (1,)}
        seconds = {}
        for name, graph in self._graphs.items():
            row = self.draw(1, 0) if name == "sample" else image
            for _ in range(3):  # the first runs allocate
                began = time.perf_counter()
                found = graph.run(row, 0)
                seconds[name] = time.perf_counter() - began
            if found.shape != expected[name] or not np.isfinite(found).all():
                raise InputError(
                    f"{graph.file} gives {list(found.shape)} for one row where {name} wants "
                    f"{list(expected[name])}, all finite; export the model anew"
                )
        return seconds

    def _snapped(self, images: Array) -> Array:
        if not self.levels:
            return images
        top = np.float32(self.levels - 1)
        snapped: Array = np.rint(images * top) / top
        return snapped


class _Graph:
    """One ONNX file."""

    def __init__(self, file: Path, threads: int) -> None:
        ort = onnxruntime()
        ort.set_default_logger_severity(3)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.file = file
        try:
            self._session = ort.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own exceptions share no base class
            reason = str(error).strip().partition("\n")[0]
            raise InputError(f"{file} cannot be loaded: {reason}") from None
        self._inputs = {each.name: tuple(each.shape[1:]) for each in self._session.get_inputs()}
        self._data = [name for name in self._inputs if name != "noise"]
        if len(self._data) != 1 or self._data[0] not in {"z", "images"}:
            raise InputError(f"{file} takes {list(self._inputs)}; a graph takes z or images")

    def row(self, name: str) -> tuple[int, ...]:
        """Shape of one row of an input. Raises InputError where it is not fixed."""
        shape: tuple[Any, ...] = self._inputs.get(name, (None,))
        if not all(isinstance(size, int) for size in shape):
            raise InputError(f"{self.file} has no input {name} of a fixed row shape")
        return shape

    def run(self, rows: Array, seed: int) -> Array:
        """Give every row to the graph. The same seed is the same noise for each of them."""
        feed: dict[str, Array] = {}
        if "noise" in self._inputs:
            one = np.random.default_rng(seed).standard_normal(
                (1, *self.row("noise")), dtype=np.float32
            )
            feed["noise"] = np.broadcast_to(one, (min(len(rows), BATCH), *one.shape[1:]))
        parts = []
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            inputs = {name: value[: len(part)] for name, value in feed.items()}
            parts.append(self._session.run(None, inputs | {self._data[0]: part})[0])
        found: Array = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return found


def _card(directory: Path) -> dict[str, Any]:
    """Read serving.json and check it. Raises InputError."""
    file = directory / "serving.json"
    found = read_object(file, "model to serve", FORMAT, "export the model anew")
    card = {"name": directory.name, "levels": 0, **found}
    shape, operations = card.get("shape"), card.get("operations")
    if not (isinstance(shape, list) and shape and all(type(n) is int and n > 0 for n in shape)):
        raise InputError(f"{file}: shape is the list of an image's sizes, not {shape!r}")
    if math.prod(shape) > 2**24:
        raise InputError(f"{file}: shape {shape} is beyond what one answer can hold")
    if not (type(card["levels"]) is int and (card["levels"] == 0 or card["levels"] > 1)):
        raise InputError(f"{file}: levels is a whole number above 1, or 0, not {card['levels']!r}")
    if not (isinstance(operations, dict) and operations and operations.keys() <= {*OPERATIONS}):
        raise InputError(f"{file}: operations maps any of {', '.join(OPERATIONS)} to ONNX files")
    for name in operations.values():
        if not (isinstance(name, str) and name == Path(name).name):
            raise InputError(f"{file}: {name!r} is not the name of a file beside it")
    return card
