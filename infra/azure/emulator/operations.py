"""Long-running operations: what takes its time is answered with where to ask how it goes."""

from __future__ import annotations

import threading
import uuid
from typing import Any, NamedTuple

from infra.azure.emulator.routing import Asked, Route
from infra.rehearsal.server import Answer, answer

_SOON = ("x-ms-retry-after-ms", "20")
"""Azure asks its clients to wait 10 s and more; here they may look again soon. (At once, a zero,
would be nothing said: then they wait 5 s.)"""


class State(NamedTuple):
    """How an operation stands: InProgress, Succeeded, Failed, Canceled."""

    status: str = "InProgress"
    error: dict[str, Any] | None = None


class Operations:
    """Every operation of this process; those of an earlier one are over."""

    def __init__(self, front: str) -> None:
        """``front`` is the address of the workspace: https://management.azure.com/.../W."""
        self._front, self._lock = front, threading.Lock()
        self._known: dict[str, State] = {}

    def begin(self) -> str:
        """A new one; its id."""
        key = str(uuid.uuid4())
        with self._lock:
            self._known[key] = State()
        return key

    def end(self, key: str, error: dict[str, Any] | None = None) -> None:
        """Let it have ended: well, or with an ``error`` (code and message)."""
        with self._lock:
            self._known[key] = State("Failed" if error else "Succeeded", error)

    def accepted(self, key: str, asked: Asked, body: Any = None, status: int = 202) -> Answer:
        """The answer that says where to look: 202 and no body, or 201 and what is being made."""
        headers = (
            ("Azure-AsyncOperation", self.uri(key, asked.version)),
            ("Location", self.uri(key, asked.version, "mfeOperationResults")),
            _SOON,
        )
        found = answer(body, status) if body is not None else Answer(status)
        return found._replace(headers=headers)

    def uri(self, key: str, version: str, kind: str = "mfeOperationsStatus") -> str:
        """The address where an operation is asked for."""
        return f"{self._front}/{kind}/{key}?api-version={version}"

    def routes(self) -> list[Route]:
        """Where they are asked for."""
        return [
            Route("GET", r"mfeOperationsStatus/([^/]+)", self._status),
            Route("GET", r"mfeOperationResults/([^/]+)", self._result),
        ]

    def _status(self, asked: Asked) -> Answer:
        state = self._state(asked.names[0])
        told = {"name": asked.names[0], "status": state.status}
        found = answer({**told, "error": state.error} if state.error else told)
        return found._replace(headers=(_SOON,))

    def _result(self, asked: Asked) -> Answer:
        state = self._state(asked.names[0])
        if state.status == "InProgress":
            return self.accepted(asked.names[0], asked)
        return Answer(200) if state.error is None else answer({"error": state.error}, 400)

    def _state(self, key: str) -> State:
        with self._lock:
            return self._known.get(key, State("Succeeded"))
