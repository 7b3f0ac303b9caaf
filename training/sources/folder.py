"""A folder of pictures: a class is a sub-folder; without sub-folders there are no labels.

Sub-folders called ``train`` and ``test``, each made in the same way, keep that split. Files whose
name begins with a dot are passed over. Rows come in the order of their names.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.errors import InputError
from training.sources import split
from training.sources.examples import Examples, Images, Labels
from training.sources.pictures import Stack

_PARTS = ("train", "test")

Named = tuple[Path, str]
"""A picture and the class it lies in; "" without one."""


def read(folder: Path, seed: int) -> Examples:
    """Raises InputError naming the file."""
    inside = _inside(folder)
    apart = sorted(path.name for path in inside) == sorted(_PARTS)
    parts = [_pictures(folder / part) for part in _PARTS] if apart else [_pictures(folder)]
    pictures = [picture for part in parts for picture in part]
    labels = _labels(pictures, folder)
    stack = Stack(len(pictures))
    for path, _ in pictures:
        stack.add(path, str(path))
    if apart:
        rows = split.given(len(parts[0]), len(parts[1]))
    else:
        rows = split.split(labels, len(pictures), seed, str(folder))
    return Examples(Images(stack.pixels, levels=256), labels, rows)


def _pictures(folder: Path) -> list[Named]:
    inside = _inside(folder)
    classes = [path for path in inside if path.is_dir()]
    if not classes:
        return [(path, "") for path in inside]
    found: list[Named] = []
    for path in inside:
        if path not in classes:
            raise InputError(f"{path} lies beside class folders; move it into its class")
        for picture in _inside(path):
            if picture.is_dir():
                raise InputError(f"{picture} is a folder within a class; put its files into {path}")
            found.append((picture, path.name))
    return found


def _labels(pictures: list[Named], folder: Path) -> Labels | None:
    classes = sorted({name for _, name in pictures})
    if classes == [""]:
        return None
    if "" in classes:
        raise InputError(f"{folder}: train has classes and test has none, or the reverse")
    place = {name: number for number, name in enumerate(classes)}
    ids = np.array([place[name] for _, name in pictures], np.int64)
    return Labels(ids, tuple(classes))


def _inside(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if not found:
        raise InputError(f"{folder} is empty")
    return found
