"""Data sets that go by a name. Imports neither numpy nor scikit-learn: the CLI asks here too."""

from __future__ import annotations

import importlib.machinery
import os
import re
from pathlib import Path
from typing import NamedTuple

from training.errors import InputError
from training.fingerprint import md5_of_list

DIGITS = "digits"
TABLE = Path(__file__).with_name("catalogue.toml")

_NAME = re.compile(r"[a-z0-9-]+")


class File(NamedTuple):
    """A file at its public home, and what it must be: ``checksum`` is of kind ``algorithm``."""

    name: str
    url: str
    algorithm: str
    checksum: str


class Entry(NamedTuple):
    """A data set that is downloaded."""

    name: str
    kind: str
    classes: tuple[str, ...]
    files: tuple[File, ...]

    @property
    def md5(self) -> str:
        """As DVC would pin its files, known before they are; empty where it was not published."""
        if any(file.algorithm != "md5" for file in self.files):
            return ""
        if len(self.files) == 1:
            return self.files[0].checksum
        return md5_of_list((file.name, file.checksum) for file in self.files)


def find(name: str, table: Path = TABLE) -> Entry | None:
    """The data set of that name; None for any other word, and for a path."""
    return _read(table).get(name) if _NAME.fullmatch(name) else None


def names(table: Path = TABLE) -> list[str]:
    """Every name that can be given instead of a path."""
    return [DIGITS, *_read(table)]


def modality(data: str, table: Path = TABLE) -> str:
    """What a name or path is, as far as the word tells: text or image."""
    entry = find(data, table)
    kind = entry.kind if entry else Path(data).suffix.lower().removeprefix(".")
    return "text" if kind in ("text", "txt") else "image"


def digits() -> Path | None:
    """scikit-learn's own file of the digits, found without importing it; None without it."""
    spec = importlib.machinery.PathFinder.find_spec("sklearn")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(place, "datasets", "data", "digits.csv.gz")
        if file.is_file():
            return file
    return None


def require_digits() -> Path:
    """As ``digits``. Raises InputError without scikit-learn."""
    found = digits()
    if found is None:
        raise InputError("the digits come with scikit-learn, which is not installed: make setup")
    return found


def cache() -> Path:
    """Where a person keeps what can be had again: $XDG_CACHE_HOME, or ~/.cache."""
    place = os.environ.get("XDG_CACHE_HOME") or Path("~", ".cache").expanduser()
    return Path(place, "trefoil")


def _read(table: Path) -> dict[str, Entry]:
    import tomllib

    found = {}
    for name, entry in tomllib.loads(table.read_text(encoding="utf-8")).items():
        files = tuple(
            File(file, entry["home"] + file, *checksum.split(":"))
            for file, checksum in entry["files"].items()
        )
        found[name] = Entry(name, entry["kind"], tuple(entry["classes"]), files)
    return found
