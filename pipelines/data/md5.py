"""The MD5 of data, as DVC reckons it, remembered by stat so that large data is read once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from infra.errors import InputError
from infra.storage import write_whole
from training import fingerprint
from training.errors import InputError as BadData
from training.sources import catalogue

LARGE = 1 << 24
_SETTLED = 2.0
"""Seconds after which a change would show in the time stamps."""


def md5_of(path: Path) -> str:
    """The MD5 of a file or folder. Raises InputError at what DVC cannot pin."""
    try:
        if path.is_file() and path.stat().st_size < LARGE:
            return fingerprint.md5_of(path)
        return _of_large(path)
    except BadData as error:
        raise InputError(str(error)) from None


def _of_large(path: Path) -> str:
    signature, newest = _signature(path)
    memory, key = _memory(), os.path.abspath(path)  # noqa: PTH100  resolve() would follow links
    if memory.get(key, ("", ""))[0] == signature:
        return memory[key][1]
    md5 = fingerprint.md5_of(path)
    if time.time() - newest > _SETTLED:
        memory[key] = (signature, md5)
        with contextlib.suppress(OSError):  # a memory that cannot be kept only costs time
            _file().parent.mkdir(parents=True, exist_ok=True)
            write_whole(_file(), json.dumps(memory))
    return md5


def _signature(path: Path) -> tuple[str, float]:
    """What changes when the content does, without reading it; and when it last did."""
    files = sorted(fingerprint.files_of(path)) if path.is_dir() else [(".", path)]
    found = hashlib.sha256()
    newest = 0
    for name, file in files:
        stat = file.stat()
        facts = (name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        found.update(f"{facts}\n".encode(errors="surrogateescape"))
        newest = max(newest, stat.st_mtime_ns, stat.st_ctime_ns)
    return found.hexdigest(), newest / 1e9


def _memory() -> dict[str, tuple[str, str]]:
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
        return {str(path): (str(signature), str(md5)) for path, (signature, md5) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _file() -> Path:
    return catalogue.cache() / "md5.json"
