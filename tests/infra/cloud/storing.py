"""A bucket in memory, for what is shared by clouds."""

from __future__ import annotations

from collections.abc import Iterable

from infra.cloud.store import Stored


class Memory:
    """See infra.cloud.store.Store; ``writes`` are the keys that were put, in their order."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.writes: list[str] = []

    def put(self, key: str, content: bytes, *, once: bool = False) -> bool:
        if once and key in self.objects:
            return False
        self.objects[key] = content
        self.writes.append(key)
        return True

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def list(self, prefix: str) -> list[Stored]:
        return [
            Stored(key, len(self.objects[key]), self._written(key))
            for key in sorted(self.objects)
            if key.startswith(prefix)
        ]

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)

    def uri(self, key: str) -> str:
        return f"mem://bucket/{key}"

    def _written(self, key: str) -> float:
        return float(len(self.writes) - self.writes[::-1].index(key))
