"""Conditions as a pipeline's definition has them. Pure.

A comparison reads what a processing step left in its property file. SageMaker knows no condition
within a condition: what is nested in the pipeline is one list here, all of which must hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.aws.jobs import is_training
from infra.cloud import stepfile
from infra.errors import UnsupportedError
from infra.plan import All, Compare, Condition, Constant, Json, Not, Output, Plan, Source, Step

VALUES = "values"
"""Name of the property file of each step whose values a condition reads."""
_TYPES = {
    "==": "Equals", "<": "LessThan", "<=": "LessThanOrEqualTo", ">": "GreaterThan",
    ">=": "GreaterThanOrEqualTo",
}  # fmt: skip


def conditions(condition: Condition, plan: Plan, step: Step) -> list[Json]:
    """What must hold for a step. Raises UnsupportedError where SageMaker cannot read it."""
    if isinstance(condition, All):
        return [one for part in condition.conditions for one in conditions(part, plan, step)]
    if isinstance(condition, Not):
        inner = conditions(condition.condition, plan, step)
        if len(inner) == 1:
            return [{"Type": "Not", "Expression": inner[0]}]
        denied: list[Json] = [{"Type": "Not", "Expression": each} for each in inner]
        return [{"Type": "Or", "Conditions": denied}]
    return [_compare(condition, plan, step)]


def property_files() -> list[Mapping[str, str]]:
    """What a processing step declares so that conditions can read its values."""
    return [{"PropertyFileName": VALUES, "OutputName": stepfile.VALUES, "FilePath": "values.json"}]


def _compare(condition: Compare, plan: Plan, step: Step) -> Json:
    left, right = (_value(each, plan, step) for each in (condition.left, condition.right))
    if condition.operator == "!=":
        equal: Json = {"Type": "Equals", "LeftValue": left, "RightValue": right}
        return {"Type": "Not", "Expression": equal}
    return {"Type": _TYPES[condition.operator], "LeftValue": left, "RightValue": right}


def _value(source: Source, plan: Plan, step: Step) -> Any:
    if isinstance(source, Constant):
        return source.value
    if not isinstance(source, Output):
        raise UnsupportedError(
            f"step {step.name} depends on a condition on what no single step puts out; "
            "aws reads the values of one processing step"
        )
    if is_training(plan.step(source.step)):
        raise UnsupportedError(
            f"step {step.name} depends on a condition on {source.step}, a training job, and "
            "aws reads values of processing jobs alone; let a step after it put the value out"
        )
    file = {"Get": f"Steps.{source.step}.PropertyFiles.{VALUES}"}
    return {"Std:JsonGet": {"PropertyFile": file, "Path": source.name}}
