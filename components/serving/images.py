"""Pictures: a grid of images out as PNG, one image in as PNG."""

from __future__ import annotations

import io
import math
import struct

import numpy as np

from components.serving.errors import Refused
from components.serving.operations import Array

MAX_PIXELS = 2**24
_GAP = 1
"""Pixels between two images."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def layout(count: int, shape: tuple[int, ...], scale: int) -> tuple[int, int]:
    """Lines and columns of the grid that is nearest to a square. Raises Refused."""
    height, width, _ = _sizes(shape)
    columns = math.ceil(math.sqrt(count))
    lines = math.ceil(count / columns)
    pixels = (lines * (height + _GAP) - _GAP) * (columns * (width + _GAP) - _GAP) * scale**2
    if pixels > MAX_PIXELS:
        raise Refused(
            400, f"the picture would have {pixels} pixels, and {MAX_PIXELS} is the most; "
            "ask for a smaller scale or for fewer images",
        )  # fmt: skip
    return lines, columns


def to_png(images: Array, scale: int = 1) -> bytes:
    """Lay images out in a grid with white lines, black where none is left.

    ``scale`` enlarges pixels, those of the lines too.
    """
    from PIL import Image

    rows = np.rint(_channels_last(images).clip(0, 1) * 255).astype(np.uint8)
    count, height, width, channels = rows.shape
    lines, columns = layout(count, images.shape[1:], scale)
    grid = np.full((lines * columns, height + _GAP, width + _GAP, channels), 255, np.uint8)
    grid[:count, :height, :width] = rows
    grid[count:, :height, :width] = 0
    grid = grid.reshape(lines, columns, *grid.shape[1:]).swapaxes(1, 2)
    picture = grid.reshape(lines * (height + _GAP), columns * (width + _GAP), channels)
    picture = picture[:-_GAP, :-_GAP]
    picture = picture.repeat(scale, axis=0).repeat(scale, axis=1)
    out = io.BytesIO()
    Image.fromarray(picture[..., 0] if channels == 1 else picture).save(out, "PNG")
    return out.getvalue()


def from_png(body: bytes, shape: tuple[int, ...]) -> Array:
    """Read one PNG of exactly the model's size. Raises Refused."""
    from PIL import Image

    height, width, channels = _sizes(shape)
    if body[:8] != _SIGNATURE or len(body) < 24:
        raise Refused(400, "the body is not a PNG, though its Content-Type says so")
    found = struct.unpack(">II", body[16:24])  # before anything is unpacked: it may be huge
    if found != (width, height):
        raise Refused(
            400, f"the picture is {found[0]}x{found[1]} pixels; this model's are {width}x{height}"
        )
    try:
        with Image.open(io.BytesIO(body), formats=["PNG"]) as picture:
            if picture.mode.startswith("I"):
                raise Refused(400, "the picture has 16 bits a channel; send 8")
            pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    except (OSError, ValueError, SyntaxError):
        raise Refused(400, "the PNG is damaged: it cannot be decoded") from None
    image: Array = pixels.astype(np.float32) / np.float32(255)
    if len(shape) == 3 and shape[0] in {1, 3}:
        image = image.reshape(height, width, channels).transpose(2, 0, 1)
    return image.reshape(1, *shape)


def _sizes(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Height, width, channels of (H, W), (C, H, W) or (H, W, C). Raises Refused."""
    if len(shape) == 2:
        return shape[0], shape[1], 1
    if len(shape) == 3 and shape[0] in {1, 3}:
        return shape[1], shape[2], shape[0]
    if len(shape) == 3 and shape[2] in {1, 3}:
        return shape[0], shape[1], shape[2]
    raise Refused(415, f"rows of shape {list(shape)} are no pictures; use JSON")


def _channels_last(images: Array) -> Array:
    shape = images.shape[1:]
    height, width, channels = _sizes(shape)
    if len(shape) == 3 and shape[0] in {1, 3}:
        images = images.transpose(0, 2, 3, 1)
    return images.reshape(len(images), height, width, channels)
