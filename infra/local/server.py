"""One server process of an endpoint: start it, try it, give it traffic, end it.

A server lives in ``servers/ID/`` of its endpoint:

    alive      locked by the server for as long as it lives; its pid inside
    control    unix socket over which listening sockets are handed over
    log        what it printed

The lock is the server's identity: the kernel lets go of it when the process ends, however it
ends, so a pid that now belongs to somebody else is never taken for ours.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.errors import ProviderError

DRAIN = 10.0
"""Seconds that a server has to finish its requests once it was told to end."""
_ANSWER = 5.0
_ROOT = Path(__file__).resolve().parents[2]
_children: dict[int, subprocess.Popen[bytes]] = {}
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
        for child in list(_children):
            if _children[child].poll() is not None:
                del _children[child]
        try:
            with (self.folder / "alive").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def give(self) -> socket.socket | None:
        """Ask it for the socket that it listens on; None where it does not answer."""
        with contextlib.suppress(OSError), self._connect() as connection:
            connection.sendall(b"G")
            answer, handles, _, _ = socket.recv_fds(connection, 1, 1)
            if answer == b"+" and handles:
                return socket.socket(fileno=handles[0])
        return None

    def end(self) -> None:
        """Ask it to finish its requests and end; safe to repeat. It ends on its own time."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once and wait until it has gone."""
        self._signal(signal.SIGKILL)
        self.wait(_ANSWER)

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

    @contextlib.contextmanager
    def _connect(self) -> Iterator[socket.socket]:
        with _short(self.folder) as folder, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER)
            connection.connect(str(folder / "control"))
            yield connection

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Candidate(Server):
    """A server that was just started and has no traffic yet.

    It belongs to this process until ``serve``: should this process die before, so does it.
    """

    def __init__(self, folder: Path, name: str, version: str, model: Path) -> None:
        super().__init__(folder)
        self._what = f"version {version} of {name}"
        self._probe = socket.create_server(("127.0.0.1", 0))
        self._address = self._probe.getsockname()
        folder.mkdir(parents=True)
        with (
            _short(folder) as short,
            socket.socket(socket.AF_UNIX) as control,
            (folder / "alive").open("w", encoding="utf-8") as alive,
            (folder / "log").open("wb") as log,
        ):
            fcntl.flock(alive, fcntl.LOCK_EX)
            control.bind(str(short / "control"))
            control.listen(8)
            self._connection = socket.socket(socket.AF_UNIX)
            self._connection.settimeout(_ANSWER)
            self._connection.connect(str(short / "control"))
            process = subprocess.Popen(
                [
                    sys.executable, "-m", "components.serve",
                    "--model", model.resolve(), "--name", name, "--version", version,
                    "--drain", str(DRAIN), "--control-fd", str(control.fileno()),
                ],
                cwd=_ROOT, env=_environment(), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                pass_fds=(control.fileno(), alive.fileno()),
            )  # fmt: skip
            _children[process.pid] = process
            alive.write(str(process.pid))

    def try_out(self, deadline: float) -> None:
        """Wait until it is ready, then use what it can do. Raises ProviderError."""
        end = time.monotonic() + deadline
        with self._probe as probe:
            self._send(b"T", probe, deadline)
        while True:
            if not self.alive():
                raise self._failure("ended before it was ready")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if ask(self._address, "GET", "/ready", timeout=1)[0] == 200:
                    break
            if time.monotonic() > end:
                raise self._failure(f"was not ready within {deadline:g} s")
            time.sleep(0.02)
        try:
            self._smoke()
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
            raise self._failure(f"does not answer a trial request ({error})") from None

    def serve(self, listener: socket.socket) -> None:
        """Give it traffic. From here on it is independent of this process."""
        self._send(b"L", listener, _ANSWER)
        self._connection.close()

    def discard(self) -> None:
        """Undo the start."""
        self._probe.close()
        self._connection.close()
        self.kill()
        self.remove()

    def _smoke(self) -> None:
        operations = ask(self._address, "GET", "/")[1]["operations"]
        images = None
        if "sample" in operations:
            images = self._use("sample", {"n": 2, "seed": 0})["images"]
        for name, answer in (("reconstruct", "images"), ("score", "bits_per_dim")):
            if images and name in operations:
                found = self._use(name, {"images": images})[answer]
                if len(found) != len(images):
                    raise ValueError(f"/{name} answers {len(found)} for {len(images)} images")

    def _use(self, operation: str, body: dict[str, Any]) -> Any:
        status, answer = ask(self._address, "POST", f"/{operation}", body, timeout=60)
        if status != 200:
            raise ValueError(f"/{operation} says {status}: {answer}")
        return answer

    def _send(self, word: bytes, listener: socket.socket, seconds: float) -> None:
        try:
            self._connection.settimeout(seconds)
            socket.send_fds(self._connection, [word], [listener.fileno()])
            answer = self._connection.recv(1)
        except OSError as error:
            raise self._failure(f"does not take its socket ({error})") from None
        if answer != b"+":
            raise self._failure("ended before it was ready")

    def _failure(self, what: str) -> ProviderError:
        lines = self.last_lines()
        return ProviderError(f"{self._what} {what}" + (f"; it said:\n{lines}" if lines else ""))


def ask(
    address: tuple[str, int], method: str, path: str, body: object = None, timeout: float = 5
) -> tuple[int, Any]:
    """Make one request for JSON and return its status and what came back."""
    connection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def _environment() -> dict[str, str]:
    """This environment less what is meant for the step that deploys."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TREFOIL_", "AIP_")) and name != "PYTHONSAFEPATH"
    }
    path = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(path)}


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[Path]:
    """The folder by a short name: a unix socket's path may have only some 100 characters."""
    place = Path(tempfile.mkdtemp(prefix="trefoil-"))
    link = place / "to"
    try:
        link.symlink_to(folder.resolve(), target_is_directory=True)
        yield link
    finally:
        link.unlink(missing_ok=True)
        place.rmdir()
