"""The JSON files that steps hand to each other: the same value is the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.errors import InputError

PREPARED = 1
"""Format of a prepared data set's schema.json, which training.schema describes."""


def write_json(file: Path, value: object, indent: int | None = 2) -> None:
    """Write it sorted. Raises OSError."""
    text = json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False)
    file.write_text(f"{text}\n", encoding="utf-8")


def read_json(file: Path, what: str) -> Any:
    """Read what an earlier step wrote. Raises InputError: its folder is no ``what``, or damaged."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file.parent} is no {what}: it has no {file.name}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None


def read_object(file: Path, what: str, known: int, anew: str) -> dict[str, Any]:
    """Read an object of the format known here. Raises InputError that ends in what to do."""
    found = read_json(file, what)
    if not isinstance(found, dict) or found.get("format") != known:
        raise InputError(f"{file} is not of format {known}, the one known here; {anew}")
    return found


def read_schema(dataset: Path) -> dict[str, Any]:
    """What a prepared data set says of itself. Raises InputError."""
    return read_object(dataset / "schema.json", "prepared data set", PREPARED, "prepare anew")
