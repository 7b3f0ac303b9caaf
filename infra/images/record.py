"""What was built: ``images.json`` of a workspace, one entry for each image's name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from infra.errors import InputError
from infra.storage import locked, write_whole

_FILE = "images.json"


class Built(NamedTuple):
    """An image as it was built last.

    ``id`` is Docker's, ``sha256:...``, and what to run it by on the same daemon. ``tag`` names the
    code: 12 digits of the commit, and of the content where that differs from the commit.
    ``revision`` is the commit, with ``+dirty`` in that case. ``digest`` is REGISTRY/NAME@sha256:...
    once it has been pushed, else empty. ``built`` is in seconds since 1970.
    """

    name: str
    id: str
    tag: str
    revision: str
    built: float
    digest: str = ""

    @property
    def reference(self) -> str:
        """Name and tag, for where an image cannot be named by its digest."""
        return f"{self.name}:{self.tag}"


def find(workspace: Path, name: str) -> Built | None:
    """The image of this name that was built last; None where there is none. Raises InputError."""
    return _read(workspace / _FILE).get(name)


def remember(workspace: Path, built: Built) -> None:
    """Note an image, instead of what was known of its name. Raises InputError."""
    file = workspace / _FILE
    with locked(workspace / "images.lock"):  # two may be built at once
        known = _read(file) | {built.name: built}
        rows = {name: each._asdict() for name, each in sorted(known.items())}
        write_whole(file, json.dumps(rows, indent=2) + "\n")


def _read(file: Path) -> dict[str, Built]:
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        return {name: Built(**row) for name, row in rows.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file} is damaged ({error}); remove it and build again: "
            "python -m pipelines image build"
        ) from None
