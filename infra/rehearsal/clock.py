"""The time that a cloud takes for itself, which a rehearsal need not sit through.

What a stand-in waits for (a machine, capacity, a health check) it waits for by this clock. What
really runs here takes the time that it takes.
"""

from __future__ import annotations

import threading
import time


class Clock:
    """Runs ``speed`` times as fast as the real one, from the moment it was made."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._began, self._origin = time.monotonic(), time.time()

    def now(self) -> float:
        """Seconds since 1970, by this clock."""
        return self._origin + (time.monotonic() - self._began) * self._speed

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Wait so many seconds of this clock; True where ``stop`` was set meanwhile."""
        return stop.wait(seconds / self._speed)
