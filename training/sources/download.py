"""Files from their public homes: whole and as published, or not at all.

What has arrived of a file is kept under another name, so that a broken transfer goes on where it
stopped, in this process or the next; it gets its own name once its checksum is right. A file that
is there is checked again each time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from training.errors import InputError
from training.sources.catalogue import File

Say = Callable[[str], None]
"""Tells a person how far it is."""

TRIES = 3
_TIMEOUT = 30.0
_WAIT = 1.0
_CHUNK = 1 << 18
_TOLD_EVERY = 2.0
_OTHERWISE = "or take --data digits, which needs no network"
_BUSY = {408, 429, 500, 502, 503, 504}


class _Broken(Exception):
    """A transfer ended early; another try may go on."""


def fetch(file: File, folder: Path, say: Say, wait: float = _WAIT) -> Path:
    """Return the file, downloaded into ``folder`` unless it is there. Raises InputError."""
    whole = folder / file.name
    if _found(whole, file) == file.checksum:
        return whole
    with _alone(folder):
        if _found(whole, file) != file.checksum:  # nobody else fetched it meanwhile
            part = folder / f".{file.name}.part"
            resumed = part.exists()
            _complete(file, part, say, wait)
            if resumed and _found(part, file) != file.checksum:
                part.unlink()  # what was kept may have been of another version
                _complete(file, part, say, wait)
            _require(file, part)
            part.replace(whole)
    return whole


def _complete(file: File, part: Path, say: Say, wait: float) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            with part.open("ab") as kept:
                for piece, start in _pieces(file, kept.tell(), say):
                    if start is not None:
                        kept.truncate(start)
                    kept.write(piece)
            return
        except _Broken as error:
            if attempt == TRIES:
                raise InputError(
                    f"{file.url} broke off {TRIES} times ({error}); what has arrived is kept, and "
                    "running again goes on from there"
                ) from None
            time.sleep(wait * attempt)


def _pieces(file: File, start: int, say: Say) -> Iterator[tuple[bytes, int | None]]:
    """Yield what arrives; the first piece says where it belongs. Raises InputError and _Broken."""
    request = urllib.request.Request(file.url, headers={"User-Agent": "trefoil"})  # noqa: S310
    if start:
        request.add_header("Range", f"bytes={start}-")
    with _answer(file, request) as answer:
        if answer is None:  # there is nothing beyond what has arrived
            return
        size = 0 if answer.status == http.HTTPStatus.OK else start
        length = answer.headers.get("Content-Length")
        total = size + int(length) if length else 0
        yield b"", size
        told = time.monotonic()
        say(f"downloading {file.url}{_megabytes(size, total)}")
        while piece := _part(answer):
            size += len(piece)
            yield piece, None
            if time.monotonic() - told > _TOLD_EVERY:
                told = time.monotonic()
                say(f"downloading {file.name}{_megabytes(size, total)}")
    if size < total:
        raise _Broken(f"after {size} of {total} bytes")


@contextlib.contextmanager
def _answer(
    file: File, request: urllib.request.Request
) -> Iterator[http.client.HTTPResponse | None]:
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT)  # noqa: S310  the table's own
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            answer = None
        elif error.code in _BUSY:
            raise _Broken(f"{error.code} {error.reason}") from None
        else:
            raise InputError(
                f"{file.url} answered {error.code} {error.reason}; try again later, {_OTHERWISE}"
            ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, socket.gaierror | ConnectionRefusedError):
            raise InputError(
                f"{file.url} cannot be reached ({reason.strerror}); see to the network, "
                f"{_OTHERWISE}"
            ) from None
        raise _Broken(str(reason)) from None
    with answer or contextlib.nullcontext():
        yield answer


def _part(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(str(error) or type(error).__name__) from None


def _require(file: File, part: Path) -> None:
    found = _found(part, file)
    if found != file.checksum:
        part.unlink()
        raise InputError(
            f"{file.url} has {file.algorithm} {found}, not {file.checksum} as published; "
            f"nothing of it is kept: try again later, {_OTHERWISE}"
        )


def _found(path: Path, file: File) -> str:
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, file.algorithm).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return ""


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time downloads into a folder; the others wait and find it done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = Path(folder, ".lock").open("w")  # noqa: SIM115  closed below
    except OSError as error:
        raise InputError(
            f"downloads cannot be kept in {folder} ({error.strerror}); choose another place by "
            "XDG_CACHE_HOME"
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _megabytes(size: int, total: int) -> str:
    of = f" of {total / 1e6:.1f}" if total else ""
    return f": {size / 1e6:.1f}{of} MB" if size else (f": {total / 1e6:.1f} MB" if total else "")
