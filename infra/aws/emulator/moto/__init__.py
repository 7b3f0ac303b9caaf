"""S3, STS, IAM, ECR and CloudWatch Logs: moto, in a process of its own.

__main__.py   that process: moto behind the log and the faults of the rehearsal
handler.py    how it is spoken to
kept.py       what lies in S3, on disk
before.py     what there is before a run
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from infra.errors import ProviderError


class Moto:
    """The process. It ends when it is closed, and with this process, however that ends."""

    def __init__(
        self,
        folder: Path,
        log: Path,
        account: str,
        faults: Iterable[Mapping[str, Any]] = (),
        roles: Iterable[str] = (),
        region: str = "",
        bucket: str = "",
    ) -> None:
        """Start it, and do not wait. What lies in S3 is kept in ``folder``.

        ``roles``, ARNs, and the ``bucket`` in the ``region`` are there from the beginning.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._told = folder / "moto.log"
        given = {
            "folder": str(folder), "log": str(log), "account": account, "faults": [*faults],
            "roles": [*roles], "region": region, "bucket": bucket,
        }  # fmt: skip
        with self._told.open("wb") as errors, socket.create_server(("127.0.0.1", 0)) as listener:
            self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=[listener.fileno()],
            )
        assert self._process.stdin  # noqa: S101  mypy
        self._process.stdin.write(json.dumps(given).encode() + b"\n")
        self._process.stdin.flush()  # and stays open: its end is the process's end

    def wait(self) -> None:
        """Wait until it serves. Raises ProviderError where it ended instead."""
        assert self._process.stdout  # noqa: S101  mypy
        if not self._process.stdout.readline():
            last = self._told.read_text(encoding="utf-8", errors="replace").splitlines()[-1:]
            raise ProviderError(f"moto did not start ({' '.join(last)}); see {self._told}")

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def close(self) -> None:
        """End it, and wait until it has ended."""
        self._process.communicate()
