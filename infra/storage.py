"""Artefacts on disk: their digests, and writes that happen whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from infra.errors import InputError, short
from infra.plan import Json


def inside(folder: Path, name: str) -> Path:
    """Where ``name`` lies in a folder. Raises InputError on one that may lie elsewhere."""
    if name in ("", ".", "..") or any(mark in name for mark in ("/", "\\", "\0")):
        raise InputError(
            f"{short(repr(name))} cannot name what lies in {folder}; leave / and .. out"
        )
    return folder / name


def tree(path: Path) -> dict[str, list[Json]]:
    """Map each file below ``path`` to [size in bytes, SHA-256]; a lone file is called ``.``."""
    return {name: [file.stat().st_size, _sha256(file)] for name, file in _files(path)}


def tree_digest(files: dict[str, list[Json]]) -> str:
    """One SHA-256 for a whole tree, the same wherever it lies."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def difference(path: Path, expected: dict[str, list[Json]]) -> str:
    """Name the first file that is not as ``expected``; empty when everything is.

    Sizes are compared first, so a truncated file is found without reading it.
    """
    found = dict(_files(path))
    for name in sorted(found.keys() ^ expected.keys()):
        return name
    for name, file in found.items():
        if file.stat().st_size != expected[name][0]:
            return name
    return next((name for name, file in found.items() if _sha256(file) != expected[name][1]), "")


def write_whole(path: Path, content: str | bytes, *, private: bool = False) -> None:
    """Write ``content`` to ``path`` at once: a reader sees the old content or the new.

    What is ``private`` its owner alone may read.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        partial.touch(0o600 if private else 0o666)
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def append_line(path: Path, text: str) -> None:
    """Append a line, at once; one that a crash or a full disk cut off is closed first."""
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        cut = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        line = ("\n" if cut else "").encode() + text.encode() + b"\n"
        while line:
            line = line[os.write(handle, line) :]
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Be the only one on this machine in such a block; others wait. The file stays."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove(directory: Path) -> None:
    """Remove a directory and all in it; what is not there need not be removed."""
    if directory.exists():
        import shutil

        shutil.rmtree(directory)


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield ".", path
        return
    for folder, folders, names in os.walk(path, followlinks=True):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            yield file.relative_to(path).as_posix(), file


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
