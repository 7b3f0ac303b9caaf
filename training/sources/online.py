"""The data sets of catalogue.toml: their files' formats, and the split they were published with."""

from __future__ import annotations

import gzip
import math
import tarfile
import zlib
from pathlib import Path

import numpy as np

from training.errors import InputError
from training.sources import split, text
from training.sources.catalogue import Entry
from training.sources.examples import Array, Examples, Images, Labels

_CIFAR_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_CIFAR_FILES = (*_CIFAR_TRAIN, "test_batch.bin")
_CIFAR_ROW = 1 + 3 * 32 * 32


def read(entry: Entry, files: list[Path]) -> Examples:
    """Read the files of a set, which are whole. Raises InputError."""
    if entry.kind == "idx":
        return _idx_set(entry, files)
    if entry.kind == "cifar":
        return _cifar(entry, files[0])
    return text.read(files[0])


def _idx_set(entry: Entry, files: list[Path]) -> Examples:
    train, train_labels, test, test_labels = (idx(file) for file in files)
    pixels = np.concatenate([train, test])[:, None]
    labels = np.concatenate([train_labels, test_labels]).astype(np.int64)
    return _labelled(entry, pixels, labels, len(train))


def idx(file: Path) -> Array:
    """Read gzipped IDX: two zeros, the type (8 is uint8), the axes, their sizes, the values."""
    try:
        with gzip.open(file) as content:
            raw = content.read()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file} cannot be read: {error}") from None
    if raw[:3] != b"\0\0\x08" or len(raw) < 4 + 4 * raw[3]:
        raise InputError(f"{file} is no IDX file of bytes")
    start = 4 + 4 * raw[3]
    shape = [int(size) for size in np.frombuffer(raw[4:start], ">u4")]
    if len(raw) - start != math.prod(shape):
        raise InputError(f"{file} holds {len(raw) - start} values, not {math.prod(shape)}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def _cifar(entry: Entry, archive: Path) -> Examples:
    found: dict[str, Array] = {}
    try:
        with tarfile.open(archive, "r|gz") as members:
            for member in members:
                name = Path(member.name).name
                content = members.extractfile(member) if name in _CIFAR_FILES else None
                if content is not None:
                    found[name] = np.frombuffer(content.read(), np.uint8)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise InputError(f"{archive} cannot be read: {error}") from None
    for name in _CIFAR_FILES:
        if name not in found or found[name].size == 0 or found[name].size % _CIFAR_ROW:
            raise InputError(f"{archive} holds no whole {name}")
    rows = [found.pop(name).reshape(-1, _CIFAR_ROW) for name in _CIFAR_FILES]
    pixels = np.concatenate([part[:, 1:] for part in rows]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([part[:, 0] for part in rows]).astype(np.int64)
    return _labelled(entry, pixels, labels, len(pixels) - len(rows[-1]))


def _labelled(entry: Entry, pixels: Array, labels: Array, train: int) -> Examples:
    if len(labels) != len(pixels) or labels.max(initial=0) >= len(entry.classes):
        raise InputError(f"{entry.name}: its labels do not belong to its images")
    return Examples(
        Images(pixels, levels=256),
        Labels(labels, entry.classes),
        split.given(train, len(pixels) - train),
    )
