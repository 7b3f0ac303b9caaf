"""Whether SageMaker would take a request: the same rules as before it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.aws import validate
from infra.aws.emulator.refusal import Refused


def check(operation: str, request: Mapping[str, Any]) -> None:
    """Raise Refused where SageMaker would not take the request, with every fault that it has."""
    if found := validate.problems(operation, request):
        count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected"
        raise Refused("ValidationException", f"{count}: {'; '.join(map(str, found))}")
