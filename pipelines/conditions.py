"""Conditions and where values come from, as a person reads them: ``not (evaluate.n > 2)``."""

from __future__ import annotations

from infra.plan import (
    All,
    Collected,
    Condition,
    Constant,
    FirstOf,
    Imported,
    Not,
    Output,
    Parameter,
    Secret,
    Source,
    as_text,
)
from infra.redaction import HIDDEN


def words(found: Condition) -> str:
    """A gate's condition, shortest: ``evaluate.passed``, ``not (n > 2)``."""
    if isinstance(found, Not):
        return f"not ({words(found.condition)})"
    if isinstance(found, All):
        return " and ".join(words(part) for part in found.conditions)
    left, right = source(found.left), source(found.right)
    if right in ("true", "false") and found.operator in ("==", "!="):
        return left if (found.operator == "==") == (right == "true") else f"not {left}"
    return f"{left} {found.operator} {right}"


def source(found: Source) -> str:
    """Where a value or an artefact comes from: ``evaluate.passed``, ``data/a.csv``."""
    if isinstance(found, Imported):
        found = found.uri
    if isinstance(found, Constant):
        return HIDDEN if isinstance(found, Secret) else as_text(found.value)
    if isinstance(found, Parameter):
        return found.name
    if isinstance(found, Output):
        return f"{found.step}.{found.name}"
    if isinstance(found, FirstOf):
        return " or ".join(source(output) for output in found.outputs)
    if isinstance(found, Collected):
        return f"[{', '.join(source(each) for each in found.sources)}]"
    return "a value of the run"
