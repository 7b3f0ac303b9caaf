"""Names as Azure ML takes them. Pure."""

from __future__ import annotations

import hashlib
import re

_LONGEST = 200
"""Characters of a job's name; Azure takes 255."""
_DIGEST = 8
_REFERENCE = re.compile(
    r"(?:.*/)?(?P<name>[^/:@]+)(?::(?P<tag>[^@]+))?(?:@sha256:(?P<digest>[0-9a-f]{64}))?"
)


def named(*parts: str) -> str:
    """One name of several, always the same; a digest stands for what is not let through."""
    plain = "-".join(re.sub("[^A-Za-z0-9]+", "-", part).strip("-") for part in parts)
    if len(plain) <= _LONGEST and plain == "-".join(parts):
        return plain
    return f"{plain[: _LONGEST - _DIGEST - 1].strip('-')}-{_short(*parts)}"


def node(step: str) -> str:
    """A step as a node of a pipeline, or as an input of one: a-z, 0-9 and _ alone."""
    plain = re.sub("[^a-z0-9]+", "_", step.lower()).strip("_")
    if plain.replace("_", "-") == step and plain[:1].isalpha():
        return plain
    return f"n_{plain}_{_short(step)}"


def environment(image: str) -> tuple[str, str]:
    """The name and the version of the environment of an image.

    An environment that is there is taken whatever its image is. So the version holds the digest of
    the image, where it is known, and that of the whole reference: another image is another version.
    """
    match = _REFERENCE.fullmatch(image)
    name = re.sub("[^A-Za-z0-9_-]+", "-", match["name"] if match else image).strip("-")
    digest = match["digest"] if match else None
    whole = hashlib.sha256(image.encode()).hexdigest()
    version = f"{digest[:16]}-{whole[:_DIGEST]}" if digest else whole[:16]
    return name, version


def _short(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_DIGEST]
