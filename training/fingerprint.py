"""MD5 of a file or folder: the number that DVC pins it by, reckoned without DVC.

A file's is that of its bytes. A folder's is that of a JSON list of {md5, relpath} in the order of
relpath, with ``.dir`` behind it. A link to a file counts as that file; git's and Mercurial's own
folders do not count. What DVC would leave out in silence, refuse or wait for is refused here.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from training.errors import InputError

_LEFT_OUT = {".git", ".hg"}


def md5_of(path: Path) -> str:
    """Raises InputError at what DVC cannot pin, OSError at what cannot be read."""
    if path.is_dir():
        return md5_of_list((name, _md5(file)) for name, file in files_of(path))
    _require_file(path)
    return _md5(path)


def md5_of_list(files: Iterable[tuple[str, str]]) -> str:
    """The MD5 of a folder that holds these files, given as (path in the folder, MD5)."""
    listed = [{"md5": md5, "relpath": name} for name, md5 in sorted(files)]
    return hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest() + ".dir"


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file that counts, as (path in the folder, file). Raises InputError."""
    for place, folders, names in os.walk(folder, onerror=_refuse):
        for name in folders:
            inner = Path(place, name)
            if name == ".dvc":
                raise InputError(f"{inner}: a folder with a .dvc folder in it cannot be pinned")
            if inner.is_symlink() and name not in _LEFT_OUT:
                raise InputError(
                    f"{inner} is a link to a folder, which DVC leaves out; put the files there"
                )
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        for name in names:
            file = Path(place, name)
            if name == ".dvcignore":
                raise InputError(f"{file} must lie outside of the data; move it")
            if name.endswith(".dvc"):
                raise InputError(f"{file} is a pin of DVC within the data; give what it pins")
            if name not in _LEFT_OUT:
                _require_file(file)
                yield file.relative_to(folder).as_posix(), file


def _require_file(file: Path) -> None:
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        what = "is a link to nothing" if file.is_symlink() else "does not exist"
        raise InputError(f"{file} {what}") from None
    if not stat.S_ISREG(mode):
        raise InputError(f"{file} is not a file; remove it from the data")


def _refuse(error: OSError) -> None:
    raise error


def _md5(file: Path) -> str:
    with file.open("rb") as content:
        found = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False))
    return found.hexdigest()
