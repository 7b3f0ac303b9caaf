"""A .parquet file: a column of images or of text, and a column of labels where there are any.

An image is a nested list of pixels, a flat one (of square grey images, or of the shape that the
file's metadata names, as in what ``prepare`` writes), or a picture file as bytes, alone or in a
struct as Hugging Face's data sets have it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.errors import InputError
from training.sources import checks, split
from training.sources.examples import Array, Examples, Images, Labels, Texts
from training.sources.pictures import Stack

_IMAGES, _LABELS, _TEXTS = ("image", "images", "pixels", "x"), ("label", "labels", "y"), ("text",)


def read(file: Path, seed: int) -> Examples:
    """Raises InputError naming the file and the row."""
    if file.stat().st_size == 0:
        raise InputError(f"{file} is empty")
    try:
        with pq.ParquetFile(file) as table:
            return _read(_Table(file, table), seed)
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # of the disk, not of the content
        raise InputError(f"{file} is damaged or no Parquet file: {_first_line(error)}") from None


def _read(table: _Table, seed: int) -> Examples:
    image, text = table.first(_IMAGES), table.first(_TEXTS)
    if (image is None) == (text is None):
        raise InputError(
            f"{table.file} has the columns {', '.join(table.columns)}; it needs image or text, one "
            "of them, and label where there is any"
        )
    if table.rows == 0:
        raise InputError(f"{table.file} holds no rows")
    labels = _labels(table)
    if text is not None:
        texts = Texts(list(_texts(table, text)))
        if labels is None:
            return Examples(texts, None, split.tail(table.rows, str(table.file)))
        return Examples(texts, labels, split.split(labels, table.rows, seed, str(table.file)))
    images = _images(table, str(image))
    rows = split.split(labels, table.rows, seed, str(table.file))
    return Examples(images, labels, rows, checks.dark(images, str(table.file)))


class _Table:
    """A Parquet file, read one row group at a time."""

    def __init__(self, file: Path, table: pq.ParquetFile) -> None:
        self.file, self._table = file, table
        self.rows: int = table.metadata.num_rows
        self.columns: list[str] = table.schema_arrow.names
        self._metadata: dict[bytes, bytes] = table.schema_arrow.metadata or {}

    def first(self, names: tuple[str, ...]) -> str | None:
        return next((name for name in names if name in self.columns), None)

    def type(self, column: str) -> pa.DataType:
        return self._table.schema_arrow.field(column).type

    def at(self, row: int) -> str:
        return f"{self.file}, row {row}"

    def from_(self, start: int) -> checks.At:
        """``at`` for rows counted from ``start``."""
        return lambda row: self.at(start + row)

    def metadata(self, name: str) -> Any:
        """What the writer noted of the data; None where it is not there or not ours."""
        try:
            return json.loads(self._metadata[name.encode()])
        except (KeyError, ValueError):
            return None

    def groups(self, column: str) -> Iterator[tuple[int, pa.Array]]:
        """Each row group's values and the row they begin at. Raises InputError."""
        start = 0
        for number in range(self._table.num_row_groups):
            try:
                values = self._table.read_row_group(number, columns=[column]).column(0)
            except (pa.ArrowException, OSError) as error:
                rows = self._table.metadata.row_group(number).num_rows
                raise InputError(
                    f"{self.file}, rows {start} to {start + rows - 1} are damaged: "
                    f"{_first_line(error)}"
                ) from None
            if len(values) == 0:
                continue
            joined = values.combine_chunks()
            if isinstance(joined, pa.ChunkedArray):
                joined = pa.concat_arrays(joined.chunks)
            _require_no_nulls(joined, self.from_(start), column)
            yield start, joined
            start += len(joined)


def _texts(table: _Table, column: str) -> Iterator[str]:
    kind = table.type(column)
    if not _is_text(kind):
        raise InputError(f"{table.file}: the column {column} holds {kind}, which is no text")
    for start, values in table.groups(column):
        for row, text in enumerate(values.to_pylist(), start):
            if not text:
                raise InputError(f"{table.at(row)} holds an empty text; leave it out")
            yield text


