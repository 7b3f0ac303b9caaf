"""One server process of an endpoint, by its directory ``servers/ID/``.

    alive      locked by the server for as long as it lives; its pid inside
    control    unix socket over which it is told what to do (see ``Link``)
    log        what it printed

The lock is the server's identity: the kernel lets go of it when the process ends, however it
ends, so a pid that now belongs to somebody else is never taken for ours.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ANSWER = 5.0
"""Seconds in which a server that does not hang does what it is told."""
DRAIN = 10.0
"""Seconds that a server has to finish its requests once it was told to end."""
children: dict[int, subprocess.Popen[bytes]] = {}
"""Servers that this process started: they outlive it, but until then it must reap them."""


class Server:
    """A server by its directory, whoever started it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name

    @property
    def pid(self) -> int | None:
        """Its pid, if it is alive and that is known."""
        if not self.alive():
            return None
        text = (self.folder / "alive").read_text(encoding="utf-8")
        return int(text) if text else None

    def alive(self) -> bool:
        """Whether its process is there."""
        for child in list(children):
            if children[child].poll() is not None:
                del children[child]
        try:
            with (self.folder / "alive").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def link(self) -> Link:
        """Connect to it. Raises OSError where it is not there."""
        return Link(self.folder)

    def end(self) -> None:
        """Ask it to finish its requests and end; safe to repeat. It ends on its own time."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once and wait until it has gone."""
        self._signal(signal.SIGKILL)
        self.wait(ANSWER)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False where it is still there after ``seconds``."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def last_lines(self, count: int = 5) -> str:
        """The end of what it printed."""
        with contextlib.suppress(FileNotFoundError):
            text = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
            return "\n".join(text.splitlines()[-count:])
        return ""

    def remove(self) -> None:
        """Forget it; its process must have ended."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Link:
    """A connection to a server, which takes one word at a time and answers each.

    When it ends, be it that this process was killed, the server reads endpoint.json: named there
    it serves, else it finishes its requests and ends. ``components.serving.handover`` is its side.
    """

    def __init__(self, folder: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        with short(folder) as place:
            self._socket.settimeout(ANSWER)
            try:
                self._socket.connect(str(place / "control"))
            except BaseException:
                self._socket.close()
                raise

    def close(self) -> None:
        """End it; the server then does as endpoint.json says."""
        self._socket.close()

    def test(self, listener: socket.socket, seconds: float) -> None:
        """Have it serve on a socket of which nobody else knows. Raises OSError."""
        self._say(b"T", listener, seconds)

    def keep(self, listener: socket.socket) -> None:
        """Have it keep the socket to serve on once endpoint.json names it. Raises OSError."""
        self._say(b"L", listener)

    def read(self) -> None:
        """Have it do now as endpoint.json says. Raises OSError."""
        self._say(b"R")

    def give(self) -> socket.socket:
        """The socket that it serves on. Raises OSError."""
        return socket.socket(fileno=self._say(b"G")[0])

    def _say(
        self, word: bytes, listener: socket.socket | None = None, seconds: float = ANSWER
    ) -> list[int]:
        self._socket.settimeout(seconds)
        socket.send_fds(self._socket, [word], [listener.fileno()] if listener else [])
        answer, handles, _, _ = socket.recv_fds(self._socket, 1, 1)
        if answer != b"+":
            raise ConnectionError(f"it answers {answer!r}" if answer else "it has ended")
        return handles


@contextlib.contextmanager
def short(folder: Path) -> Iterator[Path]:
    """The folder by a short name: a unix socket's path may have only some 100 characters."""
    place = Path(tempfile.mkdtemp(prefix="trefoil-"))
    link = place / "to"
    try:
        link.symlink_to(folder.resolve(), target_is_directory=True)
        yield link
    finally:
        link.unlink(missing_ok=True)
        place.rmdir()
