"""Scenarios: what happens in a rehearsal beside what was asked for. Each is a table of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infra.errors import InputError, nearest


def load(file: Path, name: str) -> dict[str, Any]:
    """The table called ``name``; or, where the name ends in .toml, a person's own file.

    Raises InputError with the nearest right name, or with what is wrong in the file.
    """
    if name.endswith(".toml"):
        return {"words": f"as {name} says", **_read(Path(name))}
    known = _read(file)
    if name not in known:
        raise InputError(f"there is no scenario {name}; {nearest(name, known, 'there is ')}")
    found: dict[str, Any] = known[name]
    return found


def _read(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no file {file} to read a scenario from") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"the scenario {file} is not TOML: {error}") from None
