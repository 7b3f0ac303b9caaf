"""The step cache: a step whose ingredients were seen before is not run again.

The key is the SHA-256 of the ingredients: the command, the digests of the code, of the environment
and of every input's content. Nothing in it depends on a place, a path or a time. An entry is
verified, file by file, each time it is used; a damaged one is removed and the step runs again.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from infra.plan import Json, canonical
from infra.storage import difference, remove, tree, tree_digest, write_whole

MANIFEST = "manifest.json"
OUTPUTS = "outputs"


class Entry(NamedTuple):
    """What a finished step left: a directory of outputs, and its values and digests."""

    directory: Path
    values: Mapping[str, Json]
    digests: Mapping[str, str]

    def output(self, name: str) -> Path:
        """Where the artefact called ``name`` lies."""
        return self.directory / OUTPUTS / name


def key(ingredients: Mapping[str, Json]) -> str:
    """The cache key of a step, in hex."""
    return hashlib.sha256(canonical(dict(ingredients))).hexdigest()


def seal(directory: Path, step_key: str, artifacts: list[str], values: Mapping[str, Json]) -> Entry:
    """Write the manifest of what a step left in ``directory``: from here on it can be trusted."""
    files = {name: tree(directory / OUTPUTS / name) for name in artifacts}
    manifest = {"key": step_key, "values": dict(values), "outputs": files}
    write_whole(directory / MANIFEST, json.dumps(manifest, sort_keys=True))
    return _entry(directory, values, files)


def move(directory: Path, place: Path) -> Entry:
    """Move a sealed directory to ``place``, over what was there."""
    remove(place)
    directory.rename(place)
    return read(place)


def read(directory: Path) -> Entry:
    """Read a sealed directory without looking at its files; ``unseal`` verifies them."""
    manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    return _entry(directory, manifest["values"], manifest["outputs"])


def unseal(directory: Path, step_key: str) -> tuple[Entry | None, str]:
    """Read what a step left under this key; with None comes what is wrong, empty if nothing is.

    Every file is compared with its digest.
    """
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        if manifest["key"] != step_key:
            return None, ""
        for name, files in manifest["outputs"].items():
            place = directory / OUTPUTS / name
            if wrong := difference(place, files) if place.exists() else ".":
                return None, name if wrong == "." else f"{name}/{wrong}"
        return _entry(directory, manifest["values"], manifest["outputs"]), ""
    except (FileNotFoundError, NotADirectoryError):
        return None, ""
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        return None, f"{MANIFEST}: {error}"


class StepCache:
    """Entries by key, shared by all runs of a workspace."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, step_key: str) -> tuple[Entry | None, str]:
        """Return the verified entry, or None and what was damaged (it is gone then)."""
        place = self._place(step_key)
        try:
            seen = os.open(place, os.O_RDONLY)  # while it is open, nothing else gets its number
        except (FileNotFoundError, NotADirectoryError):
            return None, ""
        try:
            entry, wrong = unseal(place, step_key)
            wrong = wrong or ("" if entry else MANIFEST)  # it is gone, or another key's
            if wrong and not self._discard(place, os.fstat(seen)):
                return self.find(step_key)
            return entry, wrong
        finally:
            os.close(seen)

    def keep(self, directory: Path, step_key: str) -> Entry:
        """Move a sealed directory in. Where another run was first, theirs is used."""
        place = self._place(step_key)
        place.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                directory.rename(place)
                return read(place)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            entry, _ = self.find(step_key)  # a damaged one it removes, and perhaps a third comes
            if entry is not None:
                remove(directory)
                return entry

    def _discard(self, place: Path, seen: os.stat_result) -> bool:
        """Remove a damaged entry; False where another run has put a whole one in its place."""
        aside = place.with_name(f".{place.name}.{os.getpid()}.damaged")
        with (self._root / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():  # another run found the damage first
                return True
            if not os.path.samestat(place.stat(), seen):
                return False
            remove(aside)
            place.rename(aside)  # whole: no other run meets a half-removed entry
        remove(aside)
        return True

    def _place(self, step_key: str) -> Path:
        return self._root / step_key[:2] / step_key


def _entry(
    directory: Path, values: Mapping[str, Json], outputs: Mapping[str, dict[str, list[Json]]]
) -> Entry:
    digests = {name: tree_digest(files) for name, files in outputs.items()}
    return Entry(directory, values, digests)
