"""The images there are. One is a name, as the IR has it, and a Dockerfile beside this file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from infra.errors import InputError, nearest

ROOT = Path(__file__).parents[2]
"""The checkout, which is what a builder is given."""
CONTENTS = ("pyproject.toml", "requirements.lock", "components", "training", "infra")
"""What of the checkout goes to a builder; .dockerignore leaves out the rest."""
BASE = "python:3.11-slim"
SBOM = "/opt/venv/sbom.cdx.json"
"""Where an image lists its packages, in CycloneDX's JSON."""


class Image(NamedTuple):
    """An image that can be built."""

    name: str
    file: Path


IMAGES = {
    f"trefoil-{kind}": Image(f"trefoil-{kind}", Path(__file__).parent / f"{kind}.Dockerfile")
    for kind in ("trainer", "server")
}


def chosen(names: Iterable[str]) -> list[Image]:
    """The images of these names, all where there are none. Raises InputError."""
    wanted = list(names)
    for name in wanted:
        if name not in IMAGES:
            raise InputError(f"there is no image {name}; {nearest(name, IMAGES, 'there is ')}")
    return [IMAGES[name] for name in wanted or IMAGES]
