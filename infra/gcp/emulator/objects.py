"""What lies in Cloud Storage: a folder of this machine for each bucket, a file for each object.

A container that sees a bucket under /gcs is given its folder. What a file system cannot hold (an
object ``a`` beside ``a/b``) is refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from infra.errors import InputError
from infra.gcp.emulator.refusal import Refused
from infra.storage import inside


class Objects:
    """Buckets and objects, by their gs:// addresses."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make_bucket(self, name: str) -> None:
        """Make a bucket, where there is none of that name."""
        inside(self.root, name).mkdir(parents=True, exist_ok=True)

    def bucket(self, name: str) -> Path | None:
        """The folder of a bucket, if there is one."""
        place = inside(self.root, name)
        return place if place.is_dir() else None

    def path(self, uri: str) -> Path:
        """Where an object lies, or a folder of them. Raises Refused."""
        bucket, key = parts(uri)
        place = self.bucket(bucket)
        if place is None:
            raise Refused("NOT_FOUND", "The specified bucket does not exist.")
        try:
            for part in (names := [each for each in key.split("/") if each]):
                inside(place, part)
        except InputError:
            raise Refused("INVALID_ARGUMENT", f"this rehearsal cannot keep {uri}") from None
        return place.joinpath(*names)

    def read(self, uri: str) -> bytes | None:
        """What an object holds; None where there is none."""
        place = self.path(uri)
        return place.read_bytes() if place.is_file() else None

    def write(self, uri: str, content: bytes) -> Path:
        """Put an object, whole or not at all. Raises Refused."""
        place = self.path(uri)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            partial = place.with_name(f".{place.name}.partial")
            partial.write_bytes(content)
            partial.replace(place)
        except OSError as error:
            words = f"this rehearsal cannot keep {uri} ({error.strerror})"
            raise Refused("INVALID_ARGUMENT", words) from None
        return place

    def exists(self, uri: str) -> bool:
        """Whether there is an object of that name, or any under that prefix."""
        bucket, key = parts(uri)
        return next(self.keys(bucket, key), None) is not None

    def keys(self, bucket: str, prefix: str = "") -> Iterator[str]:
        """The names of the objects that begin so, sorted."""
        place = self.bucket(bucket)
        if place is None:
            raise Refused("NOT_FOUND", "The specified bucket does not exist.")
        near = place / prefix.rpartition("/")[0]
        files = (each for each in near.rglob("*") if each.is_file())
        found = (each.relative_to(place).as_posix() for each in files if not _partial(each))
        yield from sorted(key for key in found if key.startswith(prefix))

    def download(self, uri: str, folder: Path) -> int:
        """Put what lies under a prefix into a folder; returns how many objects that were."""
        bucket, prefix = parts(uri)
        count = 0
        for key in self.keys(bucket, prefix):
            name = key[len(prefix) :].lstrip("/") or key.rpartition("/")[2]
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.root / bucket / key, file)
            count += 1
        return count

    def upload(self, source: Path, uri: str) -> None:
        """Put a file, or all of a folder, under an address."""
        place = self.path(uri)
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, dirs_exist_ok=True, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, place)


def parts(uri: str) -> tuple[str, str]:
    """Bucket and name of gs://BUCKET/NAME."""
    bucket, _, key = uri.removeprefix("gs://").partition("/")
    return bucket, key


def _partial(file: Path) -> bool:
    return file.name.startswith(".") and file.name.endswith(".partial")
