"""Names and labels as Vertex AI takes them: a-z, 0-9 and hyphens. Pure."""

from __future__ import annotations

import hashlib
import re

RUN, STEP = "trefoil-run", "trefoil-step"
"""The labels by which everything of a run is found again, and what it is."""
_LONGEST = 63
_DIGEST = 8


def named(*parts: str) -> str:
    """One name of several, always the same; a digest stands for what is too long or not allowed."""
    plain = "-".join(re.sub("[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts)
    if not re.match("[a-z]", plain):
        plain = f"r-{plain}"
    if len(plain) <= _LONGEST and plain == "-".join(parts):
        return plain
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_DIGEST]
    return f"{plain[: _LONGEST - _DIGEST - 1].strip('-')}-{digest}"


def label(text: str) -> str:
    """A text as the value of a label: 63 of a-z, 0-9, hyphens and underscores."""
    plain = re.sub("[^a-z0-9_-]+", "-", text.lower())
    if plain == text and len(plain) <= _LONGEST:
        return plain
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
    return f"{plain[: _LONGEST - _DIGEST - 1].strip('-')}-{digest}"
