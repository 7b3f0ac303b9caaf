"""What goes wrong on the way to a stand-in, told by its scenario."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.errors import InputError, nearest

if TYPE_CHECKING:
    from infra.rehearsal.server import Call


class Fault(NamedTuple):
    """Calls that match it fail: ``times`` of them, after the first ``after``.

    ``method``, ``host``, ``path`` and ``operation`` (the end of X-Amz-Target) are patterns; one
    that is empty matches every call. Such a call is answered ``status`` in plain words, or the
    provider's own ``error`` in its shape; or it waits ``delay`` seconds and is carried out. With
    none of them it is carried out and the answer is lost, as when a connection breaks.
    """

    method: str = ""
    path: str = ""
    host: str = ""
    operation: str = ""
    status: int = 0
    error: str = ""
    delay: float = 0.0
    times: int = 1
    after: int = 0

    @property
    def lost(self) -> bool:
        """Whether the answer never arrives."""
        return not (self.status or self.error or self.delay)

    def meets(self, call: Call) -> bool:
        """Whether it is for this call."""
        operation = call.header("X-Amz-Target").rpartition(".")[2]
        return (
            re.fullmatch(self.method or ".*", call.method) is not None
            and re.search(self.path, call.path) is not None
            and re.search(self.host, call.header("Host")) is not None
            and re.fullmatch(self.operation or ".*", operation) is not None
        )


class Faults:
    """The faults of one rehearsal, counted over all threads."""

    def __init__(self, faults: Iterable[Mapping[str, Any]] = ()) -> None:
        """Raises InputError where a scenario's fault has a word that means nothing."""
        self._faults = [_read(fault) for fault in faults]
        self._seen = [0] * len(self._faults)
        self._lock = threading.Lock()

    def of(self, call: Call) -> Fault | None:
        """The fault that this call meets, if any."""
        with self._lock:
            for at, fault in enumerate(self._faults):
                if not fault.meets(call):
                    continue
                self._seen[at] += 1
                if fault.after < self._seen[at] <= fault.after + fault.times:
                    return fault
        return None


def _read(fault: Mapping[str, Any]) -> Fault:
    for word in fault:
        if word not in Fault._fields:
            raise InputError(f"a fault has no {word}; {nearest(word, Fault._fields, 'it has ')}")
    return Fault(**fault)
