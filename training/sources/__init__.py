"""Where data comes from: ``find`` says what a name or path is, and can read it.

digits    scikit-learn's handwritten digits, from its own file
folder    pictures; a class is a sub-folder
arrays    .npz
parquet   .parquet, images or text
text      .txt
online    the sets of catalogue.toml, downloaded and checked
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from training.errors import InputError, nearest
from training.fingerprint import md5_of, md5_of_list
from training.sources import catalogue

if TYPE_CHECKING:
    from training.sources.examples import Examples

_SUFFIXES = {".npz": "arrays", ".parquet": "parquet", ".txt": "text"}


class Source(NamedTuple):
    """Data that is here: its name, its kind, its MD5 as DVC reckons it.

    ``read`` takes the seed of the split; it raises InputError naming file and row.
    """

    name: str
    kind: str
    md5: str
    read: Callable[[int], Examples]


def find(data: str, say: Callable[[str], None]) -> Source:
    """Find a data set by name or path; one that is online is downloaded. Raises InputError."""
    if data == catalogue.DIGITS:
        from training.sources import digits

        file = catalogue.require_digits()
        return Source(data, data, md5_of(file), lambda _: digits.read(file))
    if entry := catalogue.find(data):
        return _downloaded(entry, say)
    path = Path(data)
    if not data or not path.exists():
        raise InputError(_unknown(data))
    kind = kind_of(path)
    return Source(path.resolve().stem if path.is_file() else path.resolve().name, kind,
                  md5_of(path), lambda seed: _read(kind, path, seed))  # fmt: skip


def kind_of(path: Path) -> str:
    """Which module reads it. Raises InputError for a file of no known kind."""
    if path.is_dir():
        return "folder"
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise InputError(
            f"{path} is of no known kind; data is a folder of pictures, {', '.join(_SUFFIXES)}"
        )
    return kind


def _unknown(data: str) -> str:
    hint = nearest(data, catalogue.names(), "data sets are ")
    return (
        f"{data or 'the empty word'} is neither a file or folder nor the name of a data set; {hint}"
    )


def _read(kind: str, path: Path, seed: int) -> Examples:
    if kind == "folder":
        from training.sources import folder

        return folder.read(path, seed)
    if kind == "arrays":
        from training.sources import arrays

        return arrays.read(path, seed)
    if kind == "parquet":
        from training.sources import parquet

        return parquet.read(path, seed)
    from training.sources import text

    return text.read(path)


def _downloaded(entry: catalogue.Entry, say: Callable[[str], None]) -> Source:
    from training.sources import download, online

    folder = catalogue.cache() / "data" / entry.name
    files = [download.fetch(file, folder, say) for file in entry.files]
    if len(files) == 1:
        md5 = md5_of(files[0])
    else:
        md5 = md5_of_list((file.name, md5_of(file)) for file in files)
    return Source(entry.name, "online", md5, lambda _: online.read(entry, files))
