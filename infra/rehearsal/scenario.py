"""Scenarios: what happens in a rehearsal beside what was asked for. Each is a table of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infra.errors import InputError, nearest


def load(file: Path, name: str) -> dict[str, Any]:
    """The table called ``name``. Raises InputError with the nearest right name."""
    import tomllib

    known = tomllib.loads(file.read_text(encoding="utf-8"))
    if name not in known:
        raise InputError(f"there is no scenario {name}; {nearest(name, known, 'there is ')}")
    found: dict[str, Any] = known[name]
    return found
