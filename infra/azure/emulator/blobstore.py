"""What lies in the blob containers of a rehearsal: each blob two files, its content and its facts.

A blob's name may be longer than a file's, and one name may go on where another ends: so its digest
names the files.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from infra.storage import write_whole


class Blob(NamedTuple):
    """The facts of a blob. ``changed`` and ``made`` are seconds since the epoch."""

    name: str
    size: int
    etag: str
    made: float
    changed: float
    kind: str = "application/octet-stream"
    md5: str = ""
    metadata: dict[str, str] = {}  # noqa: RUF012  never changed


class BlobStore:
    """The containers of one storage account. ``lock`` is held by whoever looks and then writes."""

    def __init__(self, folder: Path) -> None:
        self.lock = threading.RLock()
        self._folder = folder
        self._blobs: dict[str, dict[str, Blob]] = {}
        self._blocks: dict[tuple[str, str], dict[str, bytes]] = {}
        for place in folder.glob("*"):
            self._blobs[place.name] = {}
            for file in place.glob("*.json"):
                found = Blob(**json.loads(file.read_text(encoding="utf-8")))
                self._blobs[place.name][found.name] = found

    def make(self, container: str) -> bool:
        """Make a container; False where it was there."""
        with self.lock:
            if container in self._blobs:
                return False
            (self._folder / container).mkdir(parents=True, exist_ok=True)
            self._blobs[container] = {}
            return True

    def has(self, container: str) -> bool:
        """Whether there is such a container."""
        return container in self._blobs

    def find(self, container: str, name: str) -> Blob | None:
        """The facts of a blob; None where there is none."""
        return self._blobs.get(container, {}).get(name)

    def listed(self, container: str, prefix: str) -> list[Blob]:
        """Those whose names begin so, by name."""
        with self.lock:
            found = [b for n, b in self._blobs.get(container, {}).items() if n.startswith(prefix)]
        return sorted(found)

    def read(self, container: str, name: str) -> bytes:
        """The content of a blob that is there."""
        return self._file(container, name).read_bytes()

    def write(self, container: str, name: str, content: bytes, **facts: Any) -> Blob:
        """Put a blob, in place of one that is there."""
        with self.lock:
            before, now = self.find(container, name), time.time()
            blob = Blob(
                name, len(content), f'"0x{time.time_ns():X}"', before.made if before else now,
                now, **facts,
            )  # fmt: skip
            write_whole(self._file(container, name), content)
            self._keep(container, blob)
            self._blocks.pop((container, name), None)
            return blob

    def describe(self, container: str, name: str, metadata: dict[str, str]) -> Blob:
        """Change the metadata of a blob that is there."""
        with self.lock:
            before = self._blobs[container][name]
            blob = before._replace(
                metadata=metadata, changed=time.time(), etag=f'"0x{time.time_ns():X}"'
            )
            self._keep(container, blob)
            return blob

    def remove(self, container: str, name: str) -> None:
        """Forget a blob that is there."""
        with self.lock:
            del self._blobs[container][name]
            file = self._file(container, name)
            file.with_suffix(".json").unlink(missing_ok=True)
            file.unlink(missing_ok=True)

    def stage(self, container: str, name: str, block: str, content: bytes) -> None:
        """Keep a block that a later list makes part of a blob."""
        with self.lock:
            self._blocks.setdefault((container, name), {})[block] = content

    def staged(self, container: str, name: str) -> dict[str, bytes]:
        """The blocks of a blob that no list has taken yet."""
        return self._blocks.get((container, name), {})

    def _keep(self, container: str, blob: Blob) -> None:
        facts = json.dumps(blob._asdict())
        write_whole(self._file(container, blob.name).with_suffix(".json"), facts)
        self._blobs[container][blob.name] = blob

    def _file(self, container: str, name: str) -> Path:
        return self._folder / container / f"{hashlib.sha256(name.encode()).hexdigest()}.blob"
