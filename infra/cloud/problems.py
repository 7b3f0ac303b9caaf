"""What is wrong with a request: the path of the fault, and words for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from infra.errors import InputError

_SHOWN = 60
"""Characters of a wrong value that a problem repeats."""


class Problem(NamedTuple):
    """What is wrong with a request. ``path`` is of the field: ``ResourceConfig.InstanceType``."""

    path: str
    words: str

    def __str__(self) -> str:
        return f"{self.path or 'the request'} {self.words}"


def under(path: str, name: str) -> str:
    """The path of a field of what lies at ``path``."""
    return f"{path}.{name}" if path else name


def shown(value: Any) -> str:
    """The beginning of a value, as a problem repeats it."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def refuse(service: str, found: Iterable[tuple[str, Problem]]) -> None:
    """Raise InputError with every fault, each beside what was asked; nothing where none is."""
    lines = "".join(f"\n  {asked}: {problem}" for asked, problem in found)
    if lines:
        raise InputError(f"{service} would refuse this run; nothing was sent:{lines}")
