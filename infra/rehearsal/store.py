"""What a stand-in knows, each resource a JSON file: a later command finds it again."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from infra.storage import write_whole

Record: TypeAlias = dict[str, Any]
"""A resource: ``name``, ``arn`` (or however a cloud calls a whole name), ``created``, ``modified``,
``tags``, and what its kind keeps."""


class Store:
    """Records by kind and name. ``lock`` is held by whoever looks and then writes."""

    def __init__(self, folder: Path) -> None:
        self.lock = threading.RLock()
        self._folder = folder
        self._records: dict[str, dict[str, Record]] = {}
        for file in sorted(folder.glob("*/*.json")):
            record = json.loads(file.read_text(encoding="utf-8"))
            self._records.setdefault(file.parent.name, {})[record["name"]] = record

    def add(self, kind: str, name: str, arn: str, **more: Any) -> Record:
        """A new record, written."""
        now = round(time.time(), 3)
        record = {"name": name, "arn": arn, "created": now, "modified": now, "tags": {}, **more}
        with self.lock:
            self._records.setdefault(kind, {})[name] = record
            self.save(kind, record)
        return record

    def get(self, kind: str, name: str) -> Record | None:
        """The record, if there is one."""
        return self._records.get(kind, {}).get(name)

    def of(self, kind: str) -> list[Record]:
        """All of a kind, oldest first."""
        with self.lock:
            return sorted(self._records.get(kind, {}).values(), key=lambda each: each["created"])

    def by_arn(self, arn: str) -> tuple[str, Record] | None:
        """The kind and the record of that whole name, if there is one."""
        with self.lock:
            for kind, records in self._records.items():
                for record in records.values():
                    if record["arn"] == arn:
                        return kind, record
        return None

    def save(self, kind: str, record: Record) -> None:
        """Write a record that was changed."""
        with self.lock:
            record["modified"] = round(time.time(), 3)
            file = self._file(kind, record["name"])
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, json.dumps(record))

    def remove(self, kind: str, name: str) -> None:
        """Forget a record."""
        with self.lock:
            del self._records[kind][name]
            self._file(kind, name).unlink(missing_ok=True)

    def _file(self, kind: str, name: str) -> Path:
        return self._folder / kind / f"{quote(name, safe='')}.json"
