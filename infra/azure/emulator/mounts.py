"""What jobs see of storage: folders that are filled before, and put away during and after."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from infra.azure.emulator.world import World

_SHORT = re.compile(r"azureml://datastores/(?P<store>[^/]+)/paths/(?P<path>.*)")
_LONG = re.compile(
    r"azureml://subscriptions/[^/]+/resource[gG]roups/[^/]+/workspaces/[^/]+/datastores/"
    r"(?P<store>[^/]+)/paths/(?P<path>.*)"
)
_BLOB = re.compile(r"https://(?P<account>[^.]+)\.blob\.core\.windows\.net/(?P<path>.*)")

State = dict[str, tuple[int, int]]
"""By file, what was put away of it: when it was changed, and its size."""


class Unavailable(Exception):
    """Data that are not there: the job fails before its container starts."""


class Place(NamedTuple):
    """A container and a prefix in it."""

    container: str
    prefix: str


def place_of(uri: str, world: World) -> Place:
    """Where an address of data leads. Raises Unavailable where the workspace does not know it."""
    scope = world.scope
    if found := _SHORT.fullmatch(uri) or _LONG.fullmatch(uri):
        if found["store"] != scope.datastore:
            raise Unavailable(f"the workspace has no datastore {found['store']} ({uri})")
        return Place(scope.container, found["path"])
    if (found := _BLOB.fullmatch(uri)) and found["account"] == scope.account:
        container, _, path = found["path"].partition("/")
        return Place(container, path)
    raise Unavailable(f"this rehearsal reads the workspace's own storage alone, not {uri}")


def download(world: World, place: Place, folder: Path) -> int:
    """Put what lies under a prefix into a folder; how many blobs that were."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix, count = place.prefix.rstrip("/"), 0
    for blob in world.blobs.listed(place.container, prefix):
        rest = blob.name[len(prefix) :]
        if rest and not rest.startswith("/"):
            continue  # of another folder, whose name only begins so
        file = folder / (rest.lstrip("/") or prefix.rpartition("/")[2])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(world.blobs.read(place.container, blob.name))
        count += 1
    return count


def upload(world: World, folder: Path, place: Place, known: State) -> None:
    """Put the files of a folder under a prefix, those that have changed since ``known``.

    What ``known`` has and is there no more is removed: so it is with a folder that is mounted.
    """
    prefix, there = place.prefix.rstrip("/"), set()
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        try:
            about = file.stat()
            if not file.is_file():
                continue
            there.add(name)
            state = (about.st_mtime_ns, about.st_size)
            if known.get(name) == state:
                continue
            world.blobs.write(place.container, f"{prefix}/{name}", file.read_bytes())
            known[name] = state
        except FileNotFoundError:
            continue  # it was a partial file, and is now whole under another name
    for name in known.keys() - there:
        del known[name]
        with world.blobs.lock:
            if world.blobs.find(place.container, f"{prefix}/{name}"):
                world.blobs.remove(place.container, f"{prefix}/{name}")


def states(folder: Path) -> State:
    """What a folder has just now."""
    found: State = {}
    for file in folder.rglob("*"):
        if file.is_file():
            about = file.stat()
            found[file.relative_to(folder).as_posix()] = (about.st_mtime_ns, about.st_size)
    return found
