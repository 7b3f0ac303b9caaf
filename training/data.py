"""A prepared data set as tensors, and batches of it in an order that can be taken up again.

``load`` reads what ``training.schema`` describes and checks it against what it says of itself.
Pixels stay in the type they are stored in; a model makes of them what its losses take in
``Model.prepare``, once or for many batches at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from training.errors import InputError
from training.files import read_schema

SET_ASIDE_SEED = 0
"""Validation rows are the same for every run on the same data, so that runs compare."""

_KEPT = 1 << 24
"""Values up to which a column is prepared once, and kept so (64 MiB)."""
_CHUNK = 1 << 20
"""Values of a column that are gathered at once, and prepared where they are not yet."""

Columns = dict[str, Tensor]
"""Tensors by name, row by row of the same examples."""


@dataclass(frozen=True)
class Spec:
    """What a data set is, apart from its rows: all that a model is built from."""

    name: str
    modality: str
    shape: tuple[int, ...]
    levels: int
    """Values a pixel may take; 0: any in 0..1."""
    classes: tuple[str, ...]
    md5: str
    """Of the data that was prepared."""


@dataclass(frozen=True)
class Dataset:
    """A data set in memory. Images are (rows, *shape)."""

    spec: Spec
    train: Columns
    test: Columns

    def digest(self) -> str:
        """Of the training rows as they lie here, whichever way they were split off."""
        found = hashlib.sha256()
        for column in self.train.values():
            found.update(column.numpy().data)
        return found.hexdigest()

    def set_aside(self, share: float) -> tuple[Columns, Columns]:
        """The training rows without and with ``share`` of them; raises InputError if none is left.

        Any share above 0 sets one row aside at least.
        """
        rows = count(self.train)
        aside = max(1, round(rows * share)) if share else 0
        if aside >= rows:
            raise InputError(f"{self.spec.name} has {rows} training rows, too few for validation")
        generator = torch.Generator().manual_seed(SET_ASIDE_SEED)
        order = torch.randperm(rows, generator=generator)
        return take(self.train, order[aside:]), take(self.train, order[:aside])


def count(columns: Columns) -> int:
    """How many rows there are."""
    return len(next(iter(columns.values())))


def take(columns: Columns, rows: Tensor) -> Columns:
    """The rows with these numbers."""
    return {
        name: column.index_select(0, rows.to(column.device)) for name, column in columns.items()
    }


def stream(seed: int, of: Literal["weights", "order", "noise"]) -> int:
    """The seed of one of a run's streams of chance, which must not run alike."""
    return 3 * seed + ("weights", "order", "noise").index(of)


