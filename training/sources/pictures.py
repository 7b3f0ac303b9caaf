"""Picture files (PNG, JPEG, BMP and what else Pillow reads), all of one size and mode."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from training.errors import InputError
from training.sources.examples import Array

_MODES = {"L": 1, "RGB": 3}


class _Picture(NamedTuple):
    mode: str
    width: int
    height: int
    pixels: Array

    def words(self) -> str:
        return f"{self.mode} {self.width}x{self.height}"


class Stack:
    """Collects as many pictures as it was made for; the first decides what the others must be."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._filled = 0
        self._first: tuple[str, _Picture] | None = None
        self.pixels: Array = np.empty((0,), np.uint8)

    def add(self, source: Path | bytes, name: str) -> None:
        """Decode one more. Raises InputError naming it, by ``name``."""
        picture = _decode(source, name)
        if self._first is None:
            self._first = (name, picture)
            shape = (self._rows, _MODES[picture.mode], picture.height, picture.width)
            self.pixels = np.empty(shape, np.uint8)
        first_name, first = self._first
        if picture[:3] != first[:3]:
            raise InputError(
                f"{name} is {picture.words()}, and {first_name} is {first.words()}; bring all to "
                "one size and mode"
            )
        height_width_channels = picture.pixels.reshape(picture.height, picture.width, -1)
        self.pixels[self._filled] = height_width_channels.transpose(2, 0, 1)
        self._filled += 1


def _decode(source: Path | bytes, name: str) -> _Picture:
    raw = source if isinstance(source, bytes) else source.read_bytes()
    if not raw:
        raise InputError(f"{name} is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a picture as large as a bomb, or damaged metadata
            with Image.open(io.BytesIO(raw)) as image:
                if (frames := getattr(image, "n_frames", 1)) > 1:
                    raise InputError(f"{name} holds {frames} pictures; keep one")
                image.load()
                upright = ImageOps.exif_transpose(image)
    except UnidentifiedImageError:
        raise InputError(f"{name} is not a picture; remove it from the data") from None
    except (
        OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, struct.error, Warning,
        Image.DecompressionBombError, MemoryError,
    ) as error:  # fmt: skip
        raise InputError(f"{name} is damaged: {error}") from None
    if upright.mode == "1":
        upright = upright.convert("L")
    if upright.mode not in _MODES:
        raise InputError(
            f"{name} is of mode {upright.mode}; convert all to L (grey) or RGB, as with Pillow's "
            "image.convert('RGB')"
        )
    return _Picture(upright.mode, upright.width, upright.height, np.asarray(upright))
