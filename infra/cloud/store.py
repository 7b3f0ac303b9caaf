"""The objects of a bucket or a container, as much as runs need of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Stored(NamedTuple):
    """An object that is there. ``size`` is in bytes, ``changed`` in seconds since the epoch."""

    key: str
    size: int
    changed: float


class Store(Protocol):
    """One bucket; a key is the whole path in it. Every call raises TrefoilError where it fails."""

    def put(self, key: str, content: bytes, *, once: bool = False) -> bool:
        """Put an object. With ``once`` one that is there stays as it is, and False is told."""

    def get(self, key: str) -> bytes | None:
        """What an object holds; None where there is none."""

    def list(self, prefix: str) -> list[Stored]:
        """Every object whose key begins so, in the order of their keys."""

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are no mistake."""

    def uri(self, key: str) -> str:
        """The address of an object, or of a folder of them: s3://bucket/key."""


def remove_under(store: Store, prefix: str) -> int:
    """Remove every object under a prefix; returns how many that were."""
    keys = [each.key for each in store.list(prefix)]
    if keys:
        store.remove(keys)
    return len(keys)
