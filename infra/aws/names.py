"""Names as SageMaker takes them: 63 of A-Z, a-z, 0-9 and hyphens. Pure."""

from __future__ import annotations

import hashlib
import re

_LONGEST = 63
_DIGEST = 8


def named(*parts: str) -> str:
    """One name of several, always the same; a digest stands for what would be too long."""
    plain = "-".join(re.sub("[^A-Za-z0-9]+", "-", part).strip("-") for part in parts)
    if len(plain) <= _LONGEST and plain == "-".join(parts):
        return plain
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_DIGEST]
    return f"{plain[: _LONGEST - _DIGEST - 1].strip('-')}-{digest}"


def execution(run_id: str, number: int) -> str:
    """What an attempt's execution is displayed as: one pipeline has those of all attempts."""
    return named(run_id, str(number))
