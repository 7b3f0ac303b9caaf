"""One rehearsal at a time in a folder, which others may look at and ask things of."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from infra.errors import InputError, unwritable
from infra.storage import write_whole

_PATIENCE = 30.0
"""Seconds that another rehearsal has to answer."""


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the rehearsal of a folder while the block runs.

    Raises InputError while another one is, and where the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        owner = (folder / "owner").open("a+", encoding="utf-8")
    except OSError as error:
        raise unwritable(str(folder), error) from error
    with owner:
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner.seek(0)
            raise InputError(
                f"another rehearsal goes on in {folder} (process {owner.read() or 'unknown'}); "
                "wait for its end, or choose another workspace with TREFOIL_WORKSPACE"
            ) from None
        owner.truncate(0)
        owner.write(str(os.getpid()))
        owner.flush()
        yield


@contextlib.contextmanager
def answering(folder: Path, address: str) -> Iterator[None]:
    """Let others know where the rehearsal of a folder answers while the block runs."""
    file = folder / "address"
    write_whole(file, address)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def ask(folder: Path, path: str) -> bool:
    """Post to the rehearsal that goes on in a folder; False where none does, or it refuses."""
    try:
        address = urlsplit((folder / "address").read_text(encoding="utf-8")).netloc
        with contextlib.closing(http.client.HTTPConnection(address, timeout=_PATIENCE)) as there:
            there.request("POST", path)
            return there.getresponse().status == http.client.OK
    except (OSError, ValueError, http.client.HTTPException):
        return False
