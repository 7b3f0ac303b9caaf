"""Ends what a rehearsal that was killed leaves running: its steps, its servers, their children.

All of them have the rehearsal's mark in their environment, whatever session or parent they have. A
guard beside it waits for a word through a pipe that the rehearsal alone can write to. Where the
pipe ends without one, the rehearsal was killed, and whatever has the mark is killed, too.

The guard is this file as a program: it imports the standard library alone, and little of that. It
finds the marks in /proc, so there is one on Linux only.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MARK = "TREFOIL_REHEARSAL"
"""The variable that a rehearsal's processes have; a label of that name is on its containers."""
_PROC = Path("/proc")
_DONE = b"done"
_QUIET, _POLL = 5, 0.2
"""Looks in a row that find nothing, and seconds between them: a fork may become a program late."""
_LONGEST = 60.0
"""Seconds after which a process that cannot be killed is left."""


@contextlib.contextmanager
def guarded() -> Iterator[str]:
    """Mark what is started while the block runs, and see that it does not outlive a kill.

    Yields the mark.
    """
    before, mark = os.environ.get(MARK), os.urandom(8).hex()
    with _guard(mark):
        os.environ[MARK] = mark
        try:
            yield mark
        finally:
            os.environ.pop(MARK)
            if before is not None:
                os.environ[MARK] = before


@contextlib.contextmanager
def _guard(mark: str) -> Iterator[None]:
    if not _PROC.joinpath("self", "environ").exists():
        yield
        return
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, mark, shutil.which("docker") or ""],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):  # somebody has ended it
            guard.communicate(_DONE)


def main(mark: str, docker: str) -> None:
    """Wait for the rehearsal's end; where it was killed, end what it left."""
    if sys.stdin.buffer.read() == _DONE:
        return
    quiet, deadline = 0, time.monotonic() + _LONGEST
    while quiet < _QUIET and time.monotonic() < deadline:
        found = marked(mark)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        quiet = 0 if _ended(docker, mark) or found else quiet + 1
        time.sleep(_POLL)


def marked(mark: str) -> list[int]:
    """The processes that have a mark."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for each in _PROC.iterdir():
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if each.name.isdigit() and wanted in (each / "environ").read_bytes().split(b"\0"):
                found.append(int(each.name))
    return found


def _ended(docker: str, mark: str) -> bool:
    """Remove the containers that have the mark; whether there were any."""
    if not docker:
        return False
    asked = [docker, "ps", "--all", "--quiet", "--filter", f"label={MARK}={mark}"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False)
    if names := told.stdout.split():
        subprocess.run([docker, "rm", "--force", *names], capture_output=True, check=False)
    return bool(names)


if __name__ == "__main__":
    main(*sys.argv[1:])
