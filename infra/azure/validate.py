"""Bodies held against Azure's published model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Problem(NamedTuple):
    path: str
    words: str


def problems(kind: str, version: str, body: Mapping[str, Any]) -> list[Problem]:
    return []
