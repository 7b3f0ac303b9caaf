"""What goes wrong on the way to a stand-in, told by its scenario."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """Calls of ``method`` whose path matches ``path`` fail: ``times`` of them, ``after`` so many.

    With a ``status`` they are answered that; without one they are carried out and the answer is
    lost, as when a connection breaks.
    """

    method: str
    path: str
    status: int = 0
    times: int = 1
    after: int = 0


class Faults:
    """The faults of one rehearsal, counted over all threads."""

    def __init__(self, faults: Iterable[Mapping[str, Any]] = ()) -> None:
        self._faults = [Fault(**fault) for fault in faults]
        self._seen = [0] * len(self._faults)
        self._lock = threading.Lock()

    def of(self, method: str, path: str) -> Fault | None:
        """The fault that this call meets, if any."""
        with self._lock:
            for at, fault in enumerate(self._faults):
                if method != fault.method or not re.search(fault.path, path):
                    continue
                self._seen[at] += 1
                if fault.after < self._seen[at] <= fault.after + fault.times:
                    return fault
        return None
