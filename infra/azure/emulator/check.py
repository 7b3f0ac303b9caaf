"""Whether Azure would take a body: the same rules as before it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.azure import validate
from infra.azure.emulator.refusal import Refused


def check(kind: str, version: str, body: Mapping[str, Any]) -> None:
    """Raise Refused where Azure would not take the body, with every fault that it has."""
    if found := validate.problems(kind, version, body):
        raise Refused(
            400, "ValidationError",
            f"{len(found)} of what was sent is wrong: {'; '.join(map(str, found))}",
            tuple((each.path, each.words) for each in found),
        )  # fmt: skip
