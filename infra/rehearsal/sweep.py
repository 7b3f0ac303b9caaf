"""Ends whatever has a mark, once a pipe ends without the word that all is well.

This is a program: it imports the standard library alone, and little of that. A mark is a variable
with its value, ``NAME=value``, of a process, or such a label of a container.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

DONE = b"done"
"""The word."""
_PROC = Path("/proc")
_QUIET, _POLL = 5, 0.2
"""Looks in a row that find nothing, and seconds between them: a fork may become a program late."""
_LONGEST = 60.0
"""Seconds after which what cannot be ended is left."""
_ANSWER = 10.0
"""Seconds that Docker has to answer."""


def main(mark: str, docker: str) -> None:
    """Wait for the end of the pipe; where no word came, end all that has the mark."""
    if sys.stdin.buffer.read() == DONE:
        return
    quiet, deadline = 0, time.monotonic() + _LONGEST
    while quiet < _QUIET and time.monotonic() < deadline:
        found = marked(mark)
        for pid in found:
            with contextlib.suppress(OSError):  # it has ended, or may not be killed: then the rest
                os.kill(pid, signal.SIGKILL)
        quiet = 0 if _removed(docker, mark) or found else quiet + 1
        time.sleep(_POLL)


def marked(mark: str) -> list[int]:
    """The processes that have a mark."""
    found = []
    for each in _PROC.iterdir():
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            variables = each.name.isdigit() and (each / "environ").read_bytes().split(b"\0")
            if variables and mark.encode() in variables:
                found.append(int(each.name))
    return found


def _removed(docker: str, mark: str) -> bool:
    """Remove the containers that have the mark; whether there were any."""
    if not docker:
        return False
    names = _told(docker, "ps", "--all", "--quiet", "--filter", f"label={mark}").split()
    if names:
        _told(docker, "rm", "--force", *names)
    return bool(names)


def _told(*words: str) -> str:
    """What Docker prints; nothing where it does not answer: processes are still to be ended."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_ANSWER)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
