"""What lies in moto's S3, on disk: an object is a file, and beside it what is said of it.

A later command finds what an earlier one put there. Only the newest version of an object is kept.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.storage import write_whole


class Kept:
    """The objects of one account, in a folder."""

    def __init__(self, folder: Path, account: str) -> None:
        from moto.s3.models import s3_backends

        self._backend = s3_backends[account]["aws"]
        self._folder = folder
        self._known: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def restore(self) -> None:
        """Put back what lies on disk."""
        for file in sorted(self._folder.glob("*.json")):
            about = json.loads(file.read_text(encoding="utf-8"))
            bucket, name = about["bucket"], about["key"]
            if bucket not in self._backend.buckets:
                self._backend.create_bucket(bucket, about["region"])
            content = file.with_suffix(".bin").read_bytes()
            key = self._backend.put_object(bucket, name, content, etag=about["etag"])
            key.set_metadata(about["metadata"])
            self._known[bucket, name] = key.etag

    def keep(self) -> None:
        """Write what has changed since the last time."""
        with self._lock:
            found = dict(self._objects())
            for place in self._known.keys() - found.keys():
                self._file(place).unlink()  # first: without it the other is nothing
                self._file(place).with_suffix(".bin").unlink()
            for place, key in found.items():
                if self._known.get(place) != key.etag:
                    self._write(place, key)
            self._known = {place: key.etag for place, key in found.items()}

    def _objects(self) -> Iterator[tuple[tuple[str, str], Any]]:
        for bucket in list(self._backend.buckets.values()):
            for name, key in list(bucket.keys.items()):
                if hasattr(key, "value"):  # a delete marker has none
                    yield (bucket.name, name), key

    def _write(self, place: tuple[str, str], key: Any) -> None:
        bucket, name = place
        about = {
            "bucket": bucket,
            "key": name,
            "region": self._backend.buckets[bucket].region_name,
            "etag": key.etag.strip('"'),
            "metadata": dict(key.metadata),
        }
        file = self._file(place)
        write_whole(file.with_suffix(".bin"), key.value)
        write_whole(file, json.dumps(about))

    def _file(self, place: tuple[str, str]) -> Path:
        digest = hashlib.sha256("/".join(place).encode()).hexdigest()
        return self._folder / f"{digest[:32]}.json"
