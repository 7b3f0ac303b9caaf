"""A server that is being started: tried out at an address of its own before it has traffic."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.errors import ProviderError
from infra.local.server import DRAIN, Link, Server, children, short

_ROOT = Path(__file__).resolve().parents[2]


class Candidate(Server):
    """A server that was just started and has no traffic yet.

    It belongs to this process until ``record`` names it: should this process die before, so does
    it.
    """

    def __init__(self, folder: Path, record: Path, name: str, version: str, model: Path) -> None:
        super().__init__(folder)
        self._what = f"version {version} of {name}"
        self._probe = socket.create_server(("127.0.0.1", 0))
        self._address = self._probe.getsockname()
        folder.mkdir(parents=True)
        with (
            socket.socket(socket.AF_UNIX) as control,
            (folder / "alive").open("w", encoding="utf-8") as alive,
            (folder / "log").open("wb") as log,
        ):
            fcntl.flock(alive, fcntl.LOCK_EX)
            with short(folder) as place:
                control.bind(str(place / "control"))
            control.listen(8)
            self._link = Link(folder)
            process = subprocess.Popen(
                [
                    sys.executable, "-m", "components.serve",
                    "--model", model.resolve(), "--name", name, "--version", version,
                    "--drain", str(DRAIN), "--control-fd", str(control.fileno()),
                    "--id", self.id, "--record", record.resolve(),
                ],
                cwd=_ROOT, env=_environment(), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                pass_fds=(control.fileno(), alive.fileno()),
            )  # fmt: skip
            children[process.pid] = process
            alive.write(str(process.pid))

    def try_out(self, deadline: float) -> None:
        """Wait until it is ready, then use what it can do. Raises ProviderError."""
        end = time.monotonic() + deadline
        with self._probe as probe:
            self._say(self._link.test, probe, deadline)
        while True:
            if not self.alive():
                raise self._failure("ended before it was ready")
            with contextlib.suppress(OSError, ValueError):
                if ask(self._address, "GET", "/ready", timeout=1)[0] == 200:
                    break
            if time.monotonic() > end:
                raise self._failure(f"was not ready within {deadline:g} s")
            time.sleep(0.02)
        try:
            self._smoke()
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise self._failure(f"does not answer a trial request ({error})") from None

    def keep(self, listener: socket.socket) -> None:
        """Give it the socket to serve on once the record names it. Raises ProviderError."""
        self._say(self._link.keep, listener)

    def begin(self) -> None:
        """Have it serve, now that the record names it. Raises ProviderError."""
        self._say(self._link.read)

    def close(self) -> None:
        """Leave it alone: from here on it does as the record says."""
        self._probe.close()
        self._link.close()

    def discard(self) -> None:
        """Undo the start."""
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

    def _say(self, word: Callable[..., None], *given: Any) -> None:
        try:
            word(*given)
        except ConnectionError:
            raise self._failure("ended before it was ready") from None
        except OSError as error:
            raise self._failure(f"does not take its socket ({error})") from None

    def _failure(self, what: str) -> ProviderError:
        lines = self.last_lines()
        return ProviderError(f"{self._what} {what}" + (f"; it said:\n{lines}" if lines else ""))


def ask(
    address: tuple[str, int], method: str, path: str, body: object = None, timeout: float = 5
) -> tuple[int, Any]:
    """Make one request for JSON and return its status and what came back.

    Raises OSError, and ValueError where what came back is no JSON.
    """
    import http.client

    connection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except http.client.HTTPException as error:
        raise ConnectionError(f"its answer is no HTTP: {error!r}") from None
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
