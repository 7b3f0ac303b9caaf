"""A folder of pictures: a class is a sub-folder; without sub-folders there are no labels.

Sub-folders called ``train`` and ``test``, each made in the same way, keep that split. What systems
leave in folders (``.DS_Store``, ``Thumbs.db``) is passed over, and counted; anything else that is
no picture is refused. Rows come in the order of their names.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.errors import InputError
from training.sources import split
from training.sources.examples import Examples, Images, Labels
from training.sources.pictures import Stack

_PARTS = ("train", "test")
_LEFT = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx"}
"""What systems leave beside pictures; names that begin with a dot are theirs, too."""

Named = tuple[Path, str]
"""A picture and the class it lies in; "" without one."""


def read(folder: Path, seed: int) -> Examples:
    """Raises InputError naming the file."""
    passed: list[Path] = []
    inside = _inside(folder, passed)
    apart = [path.name for path in inside] == sorted(_PARTS)
    parts = [_pictures(folder / part, passed) for part in (_PARTS if apart else ("",))]
    pictures = [picture for part in parts for picture in part]
    labels = _labels(pictures, folder)
    stack = Stack(len(pictures))
    for path, _ in pictures:
        stack.add(path, str(path))
    if apart:
        rows = split.given(len(parts[0]), len(parts[1]))
    else:
        rows = split.split(labels, len(pictures), seed, str(folder))
    return Examples(Images(stack.pixels, levels=256), labels, rows, _notes(passed, folder))


def _pictures(folder: Path, passed: list[Path]) -> list[Named]:
    inside = _inside(folder, passed)
    classes = [path for path in inside if path.is_dir()]
    if not classes:
        return [(path, "") for path in inside]
    found: list[Named] = []
    for path in inside:
        if path not in classes:
            raise InputError(f"{path} lies beside class folders; move it into its class")
        for picture in _inside(path, passed):
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


def _inside(folder: Path, passed: list[Path]) -> list[Path]:
    """What a person put there, by name; what systems left is added to ``passed``."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        left = path.name.startswith(".") or path.name.lower() in _LEFT
        (passed if left else found).append(path)
    if not found:
        raise InputError(f"{folder} is empty")
    return found


def _notes(passed: list[Path], folder: Path) -> tuple[str, ...]:
    found = set(passed)  # the folder itself was looked into twice
    if not found:
        return ()
    names = ", ".join(sorted({path.name for path in found})[:3])
    what = "file is" if len(found) == 1 else "files are"
    return (f"{len(found)} system {what} passed over in {folder}, such as {names}",)
