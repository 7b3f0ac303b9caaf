"""What a prepared data set says of itself, and how its rows lie in Parquet.

    train.parquet, test.parquet
        image   fixed-size list of uint8, or of float32 where any value in 0..1 may occur;
                channels, then rows, then columns, as ``shape`` says
        text    string: a document, or a line of a corpus
        label   int64, a place in ``classes``; only where the data has labels
    schema.json
        format, name, modality (image or text)
        shape [channels, height, width] and levels: a pixel is one of 0..levels-1; 0: any in 0..1
        symbols, of text: every character that occurs, in order
        classes, columns
        splits: file and rows of each; split: how rows were held out, and the seed if by chance
        source: data, kind, md5 of what was read, pin that it was held against ("": none)
    statistics.json
        of each split: what its values and labels look like; drift is measured against train

The Parquet files carry shape, levels and classes as metadata, so each can be read alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from training.files import PREPARED
from training.sources import Source
from training.sources.checks import chunks
from training.sources.examples import Array, Examples, Images, Labels, Rows, Texts

SPLITS = ("train", "test")

_BINS = 32
_FREQUENT = 256
_GROUP = 1 << 22
"""Bytes of pixels in a row group: Parquet takes ten times as many while it writes them."""
_LINES = 1 << 16


def schema(examples: Examples, source: Source, pin: str) -> dict[str, Any]:
    """What schema.json holds; ``pin`` is the file of DVC's that pins the source, if one does."""
    content, fields = examples.content, arrow_schema(examples)
    found: dict[str, Any] = {
        "format": PREPARED,
        "name": source.name,
        "classes": list(examples.labels.classes) if examples.labels else [],
        "columns": {field.name: str(field.type) for field in fields},
        "splits": {
            part: {"file": f"{part}.parquet", "rows": len(getattr(examples.split, part))}
            for part in SPLITS
        },
        "split": {"how": examples.split.how, "seed": examples.split.seed},
        "source": {"data": source.name, "kind": source.kind, "md5": source.md5, "pin": pin},
    }
    if isinstance(content, Images):
        shape = [int(size) for size in content.pixels.shape[1:]]
        return {**found, "modality": "image", "shape": shape, "levels": content.levels}
    symbols = sorted(set().union(*content.texts))
    return {**found, "modality": "text", "symbols": "".join(symbols)}


def statistics(examples: Examples) -> dict[str, Any]:
    """What statistics.json holds."""
    found: dict[str, Any] = {}
    for part in SPLITS:
        rows: Rows = getattr(examples.split, part)
        content = examples.content
        found[part] = {"rows": len(rows)}
        if isinstance(content, Images):
            found[part]["pixels"] = _of_pixels(content, rows)
        else:
            found[part]["text"] = _of_texts([content.texts[row] for row in rows])
        if examples.labels:
            found[part]["labels"] = _of_labels(examples.labels, rows)
    return found


def arrow_schema(examples: Examples) -> pa.Schema:
    """The columns and metadata of the Parquet files."""
    fields, notes = [], {}
    if isinstance(examples.content, Images):
        pixels, levels = examples.content
        size = int(np.prod(pixels.shape[1:]))
        pixel = pa.field("element", pa.from_numpy_dtype(pixels.dtype))  # as Parquet calls it
        fields.append(pa.field("image", pa.list_(pixel, size), False))
        notes = {"shape": [int(size) for size in pixels.shape[1:]], "levels": levels}
    else:
        fields.append(pa.field("text", pa.string(), False))
    if examples.labels:
        fields.append(pa.field("label", pa.int64(), False))
        notes["classes"] = list(examples.labels.classes)
    metadata = {name: json.dumps(note, ensure_ascii=False) for name, note in notes.items()}
    return pa.schema(fields, metadata)


def tables(examples: Examples, rows: Rows) -> Iterator[pa.Table]:
    """The rows as they go to Parquet, a row group at a time."""
    layout = arrow_schema(examples)
    for chosen in _groups(examples, rows):
        columns = [_column(examples.content, chosen, layout.field(0).type)]
        if examples.labels:
            columns.append(_flat(examples.labels.ids[chosen], pa.int64()))
        yield pa.Table.from_arrays(columns, schema=layout)


def _groups(examples: Examples, rows: Rows) -> Iterator[Rows]:
    each = _LINES
    if isinstance(examples.content, Images):
        each = max(1, _GROUP // examples.content.pixels[0].nbytes)
    for start in range(0, len(rows), each):
        yield rows[start : start + each]


def _column(content: Images | Texts, rows: Rows, kind: pa.DataType) -> pa.Array:
    if isinstance(content, Texts):
        return pa.array([content.texts[row] for row in rows], kind)
    values = _flat(content.pixels[rows].reshape(-1), kind.value_type)
    return pa.FixedSizeListArray.from_arrays(values, type=kind)


def _flat(values: Array, kind: pa.DataType) -> pa.Array:
    """The values as they lie; ``pa.array`` would import pandas to look at them."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _of_pixels(images: Images, rows: Rows) -> dict[str, Any]:
    """Of each channel, its moments; of all together, a histogram of levels or of 32 bins."""
    pixels, levels = images
    channels = pixels.shape[1]
    bins = levels or _BINS
    counts = np.zeros((channels, bins), np.int64)
    sums, squares = np.zeros(channels), np.zeros(channels)
    low, high = np.full(channels, np.inf), np.full(channels, -np.inf)
    for chosen in chunks(rows):  # rows are 8 bytes each: as many images are looked at in one go
        for part in _parts(pixels, chosen):
            for channel in range(channels):
                values = part[:, channel].reshape(-1)
                counts[channel] += _histogram(values, levels)
                exact = values.astype(np.float64)
                sums[channel] += exact.sum()
                squares[channel] += (exact * exact).sum()
                low[channel] = min(low[channel], exact.min())
                high[channel] = max(high[channel], exact.max())
    n = len(rows) * pixels[0, 0].size
    mean = sums / n
    std = np.sqrt(np.maximum(squares / n - mean * mean, 0))
    return {
        "channels": [
            {"min": _short(low[c]), "max": _short(high[c]), "mean": _short(mean[c]),
             "std": _short(std[c])}
            for c in range(channels)
        ],
        "histogram": [int(count) for count in counts.sum(axis=0)],
    }  # fmt: skip


def _parts(pixels: Array, rows: Rows) -> Iterator[Array]:
    each = max(1, _GROUP // pixels[0].size)
    for start in range(0, len(rows), each):
        yield pixels[rows[start : start + each]]


def _histogram(values: Array, levels: int) -> npt.NDArray[np.int64]:
    if levels:
        return np.bincount(values, minlength=levels).astype(np.int64)
    return np.histogram(values, bins=_BINS, range=(0, 1))[0].astype(np.int64)


def _of_labels(labels: Labels, rows: Rows) -> dict[str, int]:
    counts = np.bincount(labels.ids[rows], minlength=len(labels.classes))
    return {name: int(count) for name, count in zip(labels.classes, counts, strict=True)}


def _of_texts(texts: list[str]) -> dict[str, Any]:
    symbols: Counter[str] = Counter()
    for text in texts:
        symbols.update(text)
    frequent = sorted(symbols.items(), key=lambda item: (-item[1], item[0]))[:_FREQUENT]
    return {
        "characters": symbols.total(),
        "symbols": len(symbols),
        "longest": max(len(text) for text in texts),
        "frequent": dict(frequent),
    }


def _short(value: float) -> float:
    """Nine digits: what another machine's order of adding does not change."""
    return float(f"{value:.9g}")
