"""Conditions as a person reads them: ``evaluate.passed``, ``not (n > 2)``."""

from __future__ import annotations

from infra.plan import (
    All,
    Condition,
    Constant,
    FirstOf,
    Not,
    Output,
    Parameter,
    Source,
    as_text,
)


def words(found: Condition) -> str:
    """A gate's condition, shortest: ``evaluate.passed``, ``not (n > 2)``."""
    if isinstance(found, Not):
        return f"not ({words(found.condition)})"
    if isinstance(found, All):
        return " and ".join(words(part) for part in found.conditions)
    left, right = _source(found.left), _source(found.right)
    if right in ("true", "false") and found.operator in ("==", "!="):
        return left if (found.operator == "==") == (right == "true") else f"not {left}"
    return f"{left} {found.operator} {right}"


def _source(found: Source) -> str:
    if isinstance(found, Constant):
        return as_text(found.value)
    if isinstance(found, Parameter):
        return found.name
    if isinstance(found, Output):
        return f"{found.step}.{found.name}"
    if isinstance(found, FirstOf):
        return " or ".join(_source(output) for output in found.outputs)
    return "a value of the run"
