"""A pipeline's definition as a graph, and what its steps' jobs are called and when tried again."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from infra.aws.emulator.expressions import referred

_BRANCHES = (("IfSteps", True), ("ElseSteps", False))
_LONGEST = 24
"""Letters of a step's name that its job's name has."""
_RETRIED = {
    "CapacityError": "SageMaker.CAPACITY_ERROR",
    "InternalServerError": "SageMaker.JOB_INTERNAL_ERROR",
    "ResourceLimitExceeded": "SageMaker.RESOURCE_LIMIT",
}
"""What a failure begins with, and what retry policies call it."""


class Node(NamedTuple):
    """A step of the definition: what must have ended before it, and which branches it lies in."""

    name: str
    step: Mapping[str, Any]
    needs: frozenset[str]
    branches: tuple[tuple[str, bool], ...]


def nodes(
    steps: list[Mapping[str, Any]], branches: tuple[tuple[str, bool], ...] = ()
) -> Iterator[Node]:
    """Every step of a definition, those of branches with the outcomes that they need."""
    for step in steps:
        own = dict(step["Arguments"])
        forks = _BRANCHES if step["Type"] == "Condition" else ()
        inner = {outcome: own.pop(name, []) for name, outcome in forks}
        needs = frozenset([*step.get("DependsOn", []), *referred(own)])
        yield Node(step["Name"], step, needs, branches)
        for outcome, found in inner.items():
            yield from nodes(found, (*branches, (step["Name"], outcome)))


def pause(policies: list[Mapping[str, Any]], reason: str, attempt: int) -> float | None:
    """Seconds until the next attempt; None where no policy grants one."""
    called = next((name for word, name in _RETRIED.items() if reason.startswith(word)), "")
    for policy in policies:
        if called in policy["ExceptionType"] and attempt <= policy.get("MaxAttempts", 1):
            first: float = policy.get("IntervalSeconds", 1)
            return first * float(policy.get("BackoffRate", 2.0)) ** (attempt - 1)
    return None


def job_name(execution: str, step: str) -> str:
    """As SageMaker puts it together."""
    plain = re.sub("[^A-Za-z0-9]+", "-", step)[:_LONGEST].strip("-")
    return f"pipelines-{execution}-{plain}-{secrets.token_hex(5)}"