def _labels(table: _Table) -> Labels | None:
    column = table.first(_LABELS)
    if column is None:
        return None
    found: list[Array] = []
    for _, values in table.groups(column):
        plain = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
        words = _is_text(plain.type)
        found.append(
            np.array(plain.to_pylist(), str) if words else plain.to_numpy(zero_copy_only=False)
        )
    classes = table.metadata("classes")
    return checks.labels(
        np.concatenate(found), table.rows, f"{table.file}, {column}",
        lambda row: f"{table.at(row)}: the {column}",
        tuple(str(name) for name in classes) if isinstance(classes, list) else (),
    )  # fmt: skip


def _images(table: _Table, column: str) -> Images:
    kind = table.type(column)
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return _pictures(table, column, lambda values: values.field("bytes"))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _pictures(table, column, lambda values: values)
    if not _is_list(kind):
        raise InputError(
            f"{table.file}: the column {column} holds {kind}; an image is a list of pixels or a "
            "picture file's bytes"
        )
    pixels: Array = np.empty((0,))
    for start, values in table.groups(column):
        part = _regular(values, table.from_(start))
        if start == 0:
            pixels = np.empty((table.rows, *part.shape[1:]), part.dtype)
        if part.shape[1:] != pixels.shape[1:]:
            raise InputError(
                f"{table.at(start)} has {_by(part.shape[1:])} pixels where row 0 has "
                f"{_by(pixels.shape[1:])}; bring all images to one size"
            )
        pixels[start : start + len(part)] = part
    levels = table.metadata("levels")
    known = levels if isinstance(levels, int) and 2 <= levels <= 256 else None
    return checks.images(_shaped(pixels, table), str(table.file), table.at, known)


def _pictures(table: _Table, column: str, raw: Callable[[pa.Array], pa.Array]) -> Images:
    stack = Stack(table.rows)
    for start, values in table.groups(column):
        content = raw(values)
        _require_no_nulls(content, table.from_(start), column)
        for row, picture in enumerate(content, start):
            stack.add(picture.as_py(), table.at(row))
    return Images(stack.pixels, levels=256)


def _regular(values: pa.Array, at: checks.At) -> Array:
    """Nested lists of equal length as one array. Raises InputError."""
    shape = [len(values)]
    while _is_list(values.type):
        lengths = values.value_lengths().to_numpy(zero_copy_only=False)
        each = math.prod(shape[1:])
        odd = np.flatnonzero(lengths != lengths[0])
        if len(odd):
            raise InputError(
                f"{at(int(odd[0]) // each)} has a list of {lengths[odd[0]]} where row 0 has "
                f"{lengths[0]}; bring all images to one size"
            )
        if lengths[0] == 0:
            raise InputError(f"{at(0)} holds an image without pixels")
        values = values.flatten()
        shape.append(int(lengths[0]))
        _require_no_nulls(values, _of_image(at, math.prod(shape[1:])), "pixel")
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise InputError(f"{at(0)} holds {values.type}, which are no pixels; use uint8 or float")
    flat: Array = values.to_numpy(zero_copy_only=False)
    return flat.reshape(shape)


def _of_image(at: checks.At, pixels: int) -> checks.At:
    return lambda place: at(place // pixels)


def _shaped(pixels: Array, table: _Table) -> Array:
    if pixels.ndim != 2:
        return pixels
    size = pixels.shape[1]
    noted = table.metadata("shape")
    if isinstance(noted, list) and len(noted) == 3 and math.prod(noted) == size:
        return pixels.reshape(-1, *noted)
    side = math.isqrt(size)
    if side * side != size:
        raise InputError(
            f"{table.file}: images of {size} pixels are not square; nest the lists as height, "
            "width and channels"
        )
    return pixels.reshape(-1, side, side)


def _require_no_nulls(values: pa.Array, at: checks.At, column: str) -> None:
    if values.null_count:
        row = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
        raise InputError(f"{at(row)} has no {column}; leave the row out")


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
