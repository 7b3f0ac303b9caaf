"""An .npz file: ``images`` or ``x``, with ``labels`` or ``y`` where there are any.

``x_train``, ``y_train``, ``x_test`` and ``y_test``, as Keras stores them, keep their split. An
array ``classes`` gives the labels their names, a number ``levels`` the values a pixel may take.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.errors import InputError
from training.sources import checks, split
from training.sources.examples import Array, Examples, Labels

_IMAGES, _LABELS = ("images", "x"), ("labels", "y")


def read(file: Path, seed: int) -> Examples:
    """Raises InputError naming the file, the array and the row."""
    arrays = _load(file)
    if "x_train" in arrays and "x_test" in arrays:
        return _as_given(arrays, file)
    name = next((name for name in _IMAGES if name in arrays), None)
    if name is None:
        raise InputError(
            f"{file} holds {', '.join(sorted(arrays)) or 'no arrays'}; it needs images (or x), and "
            "labels (or y) where there are any"
        )
    pixels = checks.images(
        arrays[name], f"{file}, {name}", lambda row: f"{file}, {name}[{row}]", _levels(arrays, file)
    )
    found = _labels(arrays, _LABELS, len(pixels.pixels), file)
    rows = len(pixels.pixels)
    return Examples(
        pixels, found, split.split(found, rows, seed, str(file)), checks.dark(pixels, str(file))
    )


def _as_given(arrays: Mapping[str, Array], file: Path) -> Examples:
    train, test = arrays["x_train"], arrays["x_test"]
    if (train.shape[1:], train.dtype) != (test.shape[1:], test.dtype):
        raise InputError(
            f"{file}: x_train holds {train.dtype} of {train.shape[1:]} and x_test {test.dtype} of "
            f"{test.shape[1:]}; make them alike"
        )
    for name in ("x_train", "x_test"):
        if len(arrays[name]) == 0:
            raise InputError(f"{file}, {name} is empty")

    def at(row: int, kind: str = "x") -> str:
        inside = row < len(train)
        place = f"train[{row}]" if inside else f"test[{row - len(train)}]"
        return f"{file}, {kind}_{place}"

    both = np.concatenate([train, test])
    pixels = checks.images(both, str(file), at, _levels(arrays, file))
    found = None
    if "y_train" in arrays and "y_test" in arrays:
        values = np.concatenate([arrays["y_train"], arrays["y_test"]])
        classes = _classes(arrays)
        found = checks.labels(values, len(both), str(file), lambda row: at(row, "y"), classes)
    return Examples(pixels, found, split.given(len(train), len(test)))


def _labels(
    arrays: Mapping[str, Array], names: tuple[str, ...], rows: int, file: Path
) -> Labels | None:
    name = next((name for name in names if name in arrays), None)
    if name is None:
        return None
    return checks.labels(
        arrays[name], rows, f"{file}, {name}", lambda row: f"{file}, {name}[{row}]",
        _classes(arrays),
    )  # fmt: skip


def _classes(arrays: Mapping[str, Array]) -> tuple[str, ...]:
    return tuple(str(word) for word in np.ravel(arrays["classes"])) if "classes" in arrays else ()


def _levels(arrays: Mapping[str, Array], file: Path) -> int | None:
    if "levels" not in arrays:
        return None
    levels = arrays["levels"]
    if levels.shape != () or levels.dtype.kind not in "ui" or not 2 <= levels <= 256:
        raise InputError(f"{file}, levels must be one whole number from 2 to 256")
    return int(levels)


def _load(file: Path) -> dict[str, Array]:
    wanted = {*_IMAGES, *_LABELS, "classes", "levels", "x_train", "x_test", "y_train", "y_test"}
    if file.stat().st_size == 0:
        raise InputError(f"{file} is empty")
    if not zipfile.is_zipfile(file):
        raise InputError(f"{file} is not an .npz file, or the end of it is missing")
    name = ""
    try:
        with file.open("rb") as raw, np.load(raw, allow_pickle=False) as stored:
            found: dict[str, Array] = {name: np.empty(0) for name in stored.files}
            for name in found:
                if name in wanted:
                    array = stored[name]
                    if not isinstance(array, np.ndarray):  # another file under an array's name
                        raise ValueError("it is no array")
                    found[name] = array
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        if "pickle" in str(error).lower() or "Object arrays" in str(error):
            raise InputError(
                f"{file}, {name} holds Python objects or rows of mixed shape or type; store one "
                "array of one number type"
            ) from None
        raise InputError(f"{file}, {name} is damaged: {error}") from None
    return found
