"""Checkpoints of one run in a directory: whole or not there, checked by digest, the newest two.

A file's name says all: ``step-FINGERPRINT-SHA256.pt``. It gets that name once its bytes are on
disk, so a killed write leaves none; bytes that changed later no longer fit it, and the one before
is used. The fingerprint is that of configuration, seed and data: a checkpoint of anything else is
never read. Only files written here are loaded, and only as tensors and plain values.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

KEEP = 2


def fingerprint(described: dict[str, Any]) -> str:
    """Of all that decides a run's course, given as JSON values."""
    text = json.dumps(described, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Checkpoints:
    """Saves and finds the checkpoints of the run with this fingerprint."""

    def __init__(self, directory: Path, fingerprint: str, say: Callable[[str], None]) -> None:
        self._directory, self._fingerprint, self._say = directory, fingerprint, say
        directory.mkdir(parents=True, exist_ok=True)
        for partial in directory.glob(".*.partial"):
            partial.unlink(missing_ok=True)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write a checkpoint and remove those that it makes superfluous. Raises OSError."""
        partial = self._directory / f".{step}.partial"
        try:
            with partial.open("wb") as file:
                hashed = _Hashed(file)
                hashed.save(state)
                file.flush()
                os.fsync(file.fileno())
            name = f"{step:010d}-{self._fingerprint}-{hashed.digest()}.pt"
            partial.rename(self._directory / name)
        finally:
            partial.unlink(missing_ok=True)
        _sync(self._directory)
        for old in self._own()[KEEP:]:
            old.unlink(missing_ok=True)

    def newest(self) -> dict[str, Any] | None:
        """The newest state that is as it was written; None where there is none."""
        own = self._own()
        if not own and any(self._directory.glob("*.pt")):
            self._say(
                f"the checkpoints in {self._directory} are of another configuration, seed or data; "
                "training begins anew"
            )
        for number, file in enumerate(own, 1):
            if _digest(file) == file.stem.rpartition("-")[2]:
                state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
                return state
            instead = "the one before is used" if number < len(own) else "training begins anew"
            self._say(f"the checkpoint {file} is damaged and was removed; {instead}")
            file.unlink()  # it would count as the newest for ever
        return None

    def _own(self) -> list[Path]:
        """Newest first."""
        return sorted(self._directory.glob(f"*-{self._fingerprint}-*.pt"), reverse=True)


class _Hashed(io.RawIOBase):
    """A file to write to that knows the digest of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash = file, hashlib.sha256()
        self._failed: OSError | None = None

    def save(self, state: dict[str, Any]) -> None:
        """Raises OSError, as of a full disk, where torch alone would say "unexpected pos"."""
        try:
            torch.save(state, self)  # type: ignore[arg-type]  # it only writes
        except RuntimeError:
            if self._failed:
                raise self._failed from None
            raise

    def write(self, data: Any) -> int:
        self._hash.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self._failed = OSError(error.errno, error.strerror, self._file.name)
            raise self._failed from None

    def digest(self) -> str:
        return self._hash.hexdigest()


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _sync(directory: Path) -> None:
    """Make a rename last through a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
