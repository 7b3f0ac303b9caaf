"""Arrays of pixels and labels as people have them, made into ours or refused by row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.errors import InputError
from training.sources.examples import Array, Images, Labels

At = Callable[[int], str]
"""Names a row to a person: file and row."""

_CHUNK = 1 << 24
"""Bytes looked at in one go, so that a check needs little memory of its own."""
_MOST_CLASSES = 65535


def images(pixels: Array, name: str, at: At, levels: int | None = None) -> Images:
    """Check (n, height, width) or with channels first or last. Raises InputError.

    ``levels`` is what the data itself says; else whole numbers count as 256 levels, or as two
    where none is above 1.
    """
    pixels = _channels_first(pixels, name)
    if len(pixels) == 0 or pixels.size == 0:
        raise InputError(f"{name} is empty: its shape is {_shape(pixels)}")
    if pixels.dtype.kind not in "buif":
        raise InputError(f"{name} holds {pixels.dtype}, which are no pixels; use uint8 or float32")
    if pixels.dtype.kind == "f":
        _refuse(pixels, np.isnan, lambda row, _: f"{at(row)} holds NaN")
        _refuse(pixels, np.isinf, lambda row, _: f"{at(row)} holds infinity")
    _refuse(
        pixels, lambda x: x < 0,
        lambda row, value: f"{at(row)} holds {value:g}; pixels are 0 or more"
        + ("; for -1..1 store x / 2 + 0.5" if value >= -1 and pixels.dtype.kind == "f" else ""),
    )  # fmt: skip
    top = float(max(part.max() for part in chunks(pixels)))
    whole = pixels.dtype.kind != "f" or all(
        (part == np.rint(part)).all() for part in chunks(pixels)
    )
    if not whole:
        _refuse(
            pixels, lambda x: x > 1,
            lambda row, value: f"{at(row)} holds {value:g}; fractions are in 0..1, and whole "
            "numbers in 0..255",
        )  # fmt: skip
        return Images(pixels.astype(np.float32, copy=False), 0)
    levels = levels or (2 if top <= 1 else 256)
    most = min(levels - 1, 255)
    _refuse(
        pixels, lambda x: x > most,
        lambda row, value: f"{at(row)} holds {value:g}; the most is {most}",
    )  # fmt: skip
    return Images(pixels.astype(np.uint8, copy=False), levels)


def labels(values: Array, rows: int, name: str, at: At, classes: tuple[str, ...] = ()) -> Labels:
    """Check one label a row: class numbers, or words. Raises InputError.

    Given ``classes``, a label is a place in them; else they are the labels found, in order.
    """
    if values.shape == (rows, 1):
        values = values[:, 0]
    if values.shape != (rows,):
        raise InputError(f"{name} has the shape {_shape(values)}; {rows} rows need {rows} labels")
    if values.dtype.kind in "US":
        found, ids = np.unique(values.astype(str), return_inverse=True)
        return Labels(ids.astype(np.int64), tuple(str(word) for word in found))
    if values.dtype.kind not in "buif":
        raise InputError(f"{name} holds {values.dtype}; labels are whole numbers or words")
    if values.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(values) | (values != np.rint(values)))
        if len(bad):
            value = values[bad[0]]
            raise InputError(f"{at(int(bad[0]))} is {value:g}; labels are whole numbers or words")
    most = len(classes) - 1 if classes else _MOST_CLASSES
    bad = np.flatnonzero((values < 0) | (values > most))
    if len(bad):
        raise InputError(f"{at(int(bad[0]))} is {values[bad[0]]:g}; labels are 0..{most}")
    if classes:
        return Labels(values.astype(np.int64), classes)
    found, ids = np.unique(values.astype(np.int64), return_inverse=True)
    return Labels(ids.astype(np.int64), tuple(str(number) for number in found))


def dark(found: Images, name: str) -> tuple[str, ...]:
    """A note where whole numbers use little of their range: the true levels may be fewer."""
    top = int(max(part.max() for part in chunks(found.pixels))) if found.levels == 256 else 255
    if top > 64:
        return ()
    return (
        f"the brightest pixel of {name} is {top} of 255; if {top} is white, say so: in .npz by an "
        f"array levels = {top + 1}",
    )


def chunks(rows: Array) -> list[Array]:
    """Views of a few rows each."""
    each = max(1, _CHUNK // max(1, rows[:1].nbytes))
    return [rows[start : start + each] for start in range(0, len(rows), each)]


def _refuse(
    rows: Array, wrong: Callable[[Array], Array], words: Callable[[int, float], str]
) -> None:
    start = 0
    for part in chunks(rows):
        bad = wrong(part)
        if bad.any():
            row = int(np.argmax(bad.reshape(len(part), -1).any(axis=1)))
            raise InputError(words(start + row, float(part[row][bad[row]][0])))
        start += len(part)


def _channels_first(pixels: Array, name: str) -> Array:
    if pixels.ndim == 3:
        return pixels[:, None]
    if pixels.ndim == 4:
        first, last = pixels.shape[1] in (1, 3), pixels.shape[3] in (1, 3)
        if first and last:
            raise InputError(
                f"{name} has the shape {_shape(pixels)}, whose channels may come first or last; "
                "leave the axis of one channel out, or use images wider than 3"
            )
        if first:
            return pixels
        if last:
            return np.moveaxis(pixels, 3, 1)
    raise InputError(
        f"{name} has the shape {_shape(pixels)}; images are (n, height, width), or that with 1 or "
        "3 channels first or last"
    )


def _shape(array: Array) -> str:
    return " x ".join(str(size) for size in array.shape) or "of a single value"