class Batches:
    """Endless batches of equal size, every row once an epoch, the last few of each left out.

    Rows are gathered in chunks of many batches, which are then views: what a step pays for its
    batch is next to nothing. The order comes from a generator of its own.
    """

    def __init__(
        self, columns: Columns, size: int, seed: int, prepare: Callable[[Columns], Columns]
    ) -> None:
        self._rows = count(columns)
        self._size = min(size, self._rows)
        self._per_epoch = self._rows // self._size
        widest = max(column[0].numel() for column in columns.values())
        self._per_chunk = max(1, _CHUNK // (self._size * widest))
        kept = self._rows * widest <= _KEPT
        self._columns = prepare(columns) if kept else columns
        self._prepare = (lambda rows: rows) if kept else prepare
        self._generator = torch.Generator().manual_seed(seed)
        self._begin_epoch()

    def next(self) -> Columns:
        """The next batch."""
        if self._at == self._per_epoch:
            self._begin_epoch()
        place = self._at % self._per_chunk
        if place == 0 or not self._chunk:
            self._fill(self._at - place)
        self._at += 1
        batch: Columns = self._chunk[place]
        return batch

    def state(self) -> dict[str, Any]:
        """What ``restore`` goes on from."""
        return {"epoch": self._epoch, "at": self._at}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self._generator.set_state(state["epoch"])
        self._begin_epoch()
        self._at = state["at"]

    def _begin_epoch(self) -> None:
        self._epoch = self._generator.get_state()
        self._order = torch.randperm(self._rows, generator=self._generator)
        self._at = 0
        self._chunk: list[Columns] = []

    def _fill(self, first: int) -> None:
        batches = min(self._per_chunk, self._per_epoch - first)
        rows = self._order[first * self._size : (first + batches) * self._size]
        parts = {
            name: column.split(self._size)
            for name, column in self._prepare(take(self._columns, rows)).items()
        }
        self._chunk = [
            {name: part[place] for name, part in parts.items()} for place in range(batches)
        ]


def load(directory: Path) -> Dataset:
    """Read a prepared data set of images. Raises InputError with what is wrong, and where."""
    file = directory / "schema.json"
    described = read_schema(directory)
    try:
        if (modality := described["modality"]) != "image":
            raise InputError(f"{directory} holds {modality}; no recipe trains on it yet")
        spec = Spec(
            described["name"], described["modality"], tuple(described["shape"]),
            described["levels"], tuple(described["classes"]), described["source"]["md5"],
        )  # fmt: skip
        splits = {part: described["splits"][part] for part in ("train", "test")}
        return Dataset(
            spec,
            **{
                part: _read(directory / at["file"], at["rows"], spec) for part, at in splits.items()
            },
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"{file} lacks what prepare writes ({error}); prepare anew") from None


def _read(file: Path, rows: int, spec: Spec) -> Columns:
    try:
        with pq.ParquetFile(file) as stored:  # read_table would import pandas
            table = stored.read(use_threads=False)
        if len(table) == 0 or len(table) != rows:
            raise InputError(
                f"{file} holds {len(table)} rows, schema.json says {rows}; prepare anew"
            )
        if any(column.null_count for column in table.columns):
            raise InputError(f"{file} holds rows without a value; prepare anew")
        found = {"image": _images(table["image"], spec, file)}
        if spec.classes:
            found["label"] = _labels(table["label"], spec, file)
        return found
    except FileNotFoundError:
        raise InputError(f"{file} is missing; prepare anew") from None
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{file} is damaged: {reason}; prepare anew") from None


def _images(column: pa.ChunkedArray, spec: Spec, file: Path) -> Tensor:
    kind = np.dtype(np.uint8 if spec.levels else np.float32)
    if not pa.types.is_fixed_size_list(column.type) or column.type.list_size != np.prod(spec.shape):
        raise InputError(f"{file}: image is {column.type}, not of the shape {list(spec.shape)}")
    if column.type.value_type != pa.from_numpy_dtype(kind):
        raise InputError(f"{file}: image is {column.type}, not of {kind} as its levels say")
    parts = [_values(chunk.flatten(), kind) for chunk in column.chunks]
    pixels = torch.from_numpy(np.concatenate(parts)).view(-1, *spec.shape)
    most = spec.levels - 1 if spec.levels else 1
    ok = pixels.amax(dim=(1, 2, 3)) <= most  # NaN compares false
    if not spec.levels:
        ok &= pixels.amin(dim=(1, 2, 3)) >= 0
    if not ok.all():
        row = int((~ok).nonzero()[0])
        raise InputError(f"{file}, row {row} holds a pixel outside of 0..{most}; prepare anew")
    return pixels


def _labels(column: pa.ChunkedArray, spec: Spec, file: Path) -> Tensor:
    if column.type != pa.int64():
        raise InputError(f"{file}: label is {column.type}, not int64; prepare anew")
    parts = [_values(chunk, np.dtype(np.int64)) for chunk in column.chunks]
    labels = torch.from_numpy(np.concatenate(parts))
    wrong = (labels < 0) | (labels >= len(spec.classes))
    if wrong.any():
        row = int(wrong.nonzero()[0])
        most = len(spec.classes) - 1
        raise InputError(f"{file}, row {row} has the label {labels[row]}, not one of 0..{most}")
    return labels


def _values(array: pa.Array, kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """The values as they lie; ``to_numpy`` would import pandas to look at them."""
    values: npt.NDArray[Any] = np.frombuffer(array.buffers()[1], kind)
    return values[array.offset : array.offset + len(array)]
