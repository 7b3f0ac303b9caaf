"""Prepared data sets: the digits as the step writes them, and small ones made up."""

from __future__ import annotations

import contextlib
import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import sklearn
import torch
from PIL import Image

from components import prepare
from training import data
from training.data import Dataset, Spec

torch.set_num_threads(1)  # as the loop does by default; tests run side by side


def write_digits(directory: Path) -> Path:
    """Prepare the digits."""
    with contextlib.redirect_stderr(io.StringIO()):
        prepare.main(["--dataset", str(directory)])
    return directory


@cache
def digits() -> Dataset:
    """The digits, loaded once a process."""
    with TemporaryDirectory() as place:
        return data.load(write_digits(Path(place, "digits")))


@cache
def photographs(size: int = 8) -> Dataset:
    """Grey squares of scikit-learn's two photographs, 256 levels: three quarters to train on."""
    place = Path(sklearn.__path__[0], "datasets", "images")
    parts = []
    for name in ("china.jpg", "flower.jpg"):
        grey = np.asarray(Image.open(place / name).convert("L"))
        rows, columns = (side // size for side in grey.shape)
        squares = grey[: rows * size, : columns * size].reshape(rows, size, columns, size)
        parts.append(squares.swapaxes(1, 2).reshape(-1, 1, size, size))
    found = np.random.default_rng(0).permutation(np.concatenate(parts))
    images = torch.from_numpy(found)
    cut = len(images) * 3 // 4
    spec = Spec("photographs", "image", (1, size, size), 256, (), "0" * 32)
    return Dataset(spec, {"image": images[:cut]}, {"image": images[cut:]})


def small(rows: int = 40, levels: int = 5, shape: tuple[int, ...] = (1, 2, 3)) -> Dataset:
    """Pixels at random; 0 levels: any value in 0..1."""
    rng = np.random.default_rng(0)

    def part() -> dict[str, torch.Tensor]:
        if levels:
            whole = rng.integers(0, levels, (rows, *shape)).astype(np.uint8)
            return {"image": torch.from_numpy(whole)}
        return {"image": torch.from_numpy(rng.random((rows, *shape), np.float32))}

    return Dataset(Spec("small", "image", shape, levels, (), "0" * 32), part(), part())
