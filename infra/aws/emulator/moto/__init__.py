"""S3, STS, IAM, ECR and CloudWatch Logs: moto, in a process of its own.

__main__.py   that process: moto behind the log and the faults of the rehearsal
kept.py       what lies in S3, on disk
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from infra.errors import ProviderError


class Moto:
    """The process. It ends when it is closed, and with this process, however that ends."""

    def __init__(
        self, folder: Path, log: Path, account: str, faults: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        """Start it, and do not wait. What lies in S3 is kept in ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        self._told = folder / "moto.log"
        given = {"folder": str(folder), "log": str(log), "account": account, "faults": [*faults]}
        with self._told.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self._process.stdin  # noqa: S101  mypy
        self._process.stdin.write(json.dumps(given).encode() + b"\n")
        self._process.stdin.flush()  # and stays open: its end is the process's end
        self._address = ""

    def address(self) -> str:
        """Where it serves, once it does. Raises ProviderError where it ended instead."""
        if not self._address:
            assert self._process.stdout  # noqa: S101  mypy
            self._address = self._process.stdout.readline().decode().strip()
        if not self._address:
            last = self._told.read_text(encoding="utf-8", errors="replace").splitlines()[-1:]
            raise ProviderError(f"moto did not start ({' '.join(last)}); see {self._told}")
        return self._address

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def close(self) -> None:
        """End it, and wait until it has ended."""
        self._process.communicate()
