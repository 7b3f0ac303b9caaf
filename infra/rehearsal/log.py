"""The log of a rehearsal: every call that came, as JSON lines, secrets taken out.

Several processes may write to one file. What a stand-in read can be read from it again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from infra.errors import told
from infra.redaction import redacted
from infra.rehearsal.server import Call

_LOGGED = 2 * 2**20
"""Characters of a body that are logged: more than any request of a control plane has."""
_KEPT = ("host", "content-type", "accept", "x-amz-target")
"""Headers that say what a call means."""


def named(call: Call) -> str:
    """What a call is called, where nobody says it better."""
    return f"{call.method:<6} {call.path}"


class Log:
    """Adds calls to a file, and counts those since it was made for a person.

    ``name`` says what a call is, without what is different in every run.
    """

    def __init__(self, file: Path, name: Callable[[Call], str] = named) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file, self._name = file, name
        self._lost = ""
        self._begin = file.stat().st_size if file.exists() else 0

    def add(self, call: Call, outcome: str, seconds: float) -> None:
        """Note a call; ``outcome`` is a status, or what became of the answer."""
        clean = call._replace(path=redacted(call.path))
        line: dict[str, Any] = {
            "at": round(time.time(), 3),
            "name": self._name(clean),
            "method": call.method,
            "path": clean.path,
            "query": {name: [redacted(v) for v in values] for name, values in call.query.items()},
            "headers": {n: v for n, v in call.headers.items() if n.lower() in _KEPT},
            "outcome": outcome,
            "seconds": round(seconds, 4),
        }
        if call.body:
            line["body"] = redacted(call.body.decode(errors="replace"))[:_LOGGED]
        try:
            self._write(f"{json.dumps(line)}\n".encode())
        except OSError as error:  # the call itself goes on: whoever made it would wait for ever
            self._lost = told(error)

    def _write(self, data: bytes) -> None:
        handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, data)  # at once: lines of several writers do not mix
        finally:
            os.close(handle)

    def told(self) -> list[str]:
        """Each kind of call with how often it came, in the order of their first."""
        counts: dict[tuple[str, str], int] = {}
        for line in lines(self._file, self._begin):
            key = (line["name"], line["outcome"])
            counts[key] = counts.get(key, 0) + 1
        found = [
            f"{name}  {outcome}" + (f"  x{count}" if count > 1 else "")
            for (name, outcome), count in counts.items()
        ]
        return [*found, f"not all of them: {self._lost}"] if self._lost else found


def lines(file: Path, begin: int = 0) -> Iterator[dict[str, Any]]:
    """What was logged, from a place in the file on."""
    if not file.exists():
        return
    with file.open("rb") as log:
        log.seek(begin)
        yield from (json.loads(line) for line in log if line.endswith(b"\n"))


def recorded(file: Path) -> Iterator[Call]:
    """The calls of a log, to be made again: a stand-in's ``handle`` takes them as they are."""
    for line in lines(file):
        body = line.get("body", "").encode()
        yield Call(line["method"], line["path"], line["query"], line["headers"], body)
