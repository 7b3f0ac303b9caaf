"""How an attempt of a step ended."""

from __future__ import annotations

from typing import NamedTuple


class Ending(NamedTuple):
    """How an attempt ended: exit code (negative: the signal), and what it used, where known.

    ``reason`` is what its runner knows of a failure that its log does not tell.
    """

    code: int = 0
    seconds: float = 0.0
    cpu_seconds: float | None = 0.0
    peak_mb: float | None = 0.0
    timed_out: bool = False
    reason: str = ""
